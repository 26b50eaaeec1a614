#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The compiled plugins of Debian's nbdkit that run somebody's source, unchanged: sh, eval, cc, and
# those for Perl, Python, Lua, Ruby and Tcl. Each source here is the same disk in another
# language: 1 MiB in memory, its first sector cannot be written to, its second not be read.

load common
load twins

setup() {
    twins_setup
    export SIZE=1048576
}

# same_errors: what the disk above says of its bad sectors, in both servers.
same_errors() {
    compare "$@" <<'EOT'
write, read = (int(number) for number in sys.argv[1:3])
same(both(lambda side: nbd_errno(connect(side).pwrite, b"x", 0)), write, "errno of a write")
same(both(lambda side: nbd_errno(connect(side).pread, 512, 512)), read, "errno of a read")
for side in "nbdkit", "nbdlab":
    connect(side).pwrite(b"kept", 65536)
    connect(side).zero(512, 65540)
    same(bytes(connect(side).pread(6, 65535)), b"\0kept\0", "data")
both(nbdinfo)
both(size, "")
EOT
}

readonly EIO=5 EPERM=1 EINVAL=22 ENOSPC=28

@test "sh" {
    same_dump sh
    same_help sh
    each truncate -s 1M image
    disk disk.sh <<'EOT'
#!/bin/sh
case $1 in
    get_size) stat -c %s image ;;
    pread)
        [ "$4" != 512 ] || { echo "EIO bad sector" >&2; exit 1; }
        dd if=image iflag=skip_bytes,count_bytes,fullblock skip="$4" count="$3" status=none ;;
    pwrite)
        # The sh plugin of 1.32 has data read even where it is of no use.
        [ "$4" != 0 ] || { cat >/dev/null; echo "EPERM the first sector is dear" >&2; exit 1; }
        dd of=image oflag=seek_bytes seek="$4" conv=notrunc status=none ;;
    can_write | can_trim | can_flush) ;;
    trim | zero) fallocate -p -o "$4" -l "$3" -n image ;;
    flush) ;;
    extents) echo 0 1M ;;
    can_extents | is_rotational) ;;
    can_fua) echo emulate ;;
    can_multi_conn) exit 3 ;;
    config) [ "$2" = greeting ] || { echo "what is $2?" >&2; exit 1; } ;;
    export_description) echo "a disk of images" ;;
    *) exit 2 ;;
esac
EOT
    chmod +x "$DIR/disk.sh"
    # The folder that it works in: nbdkit runs scripts in the server's.
    twins sh "$DIR/disk.sh" greeting=hello
    same_errors $EPERM $EIO
    compare <<<'both(extents, ""); both(work, "")'
    stop_twins
    has "bad sector"
    cmp "$DIR/nbdkit/image" "$DIR/nbdlab/image"
    both_refuse sh "$DIR/disk.sh" colour=red
    both_refuse sh
}

@test "eval" {
    same_dump eval
    same_help eval
    each truncate -s 1M image
    twins eval get_size='echo 1M' \
        pread='[ $4 != 512 ] || { echo EIO bad sector >&2; exit 1; }
            dd if=image iflag=skip_bytes,count_bytes,fullblock skip=$4 count=$3 status=none' \
        pwrite='[ $4 != 0 ] || { cat >/dev/null; echo ENOSPC full >&2; exit 1; }
            dd of=image oflag=seek_bytes seek=$4 conv=notrunc status=none' \
        list_exports='echo NAMES; echo one; echo two'
    same_errors $ENOSPC $EIO
    compare <<<'both(work, "")'
    stop_twins
    cmp "$DIR/nbdkit/image" "$DIR/nbdlab/image"
    both_refuse eval pread='exit 1' colour=red
}

@test "cc" {
    same_dump cc
    same_help cc
    cat >"$DIR/disk.c" <<'EOT'
#include <errno.h>
#include <stdint.h>
#include <string.h>
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>
#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

static char sectors[1 << 20];

static void *disk_open(int readonly)
{
    (void)readonly;
    return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t disk_size(void *handle)
{
    (void)handle;
    return sizeof sectors;
}

static int disk_read(void *handle, void *data, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)handle, (void)flags;
    if (offset == 512) {
        nbdkit_error("bad sector");
        nbdkit_set_error(EIO);
        return -1;
    }
    memcpy(data, sectors + offset, count);
    return 0;
}

static int disk_write(void *handle, const void *data, uint32_t count, uint64_t offset,
                      uint32_t flags)
{
    (void)handle, (void)flags;
    if (offset == 0) {
        nbdkit_set_error(ENOSPC);
        return -1;
    }
    memcpy(sectors + offset, data, count);
    return 0;
}

static struct nbdkit_plugin plugin = {
    .name = "disk", .open = disk_open, .get_size = disk_size, .pread = disk_read,
    .pwrite = disk_write,
};
NBDKIT_REGISTER_PLUGIN(plugin)
EOT
    twins cc "$DIR/disk.c" EXTRA_CFLAGS=-Wall
    same_errors $ENOSPC $EIO
    compare <<<'both(work, ""); same_contents(); both(extents, "")'
    stop_twins
    has "bad sector"
    both_refuse cc /dev/null
    both_refuse cc
}

