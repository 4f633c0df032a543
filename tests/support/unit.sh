#!/usr/bin/env bash
# Runs the unit test programs (all, or those of MODULE) and adds up cmocka's counts.
# Last line: "unit: N passed, N failed[, N skipped]".  Exit 1 when one failed or none ran.
set -u
build=${BUILD:-build}
module=${MODULE:-*}
passed=0 failed=0 skipped=0

# The tests' own names must not matter to their results; what sanitizers find must.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_stack_use_after_return=1:strict_string_checks=1"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-}:print_stacktrace=1"
export TSAN_OPTIONS="${TSAN_OPTIONS:-}:second_deadlock_stack=1"

# The leak check looks at the program as a debugger does.  Where that is refused (some containers), it cannot run, and
# every program would fail for a reason that is not in the code: then it is left out, and said so.
leaks_can_be_checked() {
  local probe=$build/leak-probe
  [[ $(head -c 4 "$1" 2>/dev/null | tail -c 3) == ELF ]] && grep -q __lsan_do_leak_check "$1" || return 0
  printf 'int main(void) { return 0; }\n' | clang -fsanitize=address -x c - -o "$probe" 2>/dev/null || return 0
  ! "$probe" 2>&1 | grep -q 'LeakSanitizer has encountered a fatal error'
}

count() { # count WORD OUTPUT: the number in cmocka's summary line of that word, 0 without one
  local number
  number=$(grep -oE "$1  ?\] (\S+: )?[0-9]+ test" <<<"$2" | grep -oE '[0-9]+ test' | grep -oE '[0-9]+' | tail -1)
  echo "${number:-0}"
}

run() {
  local program=$1 name=${1#"$build"/tests/unit/} output status ok bad left_out
  output=$(CMOCKA_MESSAGE_OUTPUT=STDOUT timeout 300 "$program" 2>&1)
  status=$?
  ok=$(count PASSED "$output") bad=$(count FAILED "$output") left_out=$(count SKIPPED "$output")
  if ((status != 0 && bad == 0)); then bad=1; fi # a crash, a sanitizer's report, the time limit
  passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + left_out))
  if ((status != 0)); then
    printf '%s\n' "--- unit/$name (exit $status)" "$output"
  else
    printf 'ok   %-40s %3d%s\n' "$name" "$ok" "$( ((left_out == 0)) || echo "  ($left_out skipped)")"
    ((left_out == 0)) || grep -E '^(skip|SKIP)' <<<"$output"
  fi
}

shopt -s nullglob
programs=()
for program in "$build"/tests/unit/$module/test_* "$build"/tests/unit/$module/*/test_*; do
  source=tests/unit/${program#"$build"/tests/unit/}.c # what is left of a test that was removed does not count
  [[ -x $program && -f $source ]] && programs+=("$program")
done
if ((${#programs[@]} > 0)) && ! leaks_can_be_checked "${programs[0]}"; then
  echo "note: this machine does not allow the leak check; everything else is checked"
  ASAN_OPTIONS+=":detect_leaks=0"
fi
for program in "${programs[@]}"; do run "$program"; done
echo "unit: $passed passed, $failed failed$( ((skipped == 0)) || echo ", $skipped skipped")"
((failed == 0 && passed > 0))
