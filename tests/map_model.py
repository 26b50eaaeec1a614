# SPDX-License-Identifier: BSD-3-Clause
"""Whether a disk with a map does what a model in memory says: tests/bats/map.bats runs it.

The server at $SOCK serves tests/disks/mapped.sh with the folder $DISK; the map is made here, at
random.  Four clients at a time each have a quarter of the disk, and of the files a and b.  The
seed is printed; MAP_SEED=SEED repeats a run, as far as threads can be repeated.
"""

import os
import random
import threading

from lab import *  # noqa: F401,F403

K = 1024
QUARTER = 256 * K          # of the disk
SHARE = 64 * K             # of each file
OPERATIONS = 120
DISK = os.environ["DISK"]
SEED = int(os.environ.get("MAP_SEED", random.randrange(1 << 32)))


class Range:
    """A range of the map; base and end are offsets of the disk."""

    def __init__(self, base, length, kind, place=0):
        self.base, self.end, self.kind, self.place = base, base + length, kind, place

    def line(self):
        target = {
            "script": "script",
            "zero": "zero",
            "bad": "error ENOSPC",
            "slow": "delay 1 script",
        }.get(self.kind, "file %s %d" % (self.kind, self.place))
        return "%d %d %s\n" % (self.base, self.end - self.base, target)


def make_ranges(rng, quarter):
    """What a quarter of the disk is made of, without gaps; "gap" is what the map leaves out."""
    ranges, at, end = [], quarter * QUARTER, (quarter + 1) * QUARTER
    place = {"a": quarter * SHARE, "b": quarter * SHARE}
    while at < end:
        kind = rng.choice(["a", "a", "b", "b", "zero", "gap", "script", "slow", "bad"])
        length = min(end - at, rng.choice([1, 511, 512, 4096, 5000, rng.randrange(1, 16 * K)]))
        if kind == "bad":
            length = min(length, 100)
        if kind in place:
            length = min(length, (quarter + 1) * SHARE - place[kind])
            if length == 0:
                kind, length = rng.choice(["gap", "script"]), min(end - at, 4096)
        ranges.append(Range(at, length, kind, place.get(kind, 0)))
        if kind in place:
            place[kind] += length
        at += length
    return ranges


class Worker(threading.Thread):
    def __init__(self, quarter, ranges):
        super().__init__()
        self.rng = random.Random(SEED * 4 + quarter)
        self.base = quarter * QUARTER
        self.ranges = ranges
        self.failure = None
        letters = {"a": b"a", "b": b"b", "zero": b"\0", "bad": b"?"}
        self.data = bytearray()
        for part in ranges:
            self.data += letters.get(part.kind, b"s") * (part.end - part.base)

    def parts(self, offset, length):
        """The pieces of a request: kind, first and last byte within self.data."""
        for part in self.ranges:
            begin, end = max(part.base, offset), min(part.end, offset + length)
            if begin < end:
                yield part.kind, begin - self.base, end - self.base

    def change(self, offset, length, how):
        """Changes the model by how(kind, begin, end), part by part; returns the errno."""
        for kind, begin, end in self.parts(offset, length):
            if kind == "bad":
                return ENOSPC
            if kind == "zero" and how is not None:
                return EPERM
            if how is not None:
                new = how(kind, begin, end)
                self.data[begin:end] = new if new is not None else self.data[begin:end]
        return 0

    def pick(self):
        length = self.rng.choice([1, 512, self.rng.randrange(1, 8 * K), self.rng.randrange(1, 90 * K)])
        return self.base + self.rng.randrange(QUARTER - length), length

    def read(self, client):
        wanted = {}
        for _ in range(self.rng.choice([1, 1, 4])):
            offset, length = self.pick()
            wanted[client.send_request(CMD_READ, offset, length)] = (offset, length)
        for cookie, reply in client.replies(len(wanted)).items():
            offset, length = wanted[cookie]
            same(reply.error, self.change(offset, length, None), "errno of a read")
            begin = offset - self.base
            assert reply.error or reply.data == self.data[begin:begin + length], \
                "read of %d at %d differs" % (length, offset)

    def write(self, client):
        offset, length = self.pick()
        data = self.rng.randbytes(length)
        flags = FLAG_FUA if self.rng.random() < 0.2 else 0
        start = offset - self.base
        expected = self.change(offset, length, lambda _, begin, end: data[begin - start:end - start])
        same(client.errno(CMD_WRITE, offset, length, data=data, flags=flags), expected, "of a write")

    def zero(self, client):
        offset, length = self.pick()
        flags = self.rng.choice([0, FLAG_NO_HOLE, FLAG_FUA, FLAG_FAST_ZERO])
        kinds = {kind for kind, _, _ in self.parts(offset, length)}
        if flags == FLAG_FAST_ZERO and kinds & {"script", "gap", "slow"}:
            expected = ENOTSUP
        else:
            expected = self.change(offset, length, lambda _, begin, end: bytes(end - begin))
        same(client.errno(CMD_WRITE_ZEROES, offset, length, flags=flags), expected, "of a zero")

    def trim(self, client):
        offset, length = self.pick()
        expected = self.change(offset, length, lambda kind, begin, end:
                               bytes(end - begin) if kind in "ab" else None)
        same(client.errno(CMD_TRIM, offset, length), expected, "errno of a trim")

    def run(self):
        try:
            client = ready(meta=True)
            for _ in range(OPERATIONS):
                step = self.rng.choice([self.read, self.read, self.write, self.write, self.zero,
                                        self.trim])
                step(client)
            same(client.errno(CMD_FLUSH), 0, "errno of a flush")
            client.disconnect()
            self.check_files()
        except BaseException as failure:  # it is raised again where it is seen
            self.failure = failure

    def check_files(self):
        """What the files and the script have in the end."""
        for part in self.ranges:
            if part.kind in ("zero", "bad"):
                continue
            is_file = part.kind in "ab"
            with open("%s/%s" % (DISK, part.kind if is_file else "own"), "rb") as file:
                file.seek(part.place if is_file else part.base)
                data = file.read(part.end - part.base)
            assert data == self.data[part.base - self.base:part.end - self.base], \
                "%s at %d differs in the end" % (part.kind, part.base)


def main():
    print("MAP_SEED=%d" % SEED)
    rng = random.Random(SEED)
    quarters = [make_ranges(rng, quarter) for quarter in range(4)]
    with open(DISK + "/map", "w") as table:
        for ranges in quarters:
            table.writelines(part.line() for part in ranges if part.kind != "gap")
    workers = [Worker(quarter, ranges) for quarter, ranges in enumerate(quarters)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for worker in workers:
        if worker.failure:
            raise worker.failure


main()
