#!/usr/bin/env bash
# Every test: unit, conformance, offline playbook tests, documents, integration on the full stack.  Goes on after a failure.
#   TESTS="unit integration" run.sh                      only these suites
#   TESTS=integration PYTEST_ADDOPTS="-k 'sqs or tap'" run.sh   only these tests
# Each suite ends with "<suite>: N passed, N failed, N skipped (seconds)"; the last line adds them up.  Exit 1 when one
# failed or nothing ran.
set -u
cd "$(dirname "$0")/../.."
export BUILD=${BUILD:-build}
python=build/venv/bin/python
suites=${TESTS:-unit conformance playbooks documents integration}
summary=() all_passed=0 all_failed=0 all_skipped=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# counts SUITE FILE: "passed failed skipped" of the output.  A suite that prints no line of its own ("unit: 3 passed,
# …") may print one a part ("conformance/sigv4: …"), which are added up; pytest prints a bare line and says "error" for
# a broken fixture.
counts() {
  local lines
  lines=$(grep -E "^$1: [0-9]+ passed" "$2" | tail -1)
  [ -n "$lines" ] || lines=$(grep -E "^$1/\S+: [0-9]+ passed" "$2")
  [ -n "$lines" ] || lines=$(grep -E '[0-9]+ (passed|failed|error)' "$2" | tail -1)
  awk '{
    for (i = 2; i <= NF; i++) {
      if ($i ~ /^passed/) passed += $(i - 1)
      if ($i ~ /^(failed|error)/) failed += $(i - 1)
      if ($i ~ /^skipped/) skipped += $(i - 1)
    }
  } END { print passed + 0, failed + 0, skipped + 0 }' <<<"$lines"
}

unit() { tests/support/unit.sh; }

conformance() {
  local status=0 program
  for program in run differential endpoints; do
    PYTHONDONTWRITEBYTECODE=1 "$python" "tests/conformance/$program.py" || status=1
  done
  return $status
}

playbooks() { "$BUILD/parapet" test worker/playbooks; }

documents() { tests/support/documents.sh; }

integration() {
  # No caches: a run leaves nothing in the tree.
  PYTHONDONTWRITEBYTECODE=1 "$python" -m pytest -q -p no:cacheprovider --tb=short -rfEs --durations=5 \
    tests/support tests/integration
}

run() { # run SUITE: its output, and its counts
  local suite=$1 output=$scratch/$1 started=$SECONDS status passed failed skipped line
  printf '\n==== %s ====\n' "$suite"
  timeout --kill-after=30 "${SUITE_SECONDS:-3600}" \
    bash -c "$(declare -f "$suite"); python=$python; $suite" 2>&1 | tee "$output"
  status=${PIPESTATUS[0]}
  read -r passed failed skipped < <(counts "$suite" "$output")
  if ((status == 124 || status == 137)); then echo "$suite: stopped after ${SUITE_SECONDS:-3600} s"; fi
  if ((failed == 0)) && ((status != 0 || passed == 0)); then failed=1; fi
  line="$suite: $passed passed, $failed failed, $skipped skipped ($((SECONDS - started)) s)"
  echo "$line"
  summary+=("$line")
  all_passed=$((all_passed + passed)) all_failed=$((all_failed + failed)) all_skipped=$((all_skipped + skipped))
}

for suite in $suites; do
  case $suite in
    unit | conformance | playbooks | documents | integration) run "$suite" ;;
    *) echo "run.sh: no suite $suite (unit, conformance, playbooks, documents, integration)" >&2; exit 2 ;;
  esac
done

printf '\n==== summary (%s s) ====\n' "$SECONDS"
printf '%s\n' "${summary[@]}"
echo "$all_passed passed, $all_failed failed, $all_skipped skipped"
((all_failed == 0 && all_passed > 0))
