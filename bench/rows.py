# SPDX-License-Identifier: BSD-3-Clause
"""What is compared: groups of two servers, and the rows that both are measured with.

A command's words may name {nbdlab}, {nbdkit}, {theirs} (nbdkit's folder of plugins), {disks},
{bench} (our built programs), {examples} (the sources of plugins), {compiled} (those that are
built), {files} (a folder for disks) and {side}, ours or peer.
"""

from dataclasses import dataclass, field

DISK = "64M"   # of the C plugins


@dataclass
class Side:
    """A server: its command without the options for the socket, and its environment."""
    command: list
    environment: dict = field(default_factory=dict)


@dataclass
class Row:
    """One line of the table. A floor is a bound of ours / peer: at least, or where less is
    better at most. `limit_floor` bounds ours / bare loop."""
    name: str
    kind: str = "load"        # load, threads, memory or start
    block_kib: int = 4
    depth: int = 1
    connections: int = 1
    writes: bool = False
    floor: float = None
    limit_floor: float = None
    quote: str = None         # its name in the README, if it is quoted

    def load(self):
        """The arguments for nbdload."""
        order = ["--random"] if self.block_kib == 4 else []
        return order + [f"--block-size={self.block_kib}k", f"--depth={self.depth}",
                        f"--connections={self.connections}",
                        f"--writes={100 if self.writes else 0}"]

    def small_range(self):
        """The part of the disk that is enough to have all requests in flight, twice over."""
        return f"{2 * self.block_kib * self.depth * self.connections}k"


@dataclass
class Group:
    name: str
    ours: Side
    peer: Side
    rows: list
    fills: bool = False       # the disk is written before it is measured
    has_limit: bool = False   # the bare loop is measured beside it
    keeps: bool = True        # what is written can be read
    time_ms: int = 150        # of a measurement


def is_less_better(kind):
    return kind != "load"


def both(name, quote=None, **fields):
    """A row of reads, which the README may quote, and one of writes."""
    return [Row(f"{name}, reads", quote=quote, **fields),
            Row(f"{name}, writes", writes=True, **fields)]


def data_path(name, quotes=(None, None)):
    """The rows of the data path, with the floors that each plugin has to reach."""
    return [
        *both(f"{name}, 4 KiB, depth 1", floor=1.0),
        *both(f"{name}, 4 KiB, depth 64", quotes[0], depth=64, floor=3.0, limit_floor=0.5),
        *both(f"{name}, 4 KiB, 4 × depth 16", quotes[1], depth=16, connections=4, floor=4.0),
        *both(f"{name}, 1 MiB, depth 4", block_kib=1024, depth=4, floor=1.1),
    ]


def script_rows(name, floor, quote):
    return [*both(f"{name}, 4 KiB, depth 1", quote, floor=floor),
            *both(f"{name}, 4 KiB, depth 8", depth=8, floor=floor)]


def language_rows(name, floor=None, quote=None):
    return [Row(f"{name}, 4 KiB, depth 1, reads", floor=floor),
            Row(f"{name}, 4 KiB, depth 16, reads", depth=16, floor=floor, quote=quote)]


def nbdlab(*words, **environment):
    return Side(["{nbdlab}", *words], environment)


def nbdkit(*words, **environment):
    return Side(["{nbdkit}", *words], environment)


MEMORY = "{theirs}/nbdkit-memory-plugin.so"
NULL = "{theirs}/nbdkit-null-plugin.so"
DD = "{disks}/dd.sh"
BUILTINS = "{disks}/builtins.sh"
HEAVY = "{bench}/heavy.so"

BARE_LOOP = Side(["{bench}/bareloop", DISK])

