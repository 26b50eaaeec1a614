#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""run.py [--rows PATTERN] [--check]: compares nbdlab with nbdkit; make bench runs it.

Prints the table and, when all rows were run, writes it to bench/RESULTS.md and README.md.
--rows runs the rows whose name matches a regular expression. --check runs each row once for a
moment, with its data verified, only to see that it can be run; it ends with "N passed, N failed".
"""

import argparse
import contextlib
import os
import re
import resource
import signal
import sys
import tempfile
import time

import report
from rows import BARE_LOOP, GROUPS
from servers import BareLoop, NotAvailable, Place, Server, measure_start

START_S = time.monotonic()
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Plan:
    """How much is measured: five pairs, or for --check one of a moment."""

    def __init__(self, is_short):
        self.is_short = is_short
        self.pairs = 1 if is_short else 5
        self.idle_connections = 20 if is_short else 1000

    def arguments(self, group, row, name):
        """What to tell nbdload besides the row's own arguments."""
        if not self.is_short:
            return [f"--time={group.time_ms}ms", "--warm-up=50ms"]
        arguments = ["--time=5ms", "--warm-up=0"]
        if group.keeps or name == "bare":
            arguments += ["--verify", f"--range={row.small_range()}"]
        return arguments


class Result:
    """The pairs of a row that were measured; `reason` says why there are none."""

    def __init__(self, group, row):
        self.group = group
        self.row = row
        self.pairs = []    # dicts of ours, peer and perhaps bare
        self.reason = None


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def in_turn(sides, number):
    """The order changes from pair to pair, so that neither side always has what the other left."""
    return sides if number % 2 == 0 else sides[::-1]


def measure_load(plan, group, results, servers, number):
    for result in results:
        if result.reason:
            continue
        progress(f"{result.row.name}, pair {number + 1}")
        pair = {}
        for name, server in in_turn(list(servers.items()), number):
            try:
                answer = server.load(*plan.arguments(group, result.row, name), *result.row.load())
            except NotAvailable as reason:
                result.reason = f"{name}: {reason}"
                break
            pair[name] = float(answer["requests_per_s"])
        result.pairs.append(pair)


def measure_pair(plan, place, group, results, number):
    """Starts the servers of a group anew, and measures each row with each of them in turn."""
    with contextlib.ExitStack() as stack:
        servers = {}
        for name, side in (("ours", group.ours), ("peer", group.peer)):
            servers[name] = stack.enter_context(Server(place, name, side))
        if group.fills and not plan.is_short:
            for server in servers.values():
                server.load("--fill", "--block-size=1M", "--depth=4", "--time=0")
        if group.has_limit:
            servers["bare"] = stack.enter_context(BareLoop(place, "bare", BARE_LOOP))
        measure_load(plan, group, results, servers, number)


def measure_idle_pair(plan, place, group, results, number):
    pairs = [{} for result in results]
    for name, side in in_turn([("ours", group.ours), ("peer", group.peer)], number):
        progress(f"{group.name}, pair {number + 1}")
        with Server(place, name, side) as server:
            status = server.measure_idle(plan.idle_connections)
        for pair, result in zip(pairs, results):
            pair[name] = status[result.row.kind]
    for pair, result in zip(pairs, results):
        result.pairs.append(pair)


def measure_start_pair(plan, place, group, results, number):
    progress(f"{group.name}, pair {number + 1}")
    pair = {}
    for name, side in in_turn([("ours", group.ours), ("peer", group.peer)], number):
        pair[name] = measure_start(place, name, side)
    results[0].pairs.append(pair)


MEASURES = {"load": measure_pair, "threads": measure_idle_pair, "memory": measure_idle_pair,
            "start": measure_start_pair}


def measure_group(plan, place, group, rows):
    results = [Result(group, row) for row in rows]
    try:
        for number in range(plan.pairs):
            MEASURES[rows[0].kind](plan, place, group, results, number)
    except NotAvailable as reason:
        for result in results:
            result.reason = str(reason)
    progress("")
    return results


def measure_all(plan, place, pattern):
    results = []
    report.show_head()
    for group in GROUPS:
        rows = [row for row in group.rows if pattern.search(row.name)]
        if rows:
            results += measure_group(plan, place, group, rows)
            report.show(results[-len(rows):], is_judged=not plan.is_short)
    return results


@contextlib.contextmanager
def make_place(build):
    """A folder for sockets and logs, and one in memory for the disks, so that no writing back to a
    real one disturbs the measurement."""
    in_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, \
            tempfile.TemporaryDirectory(prefix="bench-", dir=in_memory) as files:
        for side in "ours", "peer":
            with open(os.path.join(files, side), "wb") as disk:
                disk.truncate(64 << 20)
        yield Place(ROOT, build, folder, files)


def finish_check(results):
    wrong = [result for result in results if not report.is_measured(result)]
    for result in wrong:
        print(f"FAILED  {result.row.name}: {result.reason}")
    print(f"{len(results) - len(wrong)} passed, {len(wrong)} failed")
    return 1 if wrong else 0


def finish(place, results, is_all):
    if is_all:
        report.write(ROOT, place.names, results)
    missing = [result for result in results if result.reason]
    low = [result for result in results if not result.reason and report.is_below(result)]
    print(f"{len(results)} rows in {time.monotonic() - START_S:.0f} s: "
          f"{len(low)} miss their floor, {len(missing)} not available")
    return 1 if missing else 0


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rows", default="", metavar="PATTERN")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--build", default=os.path.join(ROOT, "build"), metavar="FOLDER")
    arguments = parser.parse_args()
    try:
        arguments.pattern = re.compile(arguments.rows, re.IGNORECASE)
    except re.error as error:
        parser.error(f"--rows={arguments.rows}: {error}")
    if not any(arguments.pattern.search(row.name) for group in GROUPS for row in group.rows):
        parser.error(f"--rows={arguments.rows}: no row's name matches")
    return arguments


def raise_exit(number, frame):
    """A signal ends the contexts too, and with them the servers."""
    raise SystemExit(128 + number)


def main():
    arguments = parse_arguments()
    for number in signal.SIGTERM, signal.SIGHUP:
        signal.signal(number, raise_exit)
    # A thousand clients are more files than shells allow by default.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    plan = Plan(arguments.check)
    if not plan.is_short and report.LOAD_BEFORE > os.cpu_count() / 2:
        print(f"note: others are busy on this machine (load {report.LOAD_BEFORE:.1f}); "
              "the figures will not be worth much", file=sys.stderr)
    with make_place(arguments.build) as place:
        results = measure_all(plan, place, arguments.pattern)
        if arguments.check:
            return finish_check(results)
        return finish(place, results, not arguments.rows)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Nobody reads the figures any more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(141)
