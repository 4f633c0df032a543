#!/usr/bin/env bash
# Runs the unit test programs (all, or those of MODULE) and adds up cmocka's counts.
# Last line: "unit: N passed, N failed".  Exit 1 when one failed or none ran.
set -u
build=${BUILD:-build}
pattern="$build/tests/unit/${MODULE:-*}/test_*"
passed=0 failed=0
for program in $pattern $build/tests/unit/${MODULE:-*}/*/test_*; do
  [[ -x $program && ! -d $program && $program != *.d ]] || continue
  output=$(CMOCKA_MESSAGE_OUTPUT=STDOUT timeout 300 "$program" 2>&1)
  status=$?
  ok=$(grep -oE 'PASSED  \] [0-9]+ test' <<<"$output" | grep -oE '[0-9]+' | tail -1)
  bad=$(grep -oE 'FAILED  \] (\S+: )?[0-9]+ test' <<<"$output" | grep -oE '[0-9]+ test' | grep -oE '[0-9]+' | tail -1)
  ok=${ok:-0} bad=${bad:-0}
  if ((status != 0 && bad == 0)); then bad=1; fi
  passed=$((passed + ok)) failed=$((failed + bad))
  if ((status != 0)); then
    printf '%s\n' "--- ${program#"$build"/tests/} (exit $status)" "$output"
  else
    printf 'ok   %-40s %3d\n' "${program#"$build"/tests/unit/}" "$ok"
  fi
done
echo "unit: $passed passed, $failed failed"
((failed == 0 && passed > 0))