GROUPS = [
    Group("nbdkit's memory plugin in both",
          nbdlab(MEMORY, DISK), nbdkit(MEMORY, DISK),
          data_path("same memory plugin",
                    ("the same memory plugin in both, 4 KiB reads, depth 64",
                     "the same, 4 connections of depth 16")),
          fills=True, has_limit=True),
    Group("nbdkit's null plugin in both",
          nbdlab(NULL, DISK), nbdkit(NULL, DISK),
          [row for row in data_path("same null plugin")
           if row.block_kib == 4 and (row.depth == 64 or not row.writes)],
          has_limit=True, keeps=False),
    Group("each one's memory plugin",
          nbdlab("memory", DISK), nbdkit("memory", DISK), data_path("memory plugins"),
          fills=True, has_limit=True),
    Group("each one's file plugin",
          nbdlab("file", "{files}/{side}"), nbdkit("file", "{files}/{side}"),
          data_path("file plugins"), fills=True, has_limit=True),
    Group("1000 idle connections",
          nbdlab(MEMORY, DISK), nbdkit(MEMORY, DISK),
          [Row("1000 idle connections, threads", kind="threads", floor=0.25,
               quote="1000 idle connections: threads"),
           Row("1000 idle connections, resident memory", kind="memory", floor=0.25,
               quote="1000 idle connections: resident memory")]),
    Group("spawn: a bash script that uses dd",
          nbdlab("sh", DD), nbdkit("sh", DD),
          [*script_rows("spawn, dd", 1.0, "a bash script that uses dd, 4 KiB reads, depth 1"),
           *both("spawn, dd, 1 MiB", "the same, 1 MiB reads", block_kib=1024, floor=2.0)],
          fills=True, time_ms=400),
    Group("spawn: 512 MiB in the server, beside our own without",
          nbdlab("sh", DD, LD_PRELOAD=HEAVY),
          nbdlab("sh", DD),
          [Row("spawn, dd, 512 MiB touched, beside none", floor=0.95)],
          time_ms=400),
    Group("spawn: 512 MiB in both servers",
          nbdlab("sh", DD, LD_PRELOAD=HEAVY), nbdkit("sh", DD, LD_PRELOAD=HEAVY),
          [Row("spawn, dd, 512 MiB touched in both")], time_ms=400),
    Group("workers: the same bash script",
          nbdlab("sh", DD, "sh.process=worker"), nbdkit("sh", DD),
          script_rows("worker, dd", 1.7,
                      "the same with sh.process=worker, 4 KiB reads, depth 1"),
          fills=True, time_ms=400),
    Group("workers: a script of builtins",
          nbdlab("sh", BUILTINS, "sh.process=worker"), nbdkit("sh", BUILTINS),
          [Row("worker, builtins, 4 KiB, depth 1, reads", floor=3.0,
               quote="a script of shell builtins with sh.process=worker"),
           Row("worker, builtins, 4 KiB, depth 8, reads", depth=8, floor=3.0)],
          keeps=False, time_ms=400),
    Group("map: beside our own file plugin",
          nbdlab("sh", "{disks}/map.sh", BENCH_FILE="{files}/{side}"),
          nbdlab("file", "{files}/{side}"),
          both("map, beside our file plugin, depth 64", depth=64, floor=0.8),
          fills=True),
    Group("python: the same script in both",
          nbdlab("python", "{examples}/ramdisk.py", "size=" + DISK),
          nbdkit("python", "{examples}/ramdisk.py", "size=" + DISK),
          language_rows("python", 1.0, "the same Python script in both, 4 KiB reads, depth 16"),
          fills=True),
    Group("OCaml: a RAM disk beside one in C",
          nbdlab("{compiled}/ocaml-ramdisk.so", DISK), nbdlab("{compiled}/ramdisk.so", DISK),
          language_rows("OCaml, beside C"), fills=True),
    Group("Rust: a RAM disk beside one in C",
          nbdlab("{compiled}/rust-ramdisk.so", DISK), nbdlab("{compiled}/ramdisk.so", DISK),
          language_rows("Rust, beside C"), fills=True),
    Group("start to first reply: memory",
          nbdlab("memory", DISK), nbdkit("memory", DISK),
          [Row("start to first reply, memory", kind="start", floor=1.0)]),
    Group("start to first reply: sh",
          nbdlab("sh", DD), nbdkit("sh", DD),
          [Row("start to first reply, sh", kind="start", floor=1.0)]),
]
