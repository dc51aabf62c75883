# The front door. `just` lists the recipes; README.md says where to start.

set shell := ["bash", "-euo", "pipefail", "-c"]

# The built bncheck, wherever the target directory is (CARGO_TARGET_DIR, build.target-dir).
bncheck := '"$(cargo metadata --format-version 1 --no-deps --locked | sed -E ' + to_target_dir + ')/debug/bncheck"'
to_target_dir := quote('s/.*"target_directory":"([^"]*)".*/\1/')
no_insta := quote("cargo-insta is missing. Install it: cargo install --locked cargo-insta")

# List the recipes
[private]
default:
    @just --justfile {{ quote(justfile()) }} --list --unsorted

# Run the cases on every backend and print the verdicts: `just conformance` those of every run, `just conformance full`
# all of them; other arguments go to `bncheck run`
[no-exit-message]
[positional-arguments]
conformance *ARGS: build
    @case "${1-}" in quick | full) set -- --tier "$@" ;; esac; {{ bncheck }} run "$@"

# Make the report of the latest run again, or of several merged; arguments go to `bncheck report`
[no-exit-message]
[positional-arguments]
report *ARGS: build
    @{{ bncheck }} report "$@"

# Run any bncheck command: `just run list`, `just run explain ID`
[no-exit-message]
[positional-arguments]
run *ARGS: build
    @{{ bncheck }} "$@"

# Run the known mistakes through the quick cases and print which case catches which; arguments go to `bncheck faults`
[no-exit-message]
[positional-arguments]
faults *ARGS: build
    @{{ bncheck }} faults "$@"

