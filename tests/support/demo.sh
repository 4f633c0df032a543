#!/usr/bin/env bash
# The demo: see demo.py.  Exit 0 when everything happened as it says, 1 when something did not, 130 after Ctrl-C.
cd "$(dirname "$0")/../.." || exit 1
export BUILD=${BUILD:-build} PYTHONDONTWRITEBYTECODE=1
exec build/venv/bin/python tests/support/demo.py "$@"
