# SPDX-License-Identifier: BSD-3-Clause
"""The rules of the NBD protocol document, proto.md, as cases for ../rules.py, a module per part.

A case is a function with @rule before it (book.py) that gets a Bench (bench.py): servers, disks and
clients.  It returns if the server obeys, and raises with what it saw if not.
"""

PARTS = ["handshake", "options", "info", "metacontexts", "transmission", "replies", "flags",
         "commands", "blocksizes", "errors", "termination", "hostile", "extended", "tls"]