# Hunt for bugs with cases made by chance, for a minute or for TIME (30s, 5m, 8h); other arguments go to `bncheck fuzz`
[no-exit-message]
[positional-arguments]
fuzz TIME='60s' *ARGS: build
    @shift $(( $# > 0 )); {{ bncheck }} fuzz --time {{ quote(TIME) }} "$@"

# Run workers that misbehave in every way beside healthy ones: each alone, and at random over CASES cases
[no-exit-message]
campaign CASES='5000': setup
    BNCHECK_CAMPAIGN={{ quote(CASES) }} cargo test --locked --package bncheck --test campaign

# Run each cargo-fuzz target for SECONDS on its corpus and print what came of it (docs/fuzzing-targets.md)
[no-exit-message]
fuzz-targets SECONDS='30':
    @fuzz/targets/run {{ quote(SECONDS) }}

# What a night is for: a hunt for TIME (4h) with a seed of its own, each cargo-fuzz target for SECONDS (1800), and what takes minutes
[no-exit-message]
[positional-arguments]
nightly *ARGS: setup
    @.ci/nightly "$@"

# Say what is installed, which backends are usable, and how to mend what is not
[no-exit-message]
doctor: build
    @{{ bncheck }} doctor

# Run the tests; arguments go to `cargo test`
[no-exit-message]
[positional-arguments]
test *ARGS: setup
    cargo test --locked --workspace "$@"

# Check all that CI checks: format, spelling, dependencies, lints, tests
ready: check-fmt check-spelling check-dependencies lint test

# Format the code
fmt:
    cargo fmt --all

# Lint the code; a warning is an error
[no-exit-message]
lint: setup
    cargo clippy --locked --workspace --all-targets -- -D warnings
    cargo clippy --locked --package bn-browser --features browser --all-targets -- -D warnings

# Find or install libtorch 2.11.0 and link it as .libtorch
[no-exit-message]
setup:
    @backends/libtorch/setup

# Build the binaries
[no-exit-message]
build: setup
    cargo build --locked --workspace --bins

# Compile the CUDA kernels to the PTX that is committed, with NVRTC, which is installed for it (0.15 GB, no GPU needed)
[no-exit-message]
ptx:
    toolkit=$(backends/cuda/toolkit/setup) && cargo run --quiet --locked --package bn-cuda-toolkit -- --toolkit "$toolkit" compile

# Check that the committed PTX is what the kernels compile to, and what ptxas makes of it: registers, spills, wide loads
[no-exit-message]
ptx-check:
    #!/usr/bin/env bash
    set -euo pipefail
    toolkit=$(backends/cuda/toolkit/setup)
    cargo build --quiet --locked --package bn-cuda-toolkit
    for check in self-test 'compile --check' gates; do
        cargo run --quiet --locked --package bn-cuda-toolkit -- --toolkit "$toolkit" $check
    done

# Run the CUDA kernels on a GPU: all cases, the same bits as interpreted, and how fast; makes a bundle for a machine that has one
[no-exit-message]
[positional-arguments]
gpu-check *ARGS:
    @backends/cuda/gpu-check/bundle "$@"

# Regenerate the committed JSON Schemas of suites and of results.json
schema: build
    {{ bncheck }} schema suite > cases/schema/suite.schema.json.new
    mv cases/schema/suite.schema.json.new cases/schema/suite.schema.json
    {{ bncheck }} schema results > harness/schema/results.schema.json.new
    mv harness/schema/results.schema.json.new harness/schema/results.schema.json

# Compare bncheck's semantics over every case with torch.nn itself (installs a full PyTorch, about 5 GB)
[no-exit-message]
audit-oracle: build
    #!/usr/bin/env bash
    set -euo pipefail
    python=$(.ci/pytorch)
    recording=$(mktemp --suffix .jsonl)
    trap 'rm -f -- "$recording"' EXIT
    {{ bncheck }} export | "$python" harness/audit/record.py > "$recording"
    {{ bncheck }} audit "$recording"
    # A sample of the scripts, of cases in which PyTorch has no deviation that is declared.
    ids=$({{ bncheck }} list --tier full half_layers=false dtype=f32,f64 '!exact/*' '!conditioning/*' | awk 'NR % 40 == 1')
    while read -r id; do
        {{ bncheck }} export --python "$id" > "$recording"
        "$python" "$recording" > /dev/null || { echo "the script does not say ok: $id" >&2; exit 1; }
    done <<< "$ids"
    echo "$(wc -l <<< "$ids") scripts say ok"

# Record torch.nn's answers to the smaller cases anew, for the test that replays them without Python
[no-exit-message]
record-oracle: build
    #!/usr/bin/env bash
    set -euo pipefail
    python=$(.ci/pytorch)
    {{ bncheck }} export | "$python" harness/audit/record.py --at-most 16000 | gzip -9n > harness/audit/recording.jsonl.gz.new
    mv harness/audit/recording.jsonl.gz.new harness/audit/recording.jsonl.gz

# Judge PyTorch, ONNX Runtime, Flax, Keras and the crates beside each other, over all cases, and print who conforms on what;
# what is missing is installed (2.3 GB)
[no-exit-message]
scoreboard: build
    #!/usr/bin/env bash
    set -euo pipefail
    # It has said what cannot be installed, which is then named below the table.
    .ci/scoreboard > /dev/null || true
    BNCHECK_ABSENT=1 {{ bncheck }} run --tier full --backend libtorch --backend tch-nn --backend candle --backend burn \
        --backend torch-nn --backend onnxruntime --backend flax --backend keras --output target/scoreboard \
        --format scoreboard

# Record libtorch's answers to the suites anew, for machines without it; commit what changes
[no-exit-message]
record-libtorch: build
    {{ bncheck }} record

# Check and try bncheck as it is on a machine without libtorch: lints, and the tests of that build
[no-exit-message]
without-libtorch:
    cargo clippy --locked --package bncheck --no-default-features --all-targets -- -D warnings
    cargo test --locked --package bncheck --no-default-features --test without_libtorch

# Test the report in headless Chromium, with the accessibility check; arguments go to the tests. What is missing is installed
[no-exit-message]
[positional-arguments]
browser *ARGS:
    #!/usr/bin/env bash
    set -euo pipefail
    BNCHECK_CHROMIUM=$(.ci/browser chromium)
    BNCHECK_AXE=$(.ci/browser axe)
    export BNCHECK_CHROMIUM BNCHECK_AXE
    cargo test --locked --package bn-browser --features browser --test browser -- "$@"

# Measure how fast the report is in headless Chromium, beside what is asked for
[no-exit-message]
browser-figures:
    #!/usr/bin/env bash
    set -euo pipefail
    BNCHECK_CHROMIUM=$(.ci/browser chromium)
    export BNCHECK_CHROMIUM
    cargo run --quiet --locked --package bn-browser --features browser --bin bn-browser-figures

# Run the failing cases anew whose results the browser's tests look at
[no-exit-message]
browser-fixture: build
    #!/usr/bin/env bash
    set -euo pipefail
    work=$(mktemp -d)
    trap 'rm -rf -- "$work"' EXIT
    reports/browser/real-run {{ bncheck }} "$work"
    gzip -9n < "$work/results.json" > reports/browser/fixtures/results.json.gz.new
    mv reports/browser/fixtures/results.json.gz.new reports/browser/fixtures/results.json.gz

# Make the README's pictures anew, in docs/images: the report and a terminal, of a real run with failures
[no-exit-message]
screenshots: build
    #!/usr/bin/env bash
    set -euo pipefail
    BNCHECK_CHROMIUM=$(.ci/browser chromium)
    export BNCHECK_CHROMIUM
    work=$(mktemp -d)
    trap 'rm -rf -- "$work"' EXIT
    reports/browser/real-run {{ bncheck }} "$work"
    cargo build --quiet --locked --package bn-browser --features browser --bins
    mkdir -p docs/images
    programs=$(dirname -- {{ bncheck }})
    "$programs/bn-browser-screenshots" "$work/results.json" docs/images
    reports/browser/real-run --terminal {{ bncheck }} "$work"
    "$programs/bn-browser-terminal" "$work/terminal.txt" docs/images/terminal.svg

# Look at changed snapshots one by one and accept or reject them
[no-exit-message]
review:
    @cargo insta --version > /dev/null 2>&1 || { echo {{ no_insta }} >&2; exit 1; }
    cargo insta review

[no-exit-message]
[private]
check-fmt:
    cargo fmt --all --check

[no-exit-message]
[private]
check-spelling:
    tools=$(.ci/tools typos) && PATH="$tools:$PATH" typos

# Advisories are left out: they need a database from the network and change without a commit.
[no-exit-message]
[private]
check-dependencies:
    tools=$(.ci/tools cargo-deny) && PATH="$tools:$PATH" cargo deny --locked --features bn-browser/browser check licenses bans sources
