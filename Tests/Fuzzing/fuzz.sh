#!/bin/sh
# fuzz.sh RUNS [TARGET...]: builds the fuzzer and runs each target (default: all) for so many inputs, one after the other.
# MANTEL_FUZZ_BUILD names the scratch directory of the build, MANTEL_FUZZ_CORPUS where inputs are kept between runs.
set -eu
cd "$(dirname "$0")/../.."
runs=$1
shift
build=${MANTEL_FUZZ_BUILD:-.build/fuzzing-build}
corpus=${MANTEL_FUZZ_CORPUS:-.build/fuzzing}
MANTEL_FUZZING=1 swift build -c release --product mantel-fuzz --scratch-path "$build"
fuzzer=$build/release/mantel-fuzz
[ $# -gt 0 ] || set -- $("$fuzzer")
for target; do
  mkdir -p "$corpus/$target"
  "$fuzzer" "$target" --seeds "$corpus/$target"
  saved=Tests/Fuzzing/Corpus/$target
  [ -d "$saved" ] || saved=
  echo "== $target"
  "$fuzzer" "$target" -runs="$runs" -max_len=4096 -rss_limit_mb=1024 -timeout=10 -print_final_stats=1 \
    -artifact_prefix="$corpus/$target/" "$corpus/$target" $saved 2>"$corpus/$target.log" ||
    { tail -40 "$corpus/$target.log"; exit 1; }
  grep '^stat::' "$corpus/$target.log"
done
