# SPDX-License-Identifier: BSD-3-Clause
"""One plugin under two servers: what a client sees of nbdlab's must be what it sees of nbdkit's.

$SOCK is nbdlab's socket and $PEER nbdkit's.  ACCEPTED lists every difference that is not a defect;
a test that needs one more says so in its call.
"""

import json
import os
import subprocess

import nbd

from lab import nbd_errno
from rawnbd import same

# A plugin that names no block sizes: nbdlab announces the limits that it enforces, nbdkit is silent.
ACCEPTED = {"block_size_minimum": 1, "block_size_preferred": 4096, "block_size_maximum": 64 << 20}

CHUNK = 1 << 20
ADDRESSES = {"nbdkit": "PEER", "nbdlab": "SOCK"}


def address(side):
    return os.environ[ADDRESSES[side]]


# The last client; it leaves before the next one comes, for plugins that serve one at a time.
LAST = None


def look_closer(side, export):
    """A client of its own for one look at the disk."""
    global LAST
    leave()
    LAST = connect(side, export)
    return LAST


def leave():
    global LAST
    if LAST and LAST.aio_is_ready():
        LAST.shutdown()
    LAST = None


def connect(side, export=""):
    """A libnbd client that checks nothing itself."""
    handle = nbd.NBD()
    handle.set_export_name(export)
    handle.set_strict_mode(0)
    handle.add_meta_context(nbd.CONTEXT_BASE_ALLOCATION)
    handle.set_full_info(True)
    handle.connect_unix(address(side))
    return handle


def both(look, *args):
    """look(side, *args) of either server must be the same; returns it."""
    theirs, ours = look("nbdkit", *args), look("nbdlab", *args)
    same(ours, theirs, "%s%r of nbdlab and of nbdkit" % (look.__name__, args))
    return ours


def nbdinfo(side):
    """All that nbdinfo tells, exports and their descriptions among it."""
    uri = "nbd+unix:///?socket=" + address(side)
    told = subprocess.run(["nbdinfo", "--json", "--list", uri], capture_output=True, text=True)
    facts = json.loads(told.stdout) if told.returncode == 0 else {"status": told.returncode}
    for export in facts.get("exports", []):
        del export["uri"]
        if side == "nbdlab" and ACCEPTED.items() <= export.items():
            for name in ACCEPTED:
                del export[name]
    facts.get("exports", []).sort(key=lambda export: export["export-name"])
    return facts


def size(side, export):
    return look_closer(side, export).get_size()


def description(side, export):
    handle = look_closer(side, export)
    try:
        return handle.get_export_description()
    except nbd.Error:
        return None


def contents(side, export, piece=CHUNK):
    handle = look_closer(side, export)
    total = handle.get_size()
    parts = [bytes(handle.pread(min(piece, total - offset), offset))
             for offset in range(0, total, piece)]
    return b"".join(parts)


def same_contents(export="", piece=CHUNK):
    """The whole disk; without the data in the message."""
    theirs, ours = contents("nbdkit", export, piece), contents("nbdlab", export, piece)
    assert len(theirs) == len(ours), "sizes %d of nbdkit and %d of nbdlab" % (
        len(theirs), len(ours))
    if theirs != ours:
        at = next(n for n in range(len(ours)) if ours[n] != theirs[n])
        raise AssertionError("byte %d: nbdlab %r, nbdkit %r" % (
            at, ours[at:at + 16], theirs[at:at + 16]))
    return ours


def extents(side, export):
    """The map of the whole disk; neighbours of one kind as one."""
    handle = look_closer(side, export)
    if not handle.can_meta_context(nbd.CONTEXT_BASE_ALLOCATION):
        return None
    total, offset, found = handle.get_size(), 0, []

    def note(_context, _offset, entries, _error):
        nonlocal offset
        for length, kind in zip(entries[::2], entries[1::2]):
            length = min(length, total - offset)
            offset += length
            if found and found[-1][1] == kind:
                length += found.pop()[0]
            found.append((length, kind))

    while offset < total:
        before = offset
        handle.block_status(min(total - offset, 1 << 31), offset, note)
        assert offset > before, "block status does not move on"
    return found


def steps(total, has_fast_zero):
    """What is done to a disk; each step is the name of a call and its arguments."""
    half = total // 2
    fua, no_hole, fast = nbd.CMD_FLAG_FUA, nbd.CMD_FLAG_NO_HOLE, nbd.CMD_FLAG_FAST_ZERO
    yield "pread", 1, 0
    yield "pwrite", b"first" * 100, 0
    yield "pwrite", b"odd" * 111, 777
    yield "pwrite", b"Z" * 65536, half
    yield "pwrite", b"forced", half + 5, fua
    yield "flush",
    yield "zero", 4096, half + 4096
    yield "zero", 4096, half + 16384, no_hole
    yield "zero", 333, half + 33333, fua
    if has_fast_zero:
        # nbdkit 1.32 aborts when it is asked for what it has not offered.
        yield "zero", 4096, half + 8192, fast
    yield "trim", 4096, half + 24576
    yield "trim", 4096, half + 45056, fua
    yield "cache", 4096, half
    yield "pwrite", b"last", total - 4
    yield "pread", 4, total - 4
    yield "pread", 2, total - 1
    yield "pwrite", b"xy", total - 1
    yield "zero", 2, total - 1
    yield "trim", 2, total - 1
    yield "pread", 0, 0
    yield "flush",


def work(side, export, left_out=()):
    """The errno of each step, 0 for success."""
    handle = look_closer(side, export)
    told = [(step, nbd_errno(getattr(handle, step[0]), *step[1:]))
            for step in steps(handle.get_size(), handle.can_fast_zero())
            if step[0] not in left_out]
    return [("%s %s" % (step[0], [a if isinstance(a, int) else len(a) for a in step[1:]]), number)
            for step, number in told]


def same_disk(exports=("",), is_written=True, maps=2, left_out=(), piece=CHUNK):
    """All of the above for some exports; returns the contents of the last one.

    maps is how often extents are compared: 2 for before and after what is written, 1 for before
    alone.  Files need 1: a file system says "data" of zeroes that somebody has read, and nbdlab
    does not read where the plugin says "hole".  0, with pieces too small for nbdlab to ask where
    holes are, is for plugins whose extents crash.
    """
    both(nbdinfo)
    for export in exports:
        assert both(size, export) >= 0
        both(description, export)
        data = same_contents(export, piece)
        if maps > 0:
            both(extents, export)
        if is_written:
            both(work, export, left_out)
            data = same_contents(export, piece)
        if is_written and maps > 1:
            both(extents, export)
        leave()
    return data
