# SPDX-License-Identifier: BSD-3-Clause
"""Error values: which there are, and what a disk's errno becomes."""

import errno as system

from rules.bench import *
from rules.book import SENSE, SHOULD, expect, one_of, rule

VALUES = (EPERM, EIO, ENOMEM, EINVAL, ENOSPC, EOVERFLOW, ENOTSUP, ESHUTDOWN)


def errno_from(t, number, kind=CMD_READ, **raw):
    client = t.ready("error=%d" % number)
    return client.errno(kind, 0, 0 if kind == CMD_FLUSH else 512, **raw)


@rule("errors-are-defined", "Error values",
      "Whatever errno a disk fails with, the client gets one of the values that are defined.")
def _(t):
    for number in range(1, 135):
        one_of(errno_from(t, number), VALUES, "value for errno %d" % number)


@rule("errors-in-simple-replies", "Error values",
      "The errors in simple replies are of the values that are defined, too.")
def _(t):
    for number in (1, 2, 5, 11, 12, 22, 28, 30, 75, 95, 108, 110, 122):
        client = t.ready("error=%d" % number, structured=False)
        one_of(client.errno(CMD_READ, 0, 512), VALUES, "value for errno %d" % number)


@rule("errors-kept", "Error values",
      "An errno that has a value of its own is told by that value.", SENSE)
def _(t):
    for number in (EPERM, EIO, ENOMEM, EINVAL, ENOSPC):
        for kind in (CMD_READ, CMD_FLUSH, CMD_TRIM, CMD_CACHE, CMD_WRITE_ZEROES):
            same(errno_from(t, number, kind), number, "value for errno %d" % number)
        same(errno_from(t, number, CMD_WRITE, data=bytes(512)), number, "value in a write")


@rule("errors-no-space", "Error values",
      "EDQUOT and EFBIG become NBD_ENOSPC.", SHOULD)
def _(t):
    for number in (system.EDQUOT, system.EFBIG):
        same(errno_from(t, number, CMD_WRITE, data=bytes(512)), ENOSPC,
             "value for errno %d" % number)


@rule("errors-read-only", "Error values",
      "EROFS becomes NBD_EPERM, the value for what is read-only.", SENSE)
def _(t):
    same(errno_from(t, system.EROFS, CMD_WRITE, data=bytes(512)), EPERM, "value")


@rule("errors-other", "Error values",
      "Any other errno becomes NBD_EIO or NBD_EINVAL.", SENSE)
def _(t):
    for number in (system.ENOENT, system.ETIMEDOUT, system.EAGAIN, system.ECONNRESET,
                   system.EINTR, system.EBADF):
        one_of(errno_from(t, number), (EIO, EINVAL), "value for errno %d" % number)


@rule("errors-shutdown", "Error values",
      "ESHUTDOWN is told as NBD_ESHUTDOWN.", SENSE)
def _(t):
    same(errno_from(t, ESHUTDOWN), ESHUTDOWN, "value")


@rule("errors-notsup", "Error values",
      "NBD_ENOTSUP is told for fast zeroes alone: with other commands, a disk's ENOTSUP becomes "
      "something else.", SHOULD)
def _(t):
    for kind in (CMD_READ, CMD_FLUSH, CMD_TRIM, CMD_CACHE):
        expect(errno_from(t, ENOTSUP, kind) not in (0, ENOTSUP), "command %d: it is told" % kind)
    expect(errno_from(t, ENOTSUP, CMD_WRITE, data=bytes(512)) not in (0, ENOTSUP),
           "a write: it is told")


@rule("errors-overflow", "Error values",
      "NBD_EOVERFLOW is told for reads with DF alone.", SHOULD)
def _(t):
    for kind in (CMD_READ, CMD_FLUSH, CMD_TRIM, CMD_CACHE, CMD_WRITE_ZEROES):
        expect(errno_from(t, EOVERFLOW, kind) not in (0, EOVERFLOW),
               "command %d: it is told" % kind)
    expect(errno_from(t, EOVERFLOW, CMD_READ, flags=FLAG_DF), "a read with DF succeeded")


@rule("errors-nomem-not-for-limits", "Error values",
      "What a client asks too much of is not answered with NBD_ENOMEM.", SHOULD)
def _(t):
    client = t.ready("size=8G")
    for length in (0xFFFFFFFF, 1 << 30, 100 << 20):
        expect(client.errno(CMD_READ, 0, length) != ENOMEM, "NBD_ENOMEM for %d bytes" % length)


@rule("errors-do-not-end-it", "Terminating the transmission phase",
      "No error value ends the connection: the next request is answered.")
def _(t):
    client = t.ready("error=5")
    for _ in range(50):
        same(client.errno(CMD_READ, 0, 512), EIO, "errno")
    client.disconnect()
