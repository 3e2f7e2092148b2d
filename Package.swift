// swift-tools-version: 6.2
import PackageDescription

// `make check` and CI set WEIR_STRICT=1. A local build keeps warnings as warnings.
let isStrict = Context.environment["WEIR_STRICT"] == "1"

let house: [SwiftSetting] =
    [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    ] + (isStrict ? [.treatAllWarnings(as: .error)] : [])

let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let collections = Target.Dependency.product(name: "DequeModule", package: "swift-collections")
let lifecycle = Target.Dependency.product(
    name: "ServiceLifecycle", package: "swift-service-lifecycle")

let package = Package(
    name: "weir",
    platforms: [.macOS(.v15)],
    products: [.executable(name: "weir", targets: ["weir"])],
    dependencies: [
        // One line of why for each of these: docs/decisions/0001-dependencies.md
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-collections.git", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto.git", from: "4.5.0"),
        .package(url: "https://github.com/apple/swift-http-types.git", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.0"),
        .package(
            url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
        .package(
            url: "https://github.com/swiftlang/swift-subprocess.git", from: "1.0.0", traits: []),
        .package(url: "https://github.com/apple/swift-system.git", from: "1.6.0"),
        .package(
            url: "https://github.com/hummingbird-project/hummingbird.git", from: "2.28.0",
            traits: []),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift.git", from: "0.2.0"),
        .package(url: "https://github.com/jpsim/Yams.git", from: "6.2.2"),
    ],
    targets: [
        .systemLibrary(
            name: "CLibpq", pkgConfig: "libpq",
            providers: [.apt(["libpq-dev"]), .brew(["libpq", "openssl@3"])]),
        .systemLibrary(name: "CPlatform"),

        .target(name: "WeirCore", dependencies: [collections], swiftSettings: house),
        .target(name: "WeirRecord", dependencies: [crypto], swiftSettings: house),
        .target(
            name: "Weir", dependencies: ["WeirCore", "WeirRecord", logging],
            swiftSettings: house),
        .target(
            name: "WeirConfig", dependencies: ["Weir", "WeirCore", "WeirRecord"],
            swiftSettings: house),
        .target(
            name: "WeirMigrations", dependencies: [crypto], path: "migrations",
            exclude: ["README.md"],
            resources: [
                .embedInCode("0001_replay.sql"), .embedInCode("0002_dead_letter.sql"),
                .embedInCode("0003_redrive.sql"),
            ],
            swiftSettings: house),
        .target(
            name: "WeirPostgres",
            dependencies: [
                "CLibpq", "CPlatform", "Weir", "WeirCore", "WeirMigrations", "WeirRecord", logging,
                lifecycle,
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: house + [.strictMemorySafety()]),
        .target(
            name: "WeirCheck",
            dependencies: ["Weir", "WeirCore", "WeirMigrations", "WeirPostgres", "WeirRecord"],
            swiftSettings: house),
        .target(
            name: "WeirHTTP",
            dependencies: [
                "CPlatform", "Weir", "WeirCore", "WeirRecord", logging, nioCore, nioPosix, nioHTTP1,
                lifecycle, collections,
            ],
            resources: [.embedInCode("OpenAPI/openapi.json")],
            swiftSettings: house),
        .target(
            name: "WeirAdmin",
            dependencies: [
                "Weir", "WeirCore", "WeirRecord", logging, lifecycle, nioCore,
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
            ],
            swiftSettings: house),
        .target(
            name: "WeirLoad",
            dependencies: [
                "Weir", "WeirConfig", "WeirCore", "WeirPostgres", "WeirRecord", collections,
                nioCore, nioPosix,
                .product(name: "Histogram", package: "hdrhistogram-swift"),
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: house),
        .target(
            name: "WeirTesting", dependencies: ["Weir", "WeirCore", "WeirRecord"],
            swiftSettings: house),
        .target(
            name: "WeirSimulation",
            dependencies: [
                "Weir", "WeirCore", "WeirPostgres", "WeirRecord", "WeirTesting", logging,
            ],
            swiftSettings: house),
        .executableTarget(
            name: "weir",
            dependencies: [
                "Weir", "WeirCheck", "WeirConfig", "WeirCore", "WeirLoad", "WeirMigrations",
                "WeirRecord", "WeirPostgres", "WeirHTTP",
                "WeirAdmin", logging, lifecycle,
                nioCore, nioPosix, nioHTTP1,
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            resources: [.embedInCode("Demo/orders.sql")],
            swiftSettings: house),
        .executableTarget(
            name: "nio-echo", dependencies: [nioCore, nioPosix, nioHTTP1],
            path: "benchmarks/peers/nio-echo", swiftSettings: house),
        .executableTarget(
            name: "decode-times", dependencies: ["WeirRecord"], path: "benchmarks/decode",
            swiftSettings: house),
        .executableTarget(
            name: "simulate",
            dependencies: [
                "WeirSimulation", "WeirTesting",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "tools/simulate", swiftSettings: house),
        .target(
            name: "WeirFuzzing",
            dependencies: ["WeirHTTP", "Weir", "WeirCore", "WeirRecord", logging],
            path: "fuzz/checks", swiftSettings: house),

        .testTarget(
            name: "WeirCoreTests", dependencies: ["WeirCore", "WeirTesting"], swiftSettings: house),
        .testTarget(name: "WeirRecordTests", dependencies: ["WeirRecord"], swiftSettings: house),
        .testTarget(
            name: "WeirTests", dependencies: ["Weir", "WeirCore", "WeirRecord", "WeirTesting"],
            swiftSettings: house),
        .testTarget(
            name: "WeirConfigTests",
            dependencies: [
                "WeirConfig", "Weir", "WeirCore", "WeirRecord",
                // The reader of YAML that ours is compared with; nothing that is served knows it.
                .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: house),
        .testTarget(
            name: "WeirPostgresTests",
            dependencies: [
                "WeirPostgres", "WeirMigrations", "Weir", "WeirCore", "WeirRecord", "WeirTesting",
            ],
            swiftSettings: house),
        .testTarget(
            name: "WeirSimulationTests", dependencies: ["WeirSimulation"], swiftSettings: house),
        .testTarget(
            name: "WeirConformanceTests",
            dependencies: ["CLibpq", "Weir", "WeirPostgres", "WeirTesting"], swiftSettings: house),
        .testTarget(
            name: "WeirHTTPTests",
            dependencies: [
                "CPlatform", "WeirHTTP", "WeirAdmin", "WeirPostgres", "Weir", "WeirCore",
                "WeirRecord", "WeirTesting",
                nioCore, nioPosix,
            ],
            swiftSettings: house),
        .testTarget(
            name: "WeirCheckTests",
            dependencies: [
                "WeirCheck", "WeirPostgres", "Weir", "WeirCore", "WeirRecord", "WeirTesting",
                "weir",
            ],
            swiftSettings: house),
        .testTarget(
            name: "WeirCommandTests", dependencies: ["weir", "WeirMigrations", "WeirPostgres"],
            swiftSettings: house),
        .testTarget(
            name: "WeirLoadTests",
            dependencies: [
                "WeirLoad", "WeirConfig", "WeirPostgres", "Weir", "WeirCore", "WeirRecord", "weir",
                nioCore, nioPosix,
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ],
            swiftSettings: house),
        .testTarget(
            name: "WeirFuzzTests",
            dependencies: ["WeirFuzzing", "WeirPostgres", "Weir", "WeirCore", "WeirRecord"],
            swiftSettings: house),
        .testTarget(name: "TidyTests", swiftSettings: house),
    ],
    swiftLanguageModes: [.v6]
)

// `make fuzz` sets WEIR_FUZZ=1: libFuzzer calls the checks, and what they look at counts its branches.
if Context.environment["WEIR_FUZZ"] == "1" {
    let instrumented: [SwiftSetting] = [.unsafeFlags(["-sanitize=fuzzer"])]
    for target in package.targets
    where ["WeirRecord", "WeirHTTP", "WeirFuzzing"].contains(target.name) {
        target.swiftSettings = (target.swiftSettings ?? []) + instrumented
    }
    package.targets.append(
        .executableTarget(
            name: "weir-fuzz", dependencies: ["WeirFuzzing"], path: "fuzz/driver",
            swiftSettings: house + instrumented,
            linkerSettings: [
                .unsafeFlags(["-sanitize=fuzzer"]),
                // Debian's gold stops at an internal error here.
                .unsafeFlags(["-use-ld=lld"], .when(platforms: [.linux])),
            ]))
}
