#!/usr/bin/env python3
"""Compiles botocore's service models into what common/aws/model.c loads.

    models.py --pin common/aws/models.pin --out build/models

The pin is one line in pip's requirements form, with the wheel's SHA-256.  The wheel is taken from --wheels (default:
"wheels" beside the out directory) or fetched there with pip.  Out come, with reproducible bytes:

    SERVICE.model     one text line a piece: "KIND NAME JSON", kinds operation, shape, paginator, waiter, ruleset, metadata.
                      Not compressed: a piece is read where it stands when it is first used, and the rest never.
                      Metadata comes last: a file that was cut off has none.
    partitions.json   botocore's partitions.json
    services.txt      the service names, one a line, sorted

Documentation, examples, patterns, enumerations and other things that no code reads are left out.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import zipfile

DROPPED_FROM_SHAPES = frozenset(
    "documentation documentationUrl deprecated deprecatedMessage deprecatedSince pattern max enum box synthetic fault "
    "xmlOrder wrapper".split()
)
DROPPED_FROM_OPERATIONS = frozenset(
    "documentation documentationUrl deprecated deprecatedMessage deprecatedSince examples idempotent".split()
)


def read_pin(path):
    text = open(path, encoding="ascii").read()
    found = re.fullmatch(r"\s*botocore==([0-9.]+)\s+--hash=sha256:([0-9a-f]{64})\s*", text)
    if not found:
        sys.exit(f"{path}: expected one line: botocore==VERSION --hash=sha256:HEX")
    return found.group(1), found.group(2)


def python_with_pip(wheels):
    """This interpreter where it has pip, otherwise a virtual environment made for the purpose."""
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode == 0:
        return sys.executable
    environment = os.path.join(wheels, "venv")
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    return os.path.join(environment, "bin", "python3")


def fetch_wheel(pin, wheels):
    version, digest = read_pin(pin)
    name = f"botocore-{version}-py3-none-any.whl"
    shared = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "build", "wheels", name)
    path = shared if os.path.exists(shared) else os.path.join(wheels, name)
    if not os.path.exists(path):
        os.makedirs(wheels, exist_ok=True)
        command = [python_with_pip(wheels), "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--only-binary=:all:", "--require-hashes", "--dest", wheels, "-r", pin]
        subprocess.run(command, check=True)
    with open(path, "rb") as wheel:
        data = wheel.read()
    if hashlib.sha256(data).hexdigest() != digest:
        sys.exit(f"{path}: SHA-256 differs from the one in {pin}; delete the file and try again")
    return zipfile.ZipFile(io.BytesIO(data))


class Data:
    """botocore/data inside the wheel."""

    def __init__(self, wheel):
        self.wheel = wheel
        prefix = "botocore/data/"
        self.names = {name[len(prefix):] for name in wheel.namelist() if name.startswith(prefix)}

    def read(self, name):
        """The JSON of a file that may be stored compressed; None when it is not there."""
        for suffix in ("", ".gz"):
            if name + suffix in self.names:
                data = self.wheel.read("botocore/data/" + name + suffix)
                return json.loads(gzip.decompress(data) if suffix else data)
        return None

    def latest(self):
        """(service, newest version's folder) for every service, sorted."""
        newest = {}
        for name in self.names:
            parts = name.split("/")
            if len(parts) == 3 and parts[2].startswith("service-2.json"):
                newest[parts[0]] = max(newest.get(parts[0], ""), parts[1])
        return sorted((service, f"{service}/{version}") for service, version in newest.items())


def merge(base, extra):
    """botocore's deep merge of an *.sdk-extras.json file."""
    for key, value in extra.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merge(base[key], value)
        else:
            base[key] = value


def read_with_extras(data, folder, name):
    base = data.read(f"{folder}/{name}.json")
    extras = data.read(f"{folder}/{name}.sdk-extras.json")
    if base is None:
        return None
    if extras:
        merge(base, extras.get("merge", {}))
    return base


def stripped(value, dropped):
    return {key: inner for key, inner in value.items() if key not in dropped}


def strip_shape(shape):
    shape = stripped(shape, DROPPED_FROM_SHAPES)
    for part in ("member", "key", "value"):
        if isinstance(shape.get(part), dict):
            shape[part] = stripped(shape[part], DROPPED_FROM_SHAPES)
    if "members" in shape:
        # A member may be called "documentation": only what is said about it goes.
        shape["members"] = {name: stripped(member, DROPPED_FROM_SHAPES) for name, member in shape["members"].items()}
    return shape


def strip_operation(operation):
    operation = stripped(operation, DROPPED_FROM_OPERATIONS)
    for part in ("input", "output"):
        if part in operation:
            operation[part] = stripped(operation[part], DROPPED_FROM_SHAPES)
    operation["errors"] = [{"shape": error["shape"]} for error in operation.get("errors", [])]
    if not operation["errors"]:
        del operation["errors"]
    return operation


def pieces(data, folder):
    model = read_with_extras(data, folder, "service-2")
    for name, operation in model["operations"].items():
        yield "operation", name, strip_operation(operation)
    for name, shape in model["shapes"].items():
        yield "shape", name, strip_shape(shape)
    paginators = read_with_extras(data, folder, "paginators-1") or {}
    for name, paginator in paginators.get("pagination", {}).items():
        yield "paginator", name, paginator
    waiters = read_with_extras(data, folder, "waiters-2") or {}
    for name, waiter in waiters.get("waiters", {}).items():
        yield "waiter", name, stripped(waiter, {"description", "documentation"})
    ruleset = data.read(f"{folder}/endpoint-rule-set-1.json")
    if ruleset is not None:
        for parameter in ruleset.get("parameters", {}).values():
            parameter.pop("documentation", None)
        yield "ruleset", "-", ruleset
    yield "metadata", "-", model["metadata"]


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True)


