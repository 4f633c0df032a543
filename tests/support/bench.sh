#!/usr/bin/env bash
# Measures what the documents quote.  BENCH=match, aws, worker, pipeline, custodian, gates or storm: only that.  A figure
# that is bad on a slow machine fails nothing; what cannot be measured here is said.
set -u
cd "$(dirname "$0")/../.." || exit 1
export BUILD=${BUILD:-build} PYTHONDONTWRITEBYTECODE=1
sections=${BENCH:-match aws worker pipeline custodian gates storm}
data=${PARAPET_REFERENCE_DATA:-../shared/data}/citylots2
records=${PARAPET_REFERENCE_DATA:-../shared/data}/cloudtrail/invictus/CloudTrail
failed=0

machine() {
  printf '%s, %s processors, load %s, %s\n' "$(uname -sm)" "$(nproc)" "$(cut -d' ' -f1 /proc/loadavg)" \
    "$(sed -nE 's/^model name[^:]*: *//p' /proc/cpuinfo | head -1)"
}

# The 213,068 events are made once, into the build directory: they are large, and the same every time.
citylots2() {
  local events=$BUILD/bench/citylots2.jsonl
  mkdir -p "$BUILD/bench"
  if [ ! -s "$events" ] || [ "$data/generate.py" -nt "$events" ]; then
    echo "making $events" >&2
    python3 "$data/generate.py" >"$events.part" && mv "$events.part" "$events" || { rm -f "$events.part"; return 1; }
  fi
  echo "$events"
}

# The recorded CloudTrail events in EventBridge's envelope, one a line.
cloudtrail() {
  local events=$BUILD/bench/cloudtrail.jsonl
  mkdir -p "$BUILD/bench"
  "$BUILD/parapet" match --pattern '{"source": [{"exists": true}]}' "$records"/*.json >"$events" 2>/dev/null || return 1
  echo "$events"
}

# What our matcher is measured beside: a command, a program; "-" where it cannot be had.
event_ruler() { # event_ruler EVENTS RULES
  local path="build/event_ruler/libs/*:$BUILD/bench/event_ruler"
  compgen -G "build/event_ruler/libs/*.jar" >/dev/null &&
    javac -cp "$path" -d "$BUILD/bench/event_ruler" tests/bench/event_ruler/Bench.java >&2 &&
    echo "exec java -Xms1g -Xmx2g -cp '$path' Bench '$1' '$2'" || echo -
}

simdjson() {
  mkdir -p "$BUILD/bench"
  g++ -O2 -o "$BUILD/bench/simdjson_floor" tests/bench/simdjson_floor.cc -lsimdjson >&2 &&
    echo "$BUILD/bench/simdjson_floor" || echo -
}

match() {
  local events ruler floor bad=0
  echo "== match: one thread, its own processor time, best of several passes"
  if [ ! -f "$data/generate.py" ] || [ ! -f "$data/rules.json" ]; then
    echo "skipped: citylots2, since $data does not exist (PARAPET_REFERENCE_DATA)"
  else
    events=$(citylots2) || return 1
    ruler=$(event_ruler "$events" "$data/rules.json")
    floor=$(simdjson)
    [ "$ruler" != - ] || echo "event-ruler cannot be had here (Maven or javac): ours alone"
    [ "$floor" != - ] || echo "simdjson cannot be had here: no floor"
    "$BUILD/tests/bench/bench_match" "$events" "$data/rules.json" "$ruler" "$floor" || bad=1
  fi
  echo
  events=
  [ ! -d "$records" ] || events=$(cloudtrail) || return 1
  "$BUILD/tests/bench/bench_match_rules" ${events:+"$events"} || bad=1
  echo
  "$BUILD/tests/bench/bench_match_hard" || bad=1
  return $bad
}

aws() {
  echo "== aws: the client beside botocore, both against the same answers on this machine"
  build/venv/bin/python tests/bench/bench_aws.py
}

worker() {
  echo "== worker: real Kafka, Redis, moto behind the tap, one collector and one worker on this machine"
  build/venv/bin/python tests/bench/bench_worker.py
}

pipeline() {
  echo "== pipeline: the worker's consumption beside a bare librdkafka consumer, real Kafka, medians of three each"
  build/venv/bin/python tests/bench/bench_pipeline.py
}

# Cloud Custodian's pins clash with the test stack's, so it has a place of its own.
custodian() {
  echo "== custodian: parapet assess beside Cloud Custodian, the same policies at the same emulator"
  if [ ! -x build/c7n/bin/custodian ]; then
    echo "making build/c7n" >&2
    python3 -m venv build/c7n && build/c7n/bin/pip install -q c7n==0.9.53 >&2 || { rm -rf build/c7n; return 1; }
  fi
  build/venv/bin/python tests/bench/bench_custodian.py
}

gates() {
  echo "== gates: what Redis is asked before a change, Redis on this machine, 100,000 exceptions"
  "$BUILD/tests/bench/bench_gates"
}

storm() {
  echo "== storm: ten thousand violations, 20 accounts, 4 Regions, 6 workers; then a thousand fixes that come back as events"
  build/venv/bin/python tests/bench/bench_storm.py
}

echo "machine: $(machine)"
for section in $sections; do
  case $section in
    match | aws | worker | pipeline | custodian | gates | storm) echo; "$section" || { echo "bench: $section could not be measured"; failed=1; } ;;
    *) echo "bench.sh: no section $section (match, aws, worker, pipeline, custodian, gates, storm)" >&2; exit 2 ;;
  esac
done
echo
((failed == 0)) || { echo "bench: not everything could be measured"; exit 1; }
echo "bench: done"
