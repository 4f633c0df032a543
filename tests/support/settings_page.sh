#!/usr/bin/env bash
# Prints schemas/config.md from the programs' own tables: settings_page.sh BUILD
set -eu
cat <<'TEXT'
# Settings

Written by `make docs` from the tables in worker/settings.c and producer/collector_settings.c; do not edit.

Three places may set each, the later wins: the YAML file (`--config FILE` or `PARAPET_CONFIG`; `kafka.brokers` is
`kafka: {brokers: …}`), the environment (`PARAPET_KAFKA_BROKERS`), the flags (`--kafka-brokers`). What is secret is also taken
from a file: `PARAPET_REDIS_URL_FILE`. Durations are `250ms`, `30s`, `10m`, `24h`, `7d`.

TEXT
echo "## parapet-worker, parapet"; echo
"$1/parapet-worker" --settings-markdown
echo; echo "## parapet-collector"; echo
"$1/parapet-collector" --settings-markdown