@test "perl" {
    same_dump perl
    same_help perl
    cat >"$DIR/disk.pl" <<'EOT'
use strict;
use POSIX ();
our $API_VERSION = 2;
my $sectors = "\0" x 1048576;
my $greeting;
sub config {
    my ($key, $value) = @_;
    die "what is $key?\n" unless $key eq "greeting";
    $greeting = $value;
}
sub open { return { readonly => $_[0] } }
sub get_size { return length ($sectors) }
sub can_write { return 1 }
sub can_flush { return 1 }
sub can_trim { return 1 }
sub can_multi_conn { return 0 }
sub is_rotational { return 1 }
sub pread {
    my ($h, $count, $offset, $flags) = @_;
    if ($offset == 512) {
        Nbdkit::set_error (POSIX::ENOSPC ());
        die "bad sector\n";
    }
    Nbdkit::debug ("reading");
    return substr ($sectors, $offset, $count);
}
sub pwrite {
    my ($h, $buf, $offset, $flags) = @_;
    if ($offset == 0) {
        Nbdkit::set_error (POSIX::EPERM ());
        die "the first sector is dear\n";
    }
    substr ($sectors, $offset, length ($buf)) = $buf;
}
sub zero {
    my ($h, $count, $offset, $flags) = @_;
    if ($count == 333) {
        Nbdkit::set_error (POSIX::EOPNOTSUPP ());
        die "odd\n";
    }
    substr ($sectors, $offset, $count) = "\0" x $count;
}
sub trim { }
sub flush { }
EOT
    twins perl "$DIR/disk.pl" greeting=hello
    same_errors $EPERM $ENOSPC
    compare <<<'both(work, ""); both(extents, "")'
    stop_twins
    has "the first sector is dear"
    both_refuse perl "$DIR/disk.pl" colour=red
    echo 'sub {' >"$DIR/broken.pl"
    both_refuse perl "$DIR/broken.pl"
}

@test "python" {
    same_dump python
    same_help python
    cat >"$DIR/disk.py" <<'EOT'
import errno
import nbdkit

API_VERSION = 2
sectors = bytearray(1 << 20)
given = {}

def thread_model():
    return nbdkit.THREAD_MODEL_SERIALIZE_ALL_REQUESTS

def config(key, value):
    if key != "greeting":
        raise RuntimeError("what is %s?" % key)
    given[key] = value

def open(readonly):
    return {"name": nbdkit.export_name()}

def list_exports(readonly, is_tls):
    return [("", "the default"), ("other", "the other")]

def export_description(h):
    return "of " + h["name"]

def get_size(h):
    return len(sectors)

def block_size(h):
    return (1, 8192, 1 << 20)

def can_fua(h):
    return nbdkit.FUA_NATIVE

def can_cache(h):
    return nbdkit.CACHE_NATIVE

def pread(h, buf, offset, flags):
    if offset == 512:
        nbdkit.set_error(errno.ENOSPC)
        raise RuntimeError("bad sector")
    buf[:] = sectors[offset:offset + len(buf)]

def pwrite(h, buf, offset, flags):
    if offset == 0:
        nbdkit.set_error(errno.EPERM)
        raise RuntimeError("the first sector is dear")
    sectors[offset:offset + len(buf)] = buf

def zero(h, count, offset, flags):
    if count == 333:
        nbdkit.set_error(errno.EOPNOTSUPP)
        raise RuntimeError("odd")
    sectors[offset:offset + count] = bytes(count)

def trim(h, count, offset, flags):
    pass

def flush(h, flags):
    pass

def cache(h, count, offset, flags):
    nbdkit.debug("cached")

def extents(h, count, offset, flags):
    return [(offset, 4096, 0), (offset + 4096, len(sectors) - offset, nbdkit.EXTENT_ZERO)]
EOT
    twins python "$DIR/disk.py" greeting=hello
    same_errors $EPERM $ENOSPC
    compare <<<'both(work, ""); both(extents, ""); both(description, "other")'
    stop_twins
    has "bad sector"
    both_refuse python "$DIR/disk.py" colour=red
    echo 'def (' >"$DIR/broken.py"
    both_refuse python "$DIR/broken.py"
}

