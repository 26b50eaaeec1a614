# SPDX-License-Identifier: BSD-3-Clause
"""What a rule is, and the book that has all of them in the order in which they were written."""

import collections

MUST, SHOULD, MAY = "MUST", "SHOULD", "MAY"
SENSE = "SENSE"     # proto.md leaves it open, and every server that people can rely on does it

# The headings of proto.md that rules stand for, in its order.  "Extended reply chunk message", and
# what is said of extended headers and payloads below the others, came with those additions.
SECTIONS = [
    "Conventions",
    "Protocol phases",
    "Oldstyle negotiation",
    "Newstyle negotiation",
    "Fixed newstyle negotiation",
    "Termination of the session during option haggling",
    "Transmission",
    "Ordering of messages and writes",
    "Request message",
    "Simple reply message",
    "Structured reply chunk message",
    "Extended reply chunk message",
    "Terminating the transmission phase",
    "Reserved Magic values",
    "Server-side requirements",
    "NOTLS mode",
    "FORCEDTLS mode",
    "SELECTIVETLS mode",
    "TLS versions",
    "Block size constraints",
    "Metadata querying",
    "The `base:` metadata namespace",
    "`base:allocation` metadata context",
    "Handshake flags",
    "Client flags",
    "Transmission flags",
    "Option types",
    "Option reply types",
    "Command flags",
    "Structured reply flags",
    "Structured reply types",
    "Request types",
    "Error values",
    "Baseline",
    "Maximum interoperability",
]

Rule = collections.namedtuple("Rule", "id part section level text run")
BOOK = {}


class Skip(Exception):
    """The rule cannot be tried on this server; says why."""


class Broken(AssertionError):
    """The server breaks the rule; says how."""


def rule(name, section, text, level=MUST):
    """Write the decorated function into the book.

    section is a heading of proto.md, with ": ITEM" behind it where the text is in a list."""
    def write(run):
        assert section.split(": ")[0] in SECTIONS, section
        assert name not in BOOK, name
        BOOK[name] = Rule(name, run.__module__.rpartition(".")[2], section, level, text, run)
        return run
    return write


def expect(condition, what):
    """Raise unless the condition holds; what says what was seen and should have been."""
    if not condition:
        raise Broken(what)


def one_of(actual, allowed, what):
    """Raise unless actual is one of the allowed values."""
    if actual not in allowed:
        raise Broken("%s: got %r, expected one of %r" % (what, actual, list(allowed)))
