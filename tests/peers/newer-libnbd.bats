#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# libnbd 1.22: extended headers, lengths of 64 bits, block status for some contexts, error text.

load ../bats/common
load peers

@test "nbdinfo: extended headers are negotiated" {
    serve memory 1M
    run -0 bounded nbdinfo "$URI"
    contains "$output" "using extended packets"
    contains "$output" "export-size: 1048576"
    stop
}

@test "without them there are structured replies, and simple ones" {
    serve memory 1M
    bounded nbdsh -c - <<EOT
h.set_request_extended_headers(False)
h.connect_unix("$SOCK")
assert not h.get_extended_headers_negotiated()
assert h.get_structured_replies_negotiated()
h.pwrite(b"data", 0)
assert h.pread(4, 0) == b"data"
EOT
    bounded nbdsh -c - <<EOT
h.set_request_extended_headers(False)
h.set_request_structured_replies(False)
h.connect_unix("$SOCK")
assert not h.get_structured_replies_negotiated()
assert h.pread(4, 0) == b"data"
EOT
    stop
}

@test "zero, trim, cache and block status of more than 4 GiB at once" {
    serve memory 16G
    nbdsh_new --base-allocation <<'EOT'
assert h.get_extended_headers_negotiated()
h.pwrite(b"a" * 4096, 5 << 30)
h.pwrite(b"b" * 4096, 7 << 30)
h.zero(6 << 30, 0)
assert h.pread(4096, 5 << 30) == bytes(4096)
assert h.pread(4096, 7 << 30) == b"b" * 4096
h.trim(9 << 30, 1 << 30)
assert h.pread(4096, 7 << 30) == bytes(4096)
h.cache(10 << 30, 0)
h.pwrite(b"c" * 4096, 11 << 30)
seen = []
h.block_status_64(16 << 30, 0, lambda context, offset, entries, error: seen.extend(entries))
assert sum(length for length, _ in seen) == 16 << 30, seen
assert any(length > 1 << 32 and flags == 3 for length, flags in seen), seen
assert any(flags == 0 for _, flags in seen), seen
EOT
    stop
}

@test "block status for the contexts that are named in its payload" {
    serve memory 16G
    nbdsh_new --base-allocation <<'EOT'
assert h.can_block_status_payload()
seen = []
note = lambda context, offset, entries, error: seen.append((context, entries))
h.block_status_filter(16 << 30, 0, ["base:allocation"], note)
assert seen == [("base:allocation", [(16 << 30, 3)])], seen
h.set_strict_mode(0)
try:
    h.block_status_filter(4096, 0, ["base:unheard-of"], note)
    assert False, "a context that was not negotiated is accepted"
except nbd.Error as error:
    assert error.errno == "EINVAL", error
assert h.pread(1, 0) == bytes(1)
EOT
    stop
}

@test "the plugin's error text reaches the client" {
    serve eval get_size='echo 1M' pread='echo "ENOSPC the tape is torn at $4" >&2; exit 1'
    run -0 bounded nbdsh -u "$URI" -c - <<'EOT'
h.set_debug(True)
try:
    h.pread(512, 1024)
    assert False
except nbd.Error as error:
    assert error.errno == "ENOSPC", error
EOT
    contains "$output" "the tape is torn at 1024"
    stop
}

@test "nbdcopy in and out, holes and data" {
    serve memory 64M
    truncate -s 64M "$DIR/image"
    head -c 3M /dev/urandom | dd of="$DIR/image" bs=1M seek=7 conv=notrunc status=none
    bounded nbdcopy "$DIR/image" "$URI"
    bounded nbdcopy "$URI" "$DIR/copy"
    cmp "$DIR/image" "$DIR/copy"
    stop
}

@test "lengths that are refused leave the connection usable" {
    serve memory 1M
    nbdsh_new <<'EOT'
h.set_strict_mode(0)
for call, wanted in (
        (lambda: h.zero(1 << 63, 0), "ENOSPC"),
        (lambda: h.zero(2 << 20, 0), "ENOSPC"),
        (lambda: h.trim(1 << 40, 0), "EINVAL"),
        (lambda: h.pread(1024, 1 << 20), "EINVAL")):
    try:
        call()
        assert False, "accepted"
    except nbd.Error as error:
        assert error.errno == wanted, (error, wanted)
assert h.pread(1, 0) == bytes(1)
EOT
    stop
}
