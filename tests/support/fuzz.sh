#!/usr/bin/env bash
# Runs every fuzzer, or those that FUZZ names (FUZZ="match pattern"), for FUZZ_SECONDS, beginning with its corpus in
# tests/fuzz/corpus/NAME.  What a fuzzer learns stays under $BUILD; what it finds is printed and kept in $BUILD/findings.
# A finding becomes a regression test by copying it into the corpus.  Last line: "fuzz: N passed, N failed".  Exit 1 on a
# finding, or when there was nothing to run.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build/fuzz}
seconds=${FUZZ_SECONDS:-60}
jobs=${JOBS:-$(nproc 2>/dev/null || echo 2)}
mkdir -p "$build/findings" "$build/corpus" "$build/log"
export build seconds

fuzz() { # fuzz PROGRAM: one line about it, and what it found behind that; 1 on a finding
  local program=$1 name corpus log status executions found files dictionary=()
  name=$(basename "$program")
  name=${name#fuzz_}
  corpus=$build/corpus/$name
  log=$build/log/$name.txt
  mkdir -p "$corpus"
  rm -f "$build/findings/$name-"*
  [[ ! -d tests/fuzz/corpus/$name ]] || cp -rn "tests/fuzz/corpus/$name/." "$corpus/"
  [[ ! -f tests/fuzz/$name.dict ]] || dictionary=("-dict=tests/fuzz/$name.dict")
  # Its own limit ends it; the outer one is for a fuzzer that hangs where its alarm does not reach.
  timeout -k 10 $((seconds + 120)) "$program" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 \
    -print_final_stats=1 -artifact_prefix="$build/findings/$name-" "${dictionary[@]}" "$corpus" >"$log" 2>&1 </dev/null
  status=$?
  executions=$(sed -nE 's/^stat::number_of_executed_units: *([0-9]+).*/\1/p' "$log" | tail -1)
  found=$(find "$build/findings" -name "$name-*" -type f | wc -l)
  files=$(find "$corpus" -type f | wc -l)
  ((status == 0 || found > 0)) || found=1 # it ended badly without leaving an input
  printf '%-24s %10s executions %6d inputs %3d findings\n' "$name" "${executions:-0}" "$files" "$found"
  ((status != 0 || found > 0)) || return 0
  {
    echo "--- fuzz_$name (exit $status)"
    grep -vE '^#[0-9]+|^stat::|^INFO' "$log" | tail -60
    find "$build/findings" -name "$name-*" -type f
  } | sed 's/^/  /'
  return 1
}
export -f fuzz

mapfile -t programs < <(for program in "$build"/tests/fuzz/fuzz_*; do
  source=tests/fuzz/$(basename "$program").c # what is left of a fuzzer that was removed does not count
  [[ -x $program && -f $source ]] && [[ -z ${FUZZ:-} || " $FUZZ " == *" ${program##*/fuzz_} "* ]] && echo "$program"
done)
if ((${#programs[@]} == 0)); then
  echo "fuzz: no fuzzer${FUZZ:+ of the names \"$FUZZ\"} under $build/tests/fuzz"
  exit 1
fi

verdicts=$build/verdicts
: >"$verdicts"
export verdicts
printf '%s\n' "${programs[@]}" | xargs -P"$jobs" -I{} bash -c \
  'output=$(fuzz "$1"); status=$?; printf "%s\n" "$output"; echo $status >>"$verdicts"' fuzz {}
passed=$(grep -c '^0$' "$verdicts")
failed=$((${#programs[@]} - passed))
echo "fuzz: $passed passed, $failed failed"
((failed == 0))
