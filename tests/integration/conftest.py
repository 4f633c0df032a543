"""Integration tests run Parapet's programs on the real stack of tests/support; see stack/fixtures.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

from stack.fixtures import *  # noqa: E402,F401,F403
from stack.fixtures import pytest_runtest_makereport  # noqa: E402,F401
