#!/bin/sh
# fuzz.sh RUNS [TARGET...]: builds the fuzzer and runs each target (default: all), one after the other, until it has tried so
# many inputs in all: what earlier runs tried counts, also of one that was stopped, up to its last million.
# MANTEL_FUZZ_BUILD names the scratch directory of the build, MANTEL_FUZZ_CORPUS where inputs, logs and counts are kept.
# MANTEL_FUZZING=address builds with AddressSanitizer too. MANTEL_FUZZER names a fuzzer that is built already.
set -eu
cd "$(dirname "$0")/../.."
total=$1
shift
build=${MANTEL_FUZZ_BUILD:-.build/fuzzing-build}
corpus=${MANTEL_FUZZ_CORPUS:-.build/fuzzing}
slice=1000000
fuzzer=${MANTEL_FUZZER:-$build/release/mantel-fuzz}
[ -n "${MANTEL_FUZZER:-}" ] ||
  MANTEL_FUZZING=${MANTEL_FUZZING:-1} swift build -c release --product mantel-fuzz --scratch-path "$build"
# Swift's own handler would keep the input of a crash from libFuzzer.
export SWIFT_BACKTRACE=enable=no
[ $# -gt 0 ] || set -- $("$fuzzer")
for target; do
  # As long as anything that the target tells from something shorter.
  case $target in
    heads | paths) length=512 ;;
    roster | joining) length=1100 ;;
    manifests) length=1600 ;;
    attestations) length=2048 ;;
    *) length=4096 ;;
  esac
  mkdir -p "$corpus/$target"
  "$fuzzer" "$target" --seeds "$corpus/$target" "Tests/Fuzzing/Corpus/$target.hex"
  found=Tests/Fuzzing/Corpus/$target
  [ -d "$found" ] || found=
  count=$corpus/$target.executions
  log=$corpus/$target.log
  done=$(cat "$count" 2>/dev/null || echo 0)
  echo "== $target: $done of $total"
  while [ "$done" -lt "$total" ]; do
    runs=$((total - done))
    [ "$runs" -le "$slice" ] || runs=$slice
    "$fuzzer" "$target" -runs="$runs" -max_len=$length -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 \
      -artifact_prefix="$corpus/$target." "$corpus/$target" $found 2>"$log" ||
      { tail -40 "$log"; exit 1; }
    done=$((done + $(sed -n 's/^stat::number_of_executed_units: *//p' "$log")))
    echo "$done" >"$count"
    echo "$done: $(grep -E '^#[0-9]+.*DONE' "$log")"
  done
  grep '^stat::' "$log" || true
done
