#!/usr/bin/env python3
"""Starts the test stack and prints its addresses as one JSON object; ends it on SIGTERM, SIGINT or end of input.

build/venv/bin/python tests/support/stack.py up --kafka embedded --accounts 4 --dev 1 --regions eu-west-1,us-east-1
build/venv/bin/python tests/support/stack.py up --shell       # "export NAME=value" lines for eval
"""

import argparse
import json
import os
import shlex
import signal
import sys
import threading

from stack import Stack
from stack.rates import measure


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start, print, stay until told to end")
    up.add_argument("--kafka", choices=["real", "embedded", "none"], default="real")
    up.add_argument("--accounts", type=int, default=3)
    up.add_argument("--dev", type=int, default=0, help="how many of the accounts are dev accounts")
    up.add_argument("--regions", type=lambda text: text.split(","), default=None)
    up.add_argument("--moto", type=int, default=1, help="moto processes among which the accounts are spread")
    up.add_argument("--no-redis", dest="redis", action="store_false")
    up.add_argument("--faketime", action="store_true", help="moto under libfaketime")
    up.add_argument("--keep", action="store_true", help="keep the directory when it ends")
    up.add_argument("--shell", action="store_true", help='print "export" lines instead of JSON')
    rates = commands.add_parser("rates", help="measure the stack's own parts")
    rates.add_argument("--moto", type=int, default=1)
    return parser.parse_args()


def main():
    options = arguments()
    if options.command == "rates":
        measure(options.moto)
        return 0
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: over.set())
    stack = Stack(
        kafka=None if options.kafka == "none" else options.kafka,
        redis=options.redis,
        accounts=options.accounts,
        dev=options.dev,
        regions=options.regions,
        moto=options.moto,
        faketime=options.faketime,
        keep=options.keep,
    )
    with stack:
        described = stack.describe()
        if options.shell:
            print(
                "\n".join(f"export {name}={shlex.quote(value)}" for name, value in described["env"].items()), flush=True
            )
        else:
            print(json.dumps(described), flush=True)
        threading.Thread(target=wait_for_end_of_input, args=(over,), daemon=True).start()
        over.wait()
    return 0


def wait_for_end_of_input(over):
    # A terminal or /dev/null says nothing about whoever started us: then only a signal ends the stack.
    if sys.stdin is None or sys.stdin.isatty() or os.path.realpath("/proc/self/fd/0") == "/dev/null":
        return
    while os.read(0, 4096):
        pass
    over.set()


if __name__ == "__main__":
    sys.exit(main())
