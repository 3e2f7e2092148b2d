# Builds the gateway with Swift's libraries inside, and puts it beside libpq into a small image.
FROM swift:6.3-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends libpq-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /weir
COPY Package.swift ./
COPY Sources ./Sources
COPY migrations ./migrations
COPY Tests ./Tests
# Package.swift names targets in these too.
COPY benchmarks ./benchmarks
COPY fuzz ./fuzz
COPY tools ./tools
RUN swift build -c release --product weir --static-swift-stdlib \
    && install -D .build/release/weir /out/weir

FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends libpq5 ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home weir
COPY --from=build /out/weir /usr/local/bin/weir
LABEL org.opencontainers.image.title="weir" \
      org.opencontainers.image.description="A batching write gateway for PostgreSQL" \
      org.opencontainers.image.licenses="Apache-2.0"
USER 10001
EXPOSE 8432 8433
# Not SIGKILL before the drain is over: 25 s at most, and then some.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s CMD ["weir", "health"]
ENTRYPOINT ["weir"]
CMD ["serve", "--listen", "0.0.0.0:8432", "--admin", "0.0.0.0:8433"]
