#!/usr/bin/env python3
"""Feeds the reference data to build/conformance and compares its answers.

    tests/conformance/run.py [SUITE ...]       suites: jmespath patterns sigv4 aws-protocols endpoint-rules (default: all)

BUILD names the build directory, PARAPET_REFERENCE_DATA the data (default: ../shared/data beside the checkout).
One line a suite: "conformance/NAME: N passed, N failed[, N skipped]"; exit status 1 when a case failed.
"""

import json
import os
import pathlib
import subprocess
import sys
import urllib.parse
from xml.etree import ElementTree

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


# ---- event patterns -------------------------------------------------------------------------------------------
# Where event-ruler, which the cases were observed on, does something that nobody wants, the matcher follows a rule of
# its own.  Each rule here looks at the case, and says why the matcher's answer may differ.


def walk(value):
    """Every (key, value) inside, list elements with the key None."""
    pairs = value.items() if isinstance(value, dict) else ((None, item) for item in value) if isinstance(value, list) else ()
    for key, item in pairs:
        yield key, item
        yield from walk(item)


def texts(value):
    return [item for _, item in walk([value]) if isinstance(item, str)]


def numbers(value):
    return [item for _, item in walk([value]) if isinstance(item, (int, float)) and not isinstance(item, bool)]


def values_of(pattern, operator):
    return [item for key, item in walk(pattern) if key == operator]


def pattern_deviation(case, answer):
    """The rule that makes the answer another than the case's, or None."""
    try:
        pattern = json.loads(case["pattern"])
        event = json.loads(case["event"]) if "event" in case else None
    except ValueError:
        return None
    ranges = [text for text in values_of(pattern, "cidr") if isinstance(text, str)]
    if "event" not in case:
        if answer.get("valid") and any(text.endswith(("/32", "/128")) for text in ranges):
            return "/32 and /128 are valid"
        if answer.get("valid") and any(abs(number) > 1e308 for number in numbers(pattern)):
            return "limits up to the largest double work"
        if not answer.get("valid") and [] in values_of(pattern, "anything-but"):
            return "an empty list in anything-but is an error"
        return None
    if ranges and answer.get("match") is False and numbers(event):
        return "a CIDR never matches a number"
    if ranges and answer.get("match") is False and any(":" in text for text in ranges) != any(":" in text for text in texts(event)):
        return "IPv6 patterns never match IPv4 addresses and the other way round"
    if False in values_of(pattern, "exists"):
        return "exists: false does not depend on the order of field names"
    return None


def lines_of(path):
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def run_patterns(program, folder, tally):
    for case in lines_of(folder / "valid.jsonl"):
        answer = program.ask(do="pattern", pattern=case["pattern"])
        judge_pattern(tally, case, answer, answer.get("valid"), case["valid"])
    for case in lines_of(folder / "match.jsonl"):
        answer = program.ask(do="pattern", pattern=case["pattern"], event=case["event"])
        judge_pattern(tally, case, answer, answer.get("match"), case["match"])


def judge_pattern(tally, case, answer, actual, expected):
    name = " ".join(case["pattern"].split())
    if actual != expected:
        why = pattern_deviation(case, answer)
        if why:
            tally.deviate(name[:120], why)
            tally.passed += 1
            return
    tally.note(actual == expected, name, expected, answer)


# ---- signing --------------------------------------------------------------------------------------------------


def run_sigv4(program, folder, tally):
    for path in sorted(item for item in folder.iterdir() if item.is_dir()):
        context, request = load(path / "context.json"), (path / "request.txt").read_bytes().decode()
        for kind in "header", "query":
            answer = program.ask(do="sign", context={**context, "query": kind == "query"}, request=request)
            wrong = {}
            for part in "canonical-request", "string-to-sign", "signature", "signed-request":
                expected = (path / f"{kind}-{part}.txt").read_bytes().decode()
                actual = answer.get(part.replace("-", "_"), answer.get("failure", ""))
                if actual.strip() != expected.strip():
                    wrong[part] = {"expected": expected, "got": actual}
            tally.note(not wrong, f"{path.name} ({kind})", "", wrong)


# ---- AWS protocols: compared as botocore's tests/unit/test_protocols.py does ----------------------------------


