# The front door: everything that people and CI do goes through these targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help deps build run test check format lint benchmark knees simulate faults mutants fuzz example clean

# CI treats warnings as errors; so does `make check`.
ifdef CI
export WEIR_STRICT := 1
endif

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## Install what is missing: libpq and PostgreSQL's server programs
	@scripts/install-dependencies

build: deps ## Build the gateway, optimised
	swift build -c release --product weir

run: build ## Serve on a private PostgreSQL with a demo table
	@exec .build/release/weir serve --embedded

test: ## Run every test, those against a real PostgreSQL included
	@scripts/install-dependencies --tests
	swift build --build-tests
	swift test --skip-build --skip WeirSimulationTests --skip WeirLoadTests
	swift test --skip-build --filter 'WeirSimulationTests|WeirLoadTests' --skip BenchCommandTests
	swift test --skip-build --filter BenchCommandTests
	python3 faults/selftest.py
	python3 faults/mutants.py --check
	python3 faults/simulation_mutants.py --check
	python3 faults/run.py --selection --jobs 2 --weir .build/debug/weir

check: export WEIR_STRICT = 1
check: lint test ## What a change must pass: format, warnings as errors, tests

format: ## Format the sources
	swift format --in-place --recursive Package.swift Sources Tests fuzz tools benchmarks/decode benchmarks/peers/nio-echo

lint: ## Check the format of the sources and the shell scripts
	swift format lint --strict --recursive Package.swift Sources Tests fuzz tools benchmarks/decode benchmarks/peers/nio-echo

benchmark: build ## Measure every figure in docs/BENCHMARKS.md (about 10 minutes; Linux)
	swift build -c release --product nio-echo
	swift build -c release --product decode-times
	python3 benchmarks/run.py $(ARGS)

knees: build ## Let weir bench find knees that are known, 20 times each (about 40 minutes)
	python3 benchmarks/knees.py --weir .build/release/weir $(ARGS)

SEEDS ?= 20000
FIRST_SEED ?= 1
simulate: ## Explore schedules of the core, and whole worlds: make simulate SEEDS=100000 FIRST_SEED=1
	swift build -c release --product simulate
	.build/release/simulate --seeds $(SEEDS) --first $(FIRST_SEED)

ROUNDS ?= 20
faults: build ## Kill, stop and cut what the gateway needs: make faults ROUNDS=20 ARGS="--rows F-13,F-42"
	@scripts/install-dependencies --faults
	python3 faults/selftest.py
	python3 faults/run.py --weir .build/release/weir --rounds $(ROUNDS) $(ARGS)

mutants: ## Build bugs in, one at a time, and see the fault rows and the worlds notice them (about half an hour)
	@scripts/install-dependencies --faults
	python3 faults/mutants.py $(ARGS)
	python3 faults/simulation_mutants.py

SECONDS := 60
fuzz: ## Look for inputs that are read wrongly, with libFuzzer: make fuzz SECONDS=600
	WEIR_FUZZ=1 swift build -c release --product weir-fuzz
	@mkdir -p .build/fuzz
	.build/release/weir-fuzz -max_total_time=$(SECONDS) -max_len=1000 -timeout=5 -rss_limit_mb=512 \
		-artifact_prefix=.build/fuzz- -print_final_stats=1 .build/fuzz fuzz/corpus

example: build ## Load a real data set through the gateway and compare every field
	python3 examples/package-index/run.py --weir .build/release/weir $(ARGS)

clean: ## Remove what was built and the demo's data
	rm -rf .build .weir
