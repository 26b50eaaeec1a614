#!/usr/bin/env -S nbdlab python
# SPDX-License-Identifier: BSD-3-Clause
#
# A RAM disk in Python: empty at the start, shared by all clients, gone when the server ends.
# Try it:
#
#   ./nbdlab -U - python examples/ramdisk.py 32M --run 'nbdcopy /etc/services "$uri"; nbdinfo "$uri"'
#
# Parameter: [size=]SIZE, 64M if it is left out.

import nbdkit

API_VERSION = 2

# What a parameter without a key is: "32M" is "size=32M".
magic_config_key = "size"

disk = bytearray(64 << 20)


def config(key, value):
    global disk
    if key != "size":
        raise ValueError(f"unknown parameter '{key}': this disk takes size=SIZE")
    disk = bytearray(nbdkit.parse_size(value))


# Whatever is returned here comes back as the first argument of the functions below. This disk is
# the same for everybody, so that it needs nothing to tell its clients apart.
def open(readonly):
    return None


def get_size(h):
    return len(disk)


# All clients see what one has written, so one client may use several connections.
def can_multi_conn(h):
    return True


# buf is the server's own memory: fill it.
def pread(h, buf, offset, flags):
    buf[:] = disk[offset:offset + len(buf)]


# To refuse, raise OSError(errno.ENOSPC, "no space left"): the client gets that errno. Any other
# exception is EIO for it, and a line in the server's log.
def pwrite(h, buf, offset, flags):
    disk[offset:offset + len(buf)] = buf


def zero(h, count, offset, flags):
    disk[offset:offset + count] = bytes(count)


# Memory needs no flush; that there is one tells clients that flushing works.
def flush(h, flags):
    pass
