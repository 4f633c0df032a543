#!/usr/bin/env python3
"""Feeds the reference data to build/conformance and compares its answers.

    tests/conformance/run.py [SUITE ...]       suites: jmespath patterns sigv4 aws-protocols (default: all)

BUILD names the build directory, PARAPET_REFERENCE_DATA the data (default: ../shared/data beside the checkout).
One line a suite: "conformance/NAME: N passed, N failed[, N skipped]"; exit status 1 when a case failed.
"""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = pathlib.Path(os.environ.get("PARAPET_REFERENCE_DATA") or ROOT.parent / "shared" / "data")
BUILD = ROOT / os.environ.get("BUILD", "build")
SHOWN = 400  # characters of a value in a failure's line


class Program:
    """The conformance program; one request, one answer."""

    def __init__(self):
        self.process = subprocess.Popen([BUILD / "conformance"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"the conformance program ended (status {self.process.wait()}) at {json.dumps(request)[:SHOWN]}")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        return self.process.wait()


class Tally:
    def __init__(self, suite):
        self.suite, self.passed, self.failed, self.skipped, self.deviations = suite, 0, 0, 0, 0

    def note(self, passed, name, expected, actual):
        if passed:
            self.passed += 1
            return
        self.failed += 1
        print(f"  FAIL {self.suite}: {name}")
        print(f"    expected {short(expected)}")
        print(f"    got      {short(actual)}")

    def skip(self, name, why):
        self.skipped += 1
        print(f"  skip {self.suite}: {name}: {why}")

    def deviate(self, name, why):
        self.deviations += 1
        print(f"  deviation {self.suite}: {name}: {why}")

    def line(self):
        more = f", {self.skipped} skipped" if self.skipped else ""
        more += f" ({self.deviations} of the passed by a documented deviation)" if self.deviations else ""
        return f"conformance/{self.suite}: {self.passed} passed, {self.failed} failed{more}"


def short(value):
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def same(left, right):
    """Equal as JSON: true is not 1, but 1 is 1.0."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


# ---- JMESPath -------------------------------------------------------------------------------------------------


def run_jmespath(program, folder, tally):
    for path in sorted(folder.glob("*.json")):
        for group in load(path):
            for case in group["cases"]:
                answer = program.ask(do="jmespath", expression=case["expression"], document=group["given"])
                name = f"{path.name}: {case['expression']}"
                if "bench" in case:
                    tally.note("result" in answer, name, "any result", answer)
                elif "error" in case:
                    tally.note(answer.get("error") == case["error"], name, case["error"], answer)
                else:
                    tally.note("result" in answer and same(answer["result"], case["result"]), name, case["result"], answer)


SUITES = {"jmespath": run_jmespath}


def main(arguments):
    unknown = [name for name in arguments if name not in SUITES]
    if unknown:
        sys.exit(f"there is no suite {unknown[0]!r}; the suites are {', '.join(SUITES)}")
    failed = False
    for name in arguments or SUITES:
        folder = DATA / name
        if not folder.is_dir():
            print(f"SKIP: reference data {name} absent (set PARAPET_REFERENCE_DATA)")
            continue
        program, tally = Program(), Tally(name)
        SUITES[name](program, folder, tally)
        if program.close() != 0:
            tally.note(False, "the program's exit", 0, program.process.returncode)
        print(tally.line())
        failed = failed or tally.failed > 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
