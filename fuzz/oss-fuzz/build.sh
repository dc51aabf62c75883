#!/bin/bash -eu
# Builds the fuzz targets for OSS-Fuzz and ClusterFuzzLite: programs, seed corpora, dictionaries and options go to $OUT.
# The image has cargo-fuzz and a Rust that knows the sanitizers; elsewhere RUSTC_BOOTSTRAP=1 makes a stable one do.

cd "$SRC/bncheck"
: "${CARGO_TARGET_DIR:=$PWD/target/fuzz/oss-fuzz}"
cargo fuzz build -O --debug-assertions --fuzz-dir fuzz/targets --sanitizer "${SANITIZER:-address}" \
    --target-dir "$CARGO_TARGET_DIR"

for target in $(cargo fuzz list --fuzz-dir fuzz/targets); do
    cp "$CARGO_TARGET_DIR"/*/release/"$target" "$OUT/"
    # Without the folder's name in front, and without anything of this machine.
    (cd "fuzz/corpus/$target" && zip -q -r -X "$OUT/${target}_seed_corpus.zip" .)
    if [ -f "fuzz/dictionaries/$target.dict" ]; then
        cp "fuzz/dictionaries/$target.dict" "$OUT/$target.dict"
    fi
    cp fuzz/oss-fuzz/options "$OUT/$target.options"
done