def same_body(protocol, left, right):
    if left == right:
        return True
    try:
        if protocol in ("query", "ec2"):
            return sorted(urllib.parse.parse_qsl(left, True, True)) == sorted(urllib.parse.parse_qsl(right, True, True))
        if "json" in protocol:
            return same(json.loads(left), json.loads(right))
        return ElementTree.canonicalize(left) == ElementTree.canonicalize(right)
    except (ValueError, ElementTree.ParseError):
        return False


def request_differences(protocol, answer, expected):
    """The parts of the answer that are not as expected: {name: [expected, got]}."""
    if "failure" in answer:
        return {"failure": [None, answer["failure"]]}
    differences = {
        part: [expected[part], answer.get(part)]
        for part in ("method", "uri", "host")
        if part in expected and expected[part] != answer.get(part)
    }
    if not same_body(protocol, answer.get("body") or "", expected.get("body", "")):
        differences["body"] = [expected.get("body"), answer.get("body")]
    headers = {name.lower(): value for name, value in answer["headers"].items()}
    for name, value in expected.get("headers", {}).items():
        if headers.get(name.lower()) != value:
            differences[name] = [value, headers.get(name.lower())]
    for name in expected.get("forbidHeaders", []):
        if name.lower() in headers:
            differences[name] = [None, headers[name.lower()]]
    return differences


def model_of(suite, case):
    return {"metadata": suite["metadata"], "shapes": suite["shapes"], "given": case["given"]}


def check_input(program, suite, case, name, tally):
    endpoint = {"endpoint": suite["clientEndpoint"]} if "clientEndpoint" in suite else {}
    answer = program.ask(do="serialize", params=case.get("params", {}), **model_of(suite, case), **endpoint)
    differences = request_differences(suite["metadata"]["protocol"], answer, case["serialized"])
    tally.note(not differences, name, {part: both[0] for part, both in differences.items()}, {part: both[1] for part, both in differences.items()})


def check_output(program, suite, case, name, tally):
    answer = program.ask(do="parse", response=case["response"], **model_of(suite, case))
    if "error" in case:
        expected = {"code": case["errorCode"], "message": case.get("errorMessage", "")}
        error = answer.get("error", {})
        # Without an expected message any is right: a person reads it.
        wanted = all(error.get(part) == text for part, text in expected.items() if text)
        tally.note("error" in answer and wanted, name, expected, answer)
        return
    expected = {key: value for key, value in case["result"].items() if key != "ResponseMetadata"}
    tally.note(same(answer.get("result"), expected), name, expected, answer)


def run_protocols(program, folder, tally):
    for direction, check in ("input", check_input), ("output", check_output):
        for path in sorted((folder / direction).glob("*.json")):
            for suite_number, suite in enumerate(load(path)):
                for case_number, case in enumerate(suite["cases"]):
                    name = f"{direction}/{path.name} {suite_number}:{case_number} {suite['description']}"
                    check(program, suite, case, name, tally)


# ---- endpoints ------------------------------------------------------------------------------------------------


def check_endpoint(program, cases, subject, name, tally):
    for number, case in enumerate(cases["testCases"]):
        answer = program.ask(do="endpoint", params=case.get("params", {}), **subject)
        title = f"{name} {number} {case.get('documentation', '')}"
        if "error" in case["expect"]:
            tally.note(answer == {"error": case["expect"]["error"]}, title, case["expect"]["error"], answer)
            continue
        expected = case["expect"]["endpoint"]
        wanted = {part: expected[part] for part in ("url", "headers", "properties") if part in expected}
        tally.note(same({part: answer.get(part) for part in wanted}, wanted), title, wanted, answer)


def run_endpoints(program, folder, tally):
    for path in sorted(folder.glob("*/endpoint-tests-1.json")):
        check_endpoint(program, load(path), {"service": path.parent.name}, path.parent.name, tally)
    partitions = next(iter(sorted((folder / "engine").rglob("partitions.json"))), None)
    for path in sorted((folder / "engine" / "test-cases").glob("*.json")):
        subject = {"ruleset": load(folder / "engine" / "valid-rules" / path.name)}
        if partitions:
            subject["partitions"] = load(partitions)
        check_endpoint(program, load(path), subject, f"engine/{path.name}", tally)


SUITES = {
    "jmespath": run_jmespath,
    "patterns": run_patterns,
    "sigv4": run_sigv4,
    "aws-protocols": run_protocols,
    "endpoint-rules": run_endpoints,
}


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
