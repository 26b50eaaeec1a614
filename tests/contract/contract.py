# SPDX-License-Identifier: BSD-3-Clause
"""The disk of README.md, in Python."""

import builtins
import errno
import os
import threading

import nbdkit

API_VERSION = 2
magic_config_key = "word"

SIZE = 1 << 20
TOLD, GATE, ERRNO, ERRNO_MAX = 64 << 10, 128 << 10, 256 << 10, 133
HOLE, ZERO = 512 << 10, 768 << 10

disk = bytearray(SIZE)
lock = threading.Lock()
log = os.environ.get("CONTRACT_LOG")
log_fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666) if log else None


def note(*words):
    if log_fd is not None:
        os.write(log_fd, (" ".join(str(word) for word in words if word != "") + "\n").encode())


def boolean(value):
    return "true" if value else "false"


def show(flags):
    names = [("fua", nbdkit.FLAG_FUA), ("may_trim", nbdkit.FLAG_MAY_TRIM),
             ("fast", nbdkit.FLAG_FAST_ZERO), ("req_one", nbdkit.FLAG_REQ_ONE)]
    return ",".join(name for name, flag in names if flags & flag)


def is_told(method, export, offset=TOLD):
    return (os.environ.get("CONTRACT_WHEN") == method and export in (None, "told")
            and offset == TOLD)


def told_to_be_wrong(method, export, offset=TOLD):
    return is_told(method, export, offset) and os.environ.get("CONTRACT_DO") == "wrong"


def finish(method, export, offset=TOLD):
    """Ends a callback whose work is done."""
    action = os.environ.get("CONTRACT_DO") if is_told(method, export, offset) else None
    if action == "fail":
        raise RuntimeError("told to fail")
    if action == "shutdown":
        nbdkit.shutdown()
    if action in ("soft", "forced"):
        nbdkit.disconnect(action == "forced")
    if action in ("shutdown", "soft", "forced") and os.environ.get("CONTRACT_RESULT") == "fail":
        nbdkit.set_error(errno.ENOSPC)
        raise RuntimeError("told to fail")
    note("end", method)


def serve(method, *arguments):
    note("begin", method, *arguments)
    finish(method, None)


def serve_handle(method, export):
    note("begin", method, export)
    finish(method, export)


def find_errno(offset):
    number, rest = divmod(offset - ERRNO, 512)
    return number if 1 <= number <= ERRNO_MAX and rest == 0 else 0


def check_errno(offset):
    number = find_errno(offset)
    if number:
        nbdkit.set_error(number)
        raise RuntimeError("told errno %d" % number)


def config(key, value):
    if key not in ("word", "other"):
        raise ValueError("unknown parameter " + key)
    serve("config", key, value)


def config_complete():
    serve("config_complete")


def thread_model():
    serve("thread_model")
    return nbdkit.THREAD_MODEL_PARALLEL


def get_ready():
    serve("get_ready")


def after_fork():
    serve("after_fork")


def cleanup():
    serve("cleanup")


def preconnect(readonly):
    serve("preconnect", boolean(readonly))


def list_exports(readonly, is_tls):
    serve("list_exports", boolean(readonly), boolean(is_tls))
    return ["plain", ("told", "does what it is told")]


def default_export(readonly, is_tls):
    serve("default_export", boolean(readonly), boolean(is_tls))
    return "plain"


def open(readonly):
    export = nbdkit.export_name()
    note("begin", "open", export, boolean(readonly))
    finish("open", export)
    return export


def close(h):
    serve_handle("close", h)


def export_description(h):
    serve_handle("export_description", h)
    return "the export " + h


def get_size(h):
    serve_handle("get_size", h)
    return -5 if told_to_be_wrong("get_size", h) else SIZE


def block_size(h):
    serve_handle("block_size", h)
    return 3 if told_to_be_wrong("block_size", h) else 1, 4096, SIZE


def answer(question, value):
    def function(h):
        serve_handle(question, h)
        return value
    return function


for question in ["can_write", "can_flush", "can_trim", "can_zero", "can_fast_zero", "can_extents",
                 "can_multi_conn", "is_rotational"]:
    globals()[question] = answer(question, True)
can_fua = answer("can_fua", nbdkit.FUA_NATIVE)
can_cache = answer("can_cache", nbdkit.CACHE_NATIVE)


def pread(h, buf, offset, flags):
    note("begin", "pread", h, len(buf), offset, show(flags))
    if offset == GATE:
        with builtins.open(os.environ["CONTRACT_GATE"], "rb", buffering=0) as gate:
            while gate.read(1) != b"\n":
                pass
    if find_errno(offset):
        raise OSError(find_errno(offset), "told errno %d" % find_errno(offset))
    if told_to_be_wrong("pread", h, offset):
        buf[:] = bytes(len(buf) - 1)
    with lock:
        buf[:] = disk[offset:offset + len(buf)]
    finish("pread", h, offset)


def pwrite(h, buf, offset, flags):
    note("begin", "pwrite", h, len(buf), offset, show(flags))
    check_errno(offset)
    with lock:
        disk[offset:offset + len(buf)] = buf
    finish("pwrite", h, offset)


def flush(h, flags):
    serve_handle("flush", h)


def clear(method, h, count, offset, flags):
    note("begin", method, h, count, offset, show(flags))
    check_errno(offset)
    if flags & nbdkit.FLAG_FAST_ZERO and offset >= ZERO:
        raise OSError(errno.EOPNOTSUPP, "not fast")
    with lock:
        disk[offset:offset + count] = bytes(count)
    finish(method, h, offset)


def trim(h, count, offset, flags):
    clear("trim", h, count, offset, flags)


def zero(h, count, offset, flags):
    clear("zero", h, count, offset, flags)


def cache(h, count, offset, flags):
    note("begin", "cache", h, count, offset, show(flags))
    check_errno(offset)
    finish("cache", h, offset)


def extents(h, count, offset, flags):
    note("begin", "extents", h, count, offset, show(flags))
    if told_to_be_wrong("extents", h, offset):
        return [(offset + 512, 512, 0)]
    finish("extents", h, offset)
    return [(0, HOLE, 0),
            (HOLE, ZERO - HOLE, nbdkit.EXTENT_HOLE | nbdkit.EXTENT_ZERO),
            (ZERO, SIZE - ZERO, nbdkit.EXTENT_ZERO)]
