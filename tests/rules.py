#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Walks the rules of proto.md, one case a rule, and says which ones a server breaks.

    tests/rules.py                          start servers of ours ($NBDLAB, $BUILD) and try all
    tests/rules.py --list                   the rules, grouped by section of proto.md
    tests/rules.py --only ID                one rule; may be said more than once
    tests/rules.py --socket PATH            try a server that runs already, as far as one disk allows
    tests/rules.py --uri nbd://host[:port]/export   the same

The output is TAP, a line for each rule: ok or not ok, the rule's name, how binding it is, its
section, and the rule.  With --socket and --uri only broken MUSTs count for the exit status.
"""

import argparse
import importlib
import os
import sys
import traceback
import urllib.parse

import reader
from rawnbd import Closed, OptionError, Silence
from rules import PARTS, bench
from rules.book import BOOK, MUST, SECTIONS, SENSE, Skip


def read_arguments():
    parser = argparse.ArgumentParser(description="Try the rules of the NBD protocol on a server.")
    parser.add_argument("--list", action="store_true", help="print the rules and end")
    parser.add_argument("--only", metavar="ID", action="append", help="try this rule alone")
    parser.add_argument("--socket", metavar="PATH", help="try the server on this Unix socket")
    parser.add_argument("--uri", help="try the server of this NBD URI")
    parser.add_argument("--export", default="", help="export to use with --socket")
    parser.add_argument("--may-write", action="store_true",
                        help="with --socket or --uri: try rules that overwrite the disk, too")
    return parser.parse_args()


def read_uri(uri):
    """(address, export) of an NBD URI without TLS."""
    parts = urllib.parse.urlsplit(uri)
    export = urllib.parse.unquote(parts.path[1:])
    if parts.scheme == "nbd":
        return (parts.hostname, parts.port or 10809), export
    if parts.scheme == "nbd+unix":
        return urllib.parse.parse_qs(parts.query)["socket"][0], export
    sys.exit("rules.py: %s: not an nbd:// or nbd+unix:// URI" % uri)


def choose_target(arguments):
    if arguments.uri:
        return bench.Foreign(*read_uri(arguments.uri), arguments.may_write)
    if arguments.socket:
        return bench.Foreign(arguments.socket, arguments.export, arguments.may_write)
    build = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + "/build/check"
    build = os.environ.setdefault("BUILD", build)
    if not os.path.exists(os.environ.setdefault("NBDLAB", build + "/nbdlab")):
        sys.exit("rules.py: there is no %(NBDLAB)s; build with make check" % os.environ)
    return bench.Ours()


def choose_rules(names):
    for part in PARTS:
        importlib.import_module("rules." + part)
    for name in names or ():
        if name not in BOOK:
            sys.exit("rules.py: there is no rule %s; --list names all" % name)
    return [BOOK[name] for name in names or BOOK]


def print_list(rules):
    place = {section: number for number, section in enumerate(SECTIONS)}
    last = None
    for rule in sorted(rules, key=lambda rule: place[rule.section.split(": ")[0]]):
        section, _, item = rule.section.partition(": ")
        if section != last:
            print("%s%s\n" % ("\n" if last else "", section))
        last = section
        print("  %-32s %-6s %s%s" % (rule.id, rule.level, item + ": " if item else "", rule.text))
    print("\n%d rules" % len(rules))


def explain(error):
    """What went wrong, in lines."""
    if isinstance(error, (AssertionError, Closed, OptionError, Silence, ConnectionError)):
        text = str(error) or type(error).__name__
        where = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in where if "tests/rules/" in frame.filename
               and frame.name not in ("expect", "one_of")] or where
        return [text, "at %s:%d: %s" % (os.path.basename(own[-1].filename), own[-1].lineno,
                                        own[-1].line)]
    return traceback.format_exc().splitlines()


def try_rule(rule, table):
    """("ok", what the server chose), ("skip", why) or ("broken", lines)."""
    try:
        note = rule.run(table)
        table.target.check()
        return "ok", note or ""
    except Skip as skip:
        return "skip", str(skip)
    except Exception as error:  # whatever it is, it is this rule's
        return "broken", (explain(error) + table.target.obituary() + ["what was said last:"] +
                          ["  " + line for line in table.transcript])
    finally:
        table.clean()


def report(number, rule, outcome, what):
    print("%sok %d %s [%s] %s: %s%s%s" % (
        "not " if outcome == "broken" else "", number, rule.id, rule.level, rule.section,
        rule.text, " # SKIP " + what if outcome == "skip" else "",
        " (%s)" % what if outcome == "ok" and what else ""), flush=True)
    for line in what if outcome == "broken" else ():
        print("# " + line, flush=True)


def main():
    arguments = read_arguments()
    rules = choose_rules(arguments.only)
    if arguments.list:
        print_list(rules)
        return 0
    target = choose_target(arguments)
    table = bench.Bench(target)
    broken = 0
    print("1..%d" % len(rules), flush=True)
    try:
        for number, rule in enumerate(rules, 1):
            outcome, what = try_rule(rule, table)
            report(number, rule, outcome, what)
            broken += outcome == "broken" and (table.is_ours or rule.level == MUST)
    finally:
        target.end()
    return 1 if broken else 0


if __name__ == "__main__":
    reader.end_with(main)