def write_if_changed(path, data):
    if os.path.exists(path) and open(path, "rb").read() == data:
        return
    with open(path + ".part", "wb") as file:
        file.write(data)
    os.replace(path + ".part", path)


def stale(out, digest):
    """The out directory's mark: what it was made from."""
    with open(__file__, "rb") as script:
        mark = f"{digest} {hashlib.sha256(script.read()).hexdigest()}\n"
    path = os.path.join(out, "made-from.txt")
    fresh = os.path.exists(path) and open(path, encoding="ascii").read() == mark
    return (not fresh), path, mark


def build(data, out):
    services = data.latest()
    files = {"partitions.json": compact(data.read("partitions.json")), "services.txt": "".join(f"{name}\n" for name, _ in services)}
    for service, folder in services:
        files[f"{service}.model"] = "".join(f"{kind} {name} {compact(value)}\n" for kind, name, value in pieces(data, folder))
    for name, text in files.items():
        write_if_changed(os.path.join(out, name), text.encode("ascii"))
    for name in os.listdir(out):
        if name.endswith((".model", ".gz")) and name not in files:
            os.remove(os.path.join(out, name))


def main():
    parser = argparse.ArgumentParser(description="Compile the AWS service models.")
    parser.add_argument("--pin", required=True, help="file that names the botocore to use")
    parser.add_argument("--out", required=True, help="directory for the compiled models")
    parser.add_argument("--wheels", help="directory where the wheel is, or is downloaded to")
    arguments = parser.parse_args()
    out = arguments.out
    os.makedirs(out, exist_ok=True)
    needed, mark_path, mark = stale(out, read_pin(arguments.pin)[1])
    if needed:
        wheels = arguments.wheels or os.path.join(os.path.dirname(os.path.abspath(out)), "wheels")
        build(Data(fetch_wheel(arguments.pin, wheels)), out)
        write_if_changed(mark_path, mark.encode("ascii"))
    files = [name for name in os.listdir(out) if name.endswith(".model")]
    size = sum(os.path.getsize(os.path.join(out, name)) for name in files)
    print(f"models: {len(files)} services, {size / 1e6:.1f} MB in {out}")


if __name__ == "__main__":
    main()