@test "lua" {
    same_dump lua
    same_help lua
    cat >"$DIR/disk.lua" <<'EOT'
local sectors = {}
local zeroes = string.rep ("\0", 512)
function config (key, value)
    if key ~= "greeting" then error ("what is " .. key .. "?") end
end
function open (readonly) return { readonly = readonly } end
function get_size (h) return 1048576 end
function can_write (h) return true end
function can_flush (h) return true end
function is_rotational (h) return false end
function pread (h, count, offset)
    if offset == 512 then
        error ("bad sector")
    end
    local bytes = {}
    for i = 1, count do bytes[i] = sectors[offset + i - 1] or "\0" end
    return table.concat (bytes)
end
function pwrite (h, buf, offset)
    if offset == 0 then
        error ("the first sector is dear")
    end
    for i = 1, #buf do sectors[offset + i - 1] = buf:sub (i, i) end
end
function flush (h) end
EOT
    twins lua "$DIR/disk.lua" greeting=hello
    same_errors $EIO $EIO
    compare <<<'both(work, ""); both(extents, "")'
    stop_twins
    has "bad sector"
    both_refuse lua "$DIR/disk.lua" colour=red
    echo 'function (' >"$DIR/broken.lua"
    both_refuse lua "$DIR/broken.lua"
}

@test "ruby" {
    same_dump ruby
    same_help ruby
    cat >"$DIR/disk.rb" <<'EOT'
$sectors = "\0".b * 1048576
def config(key, value)
  raise "what is #{key}?" unless key == "greeting"
end
def open(readonly)
  { readonly: readonly }
end
def get_size(h)
  $sectors.bytesize
end
def can_flush(h)
  true
end
def pread(h, count, offset)
  if offset == 512
    Nbdkit.set_error(Errno::ENOSPC)
    raise "bad sector"
  end
  $sectors.byteslice(offset, count)
end
def pwrite(h, buf, offset)
  if offset == 0
    Nbdkit.set_error(Errno::EPERM)
    raise "the first sector is dear"
  end
  $sectors[offset, buf.bytesize] = buf
end
def flush(h)
end
def zero(h, count, offset, may_trim)
  if count == 333
    Nbdkit.set_error(Errno::EOPNOTSUPP)
    raise "odd"
  end
  $sectors[offset, count] = "\0".b * count
end
EOT
    # Ruby runs in the thread that loaded it and crashes in others, whatever serves it: with -s.
    compare "$(plugin ruby)" "$DIR/disk.rb" greeting=hello <<'EOT'
def single(side):
    server = {"nbdkit": "nbdkit", "nbdlab": NBDLAB}[side]
    handle = nbd.NBD()
    handle.set_strict_mode(0)
    handle.connect_command([server, "-s"] + sys.argv[1:])
    return handle

def look(side):
    handle = single(side)
    flags = [getattr(handle, ask)() for ask in (
        "get_size", "is_read_only", "can_flush", "can_fua", "can_trim", "can_zero",
        "can_fast_zero", "can_multi_conn", "can_cache", "is_rotational")]
    same(nbd_errno(handle.pwrite, b"x", 0), EPERM, "errno of a write")
    same(nbd_errno(handle.pread, 512, 512), ENOSPC, "errno of a read")
    told = [nbd_errno(getattr(handle, step[0]), *step[1:])
            for step in steps(1 << 20, handle.can_fast_zero())]
    data = handle.pread(1 << 20, 0)
    handle.shutdown()
    return flags, told, data.find(b"Z"), data.count(b"Z"), hash(bytes(data))

same(look("nbdlab"), look("nbdkit"), "what nbdlab and nbdkit serve")
EOT
    both_refuse ruby "$DIR/disk.rb" colour=red
    both_refuse ruby
}

@test "tcl" {
    same_dump tcl
    same_help tcl
    cat >"$DIR/disk.tcl" <<'EOT'
set sectors [binary format "a1048576" ""]
proc config {key value} {
    if {$key ne "greeting"} { error "what is $key?" }
}
proc plugin_open {readonly} { return "handle" }
proc plugin_close {h} { }
proc get_size {h} {
    global sectors
    return [string length $sectors]
}
proc can_write {h} { return 1 }
proc can_flush {h} { return 1 }
proc pread {h count offset} {
    global sectors
    if {$offset == 512} { error "bad sector" }
    return [string range $sectors $offset [expr {$offset + $count - 1}]]
}
proc pwrite {h buf offset} {
    global sectors
    if {$offset == 0} { error "the first sector is dear" }
    set last [expr {$offset + [string length $buf] - 1}]
    set sectors [string replace $sectors $offset $last $buf]
}
proc flush_ {h} { }
EOT
    twins tcl "$DIR/disk.tcl" greeting=hello
    same_errors $EIO $EIO
    compare <<<'both(work, ""); both(extents, "")'
    stop_twins
    has "bad sector"
    both_refuse tcl "$DIR/disk.tcl" colour=red
    echo 'proc {' >"$DIR/broken.tcl"
    both_refuse tcl "$DIR/broken.tcl"
}
