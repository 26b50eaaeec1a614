#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Every callback that the manual page of a language's plugin of Debian's nbdkit describes, and every
# function that it offers, unchanged under nbdlab and under nbdkit: clients see the same, and the
# scripts are called in the same way. Each script appends to the file `calls` of the folder in which
# its server runs. (Its plugin is loaded by its path: a name may be one of nbdlab's own.)

load common
load twins

setup() {
    twins_setup
    export SIZE=1048576
}

# called SIDE [PATTERN]: the names of the callbacks that a server called, each once; or the calls
# that match, each once.
called() {
    if [ $# = 1 ]; then
        cut -d ' ' -f 1 "$DIR/$1/calls" | sort -u | paste -sd ' '
    else
        grep -E "$2" "$DIR/$1/calls" | sort -u
    fi
}

# same_calls NAMES...: both called exactly these callbacks, and those that change the disk in the
# same way.
same_calls() {
    local names
    names=$(printf '%s\n' "$@" | sort -u | paste -sd ' ')
    same "$(called nbdkit)" "$names"
    same "$(called nbdlab)" "$names"
    [ -n "$(called nbdkit '^(pwrite|(plugin_)?flush|trim|zero|cache|config|open) ')" ]
    diff <(called nbdkit '^(pwrite|(plugin_)?flush|trim|zero|cache|config|open) ') \
        <(called nbdlab '^(pwrite|(plugin_)?flush|trim|zero|cache|config|open) ')
    rm -f "$DIR"/nbd*/calls
}

# same_script_dump PLUGIN SCRIPT TEXT: --dump-plugin, with the script's own part, which is TEXT. (In
# what order nbdkit writes what it and a script print depends on who flushes first.)
same_script_dump() {
    local theirs ours
    theirs=$(cd "$DIR/nbdkit" && nbdkit "$(plugin "$1")" "$2" --dump-plugin | sort)
    ours=$(cd "$DIR/nbdlab" && "$NBDLAB" "$(plugin "$1")" "$2" --dump-plugin | sort)
    same "$ours" "$theirs"
    contains "$ours" "$3"
    rm -f "$DIR"/nbd*/calls
}

# same_program PLUGIN FILE: a script whose first line names the server is a program.
same_program() {
    local side server
    for side in nbdkit nbdlab; do
        server=$(command -v "$side") || server=$NBDLAB
        [ "$side" = nbdkit ] || server=$NBDLAB
        { echo "#!$server $(plugin "$1")"; cat "$2"; } >"$DIR/$side/program"
        chmod +x "$DIR/$side/program"
        (cd "$DIR/$side" && timeout "$BOUND_S" ./program -U - size=2M --run 'nbdinfo --size "$uri"' \
            3>&- 4>&- </dev/null >size 2>>"$LOG")
        same "$(cat "$DIR/$side/size")" 2097152
    done
    rm -f "$DIR"/nbd*/calls
}

@test "python: the callbacks, functions and constants of the page" {
    cat >"$DIR/all.py" <<'EOT'
import errno
import nbdkit

API_VERSION = 2
settings = {"size": "1M", "can_write": "1", "model": "SERIALIZE_ALL_REQUESTS"}
disk = None

def note(*words):
    with __builtins__.open("calls", "a") as file:
        print(*words, file=file)

def dump_plugin():
    print("script=all", flush=True)

def config(key, value):
    note("config", key, value)
    settings[key] = value

def config_complete():
    global disk
    note("config_complete")
    disk = bytearray(nbdkit.parse_size(settings["size"]))

def thread_model():
    return getattr(nbdkit, "THREAD_MODEL_" + settings["model"])

def get_ready():
    note("get_ready")

def after_fork():
    note("after_fork")

def cleanup():
    note("cleanup")

def list_exports(readonly, is_tls):
    note("list_exports", readonly, is_tls)
    return [("first", "with a description"), "bare", ("größe", "auch schön")]

def default_export(readonly, is_tls):
    note("default_export", readonly, is_tls)
    return "first"

def preconnect(readonly):
    note("preconnect", readonly)

def open(readonly):
    note("open", readonly, ascii(nbdkit.export_name()))
    return ["handle", nbdkit.export_name()]

def close(h):
    note("close", h[0])

def export_description(h):
    note("export_description")
    return "disk " + h[1]

def get_size(h):
    note("get_size")
    return len(disk)

def block_size(h):
    note("block_size")
    return (1, 16384, 4 << 20)

def is_rotational(h):
    note("is_rotational")
    return True

def can_multi_conn(h):
    note("can_multi_conn")
    return True

def can_write(h):
    note("can_write")
    return settings["can_write"] == "1"

def can_flush(h):
    note("can_flush")
    return True

def can_trim(h):
    note("can_trim")
    return True

def can_zero(h):
    note("can_zero")
    return True

def can_fast_zero(h):
    note("can_fast_zero")
    return True

def can_fua(h):
    note("can_fua")
    return getattr(nbdkit, settings.get("fua", "FUA_NATIVE"))

def can_cache(h):
    note("can_cache")
    return getattr(nbdkit, settings.get("cache", "CACHE_NATIVE"))

def can_extents(h):
    note("can_extents")
    return True

def pread(h, buf, offset, flags):
    note("pread", flags)
    if offset == 65537:
        nbdkit.shutdown()
    buf[:] = disk[offset:offset + len(buf)]

def pwrite(h, buf, offset, flags):
    note("pwrite", len(buf), offset, flags & nbdkit.FLAG_FUA)
    disk[offset:offset + len(buf)] = buf

def flush(h, flags):
    note("flush", flags)

def trim(h, count, offset, flags):
    note("trim", count, offset, flags & nbdkit.FLAG_FUA)
    disk[offset:offset + count] = b"t" * count

def zero(h, count, offset, flags):
    note("zero", count, offset, *[name for name in ("MAY_TRIM", "FUA", "FAST_ZERO")
                                  if flags & getattr(nbdkit, "FLAG_" + name)])
    if not flags & nbdkit.FLAG_MAY_TRIM:
        nbdkit.set_error(errno.EOPNOTSUPP)
        raise NotImplementedError("pwrite is as good")
    disk[offset:offset + count] = bytes(count)

def cache(h, count, offset, flags):
    note("cache", count, offset)
    nbdkit.debug("caching")

def extents(h, count, offset, flags):
    note("extents", flags & nbdkit.FLAG_REQ_ONE)
    half = len(disk) // 2
    return [(0, half, 0), (half, 4096, nbdkit.EXTENT_ZERO),
            (half + 4096, half - 4096, nbdkit.EXTENT_HOLE | nbdkit.EXTENT_ZERO)]
EOT
    same_script_dump python "$DIR/all.py" "script=all"
    same_program python "$DIR/all.py"
    twins python "$DIR/all.py"
    compare <<<'same_disk(["", "first", "bare", "größe", "not listed"], maps=1, piece=4096)'
    stop_twins
    local all="config_complete get_ready after_fork cleanup list_exports default_export preconnect
        open close export_description get_size block_size is_rotational can_multi_conn can_write
        can_flush can_trim can_zero can_fast_zero can_fua can_cache can_extents pread pwrite flush
        trim zero cache extents"
    # shellcheck disable=SC2086
    same_calls $all
    # With other answers.
    local model
    for model in SERIALIZE_CONNECTIONS SERIALIZE_REQUESTS PARALLEL; do
        twins python "$DIR/all.py" model=$model fua=FUA_EMULATE cache=CACHE_EMULATE size=100k
        compare <<<'same_disk(maps=1, piece=4096)'
        stop_twins
        # Emulated caching reads.
        # shellcheck disable=SC2086
        same_calls config ${all/ cache / }
    done
    for settings in "fua=FUA_NONE cache=CACHE_NONE" can_write=0; do
        # shellcheck disable=SC2086
        twins python "$DIR/all.py" $settings
        compare <<<'same_disk(is_written=False, piece=4096)'
        stop_twins
    done
    twins -r python "$DIR/all.py"
    compare <<<'same_disk(is_written=False, piece=4096)'
    stop_twins
    rm "$DIR"/nbd*/calls
    # nbdkit.shutdown() ends the server once the read is answered.
    twins python "$DIR/all.py"
    compare <<<'[connect(side).pread(1, 65537) for side in ("nbdkit", "nbdlab")]'
    wait_exit
    wait_exit "$PEER_SERVER"
}

@test "python: the three functions that a script must have" {
    cat >"$DIR/least.py" <<'EOT'
API_VERSION = 2
def open(readonly):
    return 1
def get_size(h):
    return 65536
def pread(h, buf, offset, flags):
    buf[:] = b"p" * len(buf)
EOT
    twins python "$DIR/least.py"
    compare <<<'assert same_disk() == b"p" * 65536'
    stop_twins
    for missing in open get_size pread; do
        sed "s/def $missing/def un$missing/" "$DIR/least.py" >"$DIR/less.py"
        both_refuse python "$DIR/less.py"
    done
}

@test "perl: the callbacks and functions of the page" {
    cat >"$DIR/all.pl" <<'EOT'
use strict;
use warnings;
use POSIX ();

my %settings = (size => 1048576, can_write => 1);
my $disk;

sub note
{
    CORE::open (my $file, ">>", "calls") or die "calls: $!";
    print $file join (" ", @_), "\n";
    CORE::close ($file);
}

sub dump_plugin
{
    $| = 1;
    print "script=all\n";
}

sub config
{
    my ($key, $value) = @_;
    note ("config", $key, $value);
    $value = $1 * 1048576 if $value =~ /^(\d+)M$/;
    $settings{$key} = $value;
}

sub config_complete
{
    note ("config_complete");
    $disk = "\0" x $settings{size};
}

sub open
{
    my ($readonly) = @_;
    note ("open", $readonly ? 1 : 0);
    return { readonly => $readonly, text => "handle" };
}

sub close
{
    my ($handle) = @_;
    note ("close", $handle->{text});
}

sub get_size { note ("get_size"); return length ($disk); }
sub can_write { note ("can_write"); return $settings{can_write}; }
sub can_flush { note ("can_flush"); return 1; }
sub can_trim { note ("can_trim"); return 1; }
sub is_rotational { note ("is_rotational"); return 1; }

sub pread
{
    my ($handle, $count, $offset, $flags) = @_;
    note ("pread", $flags);
    return substr ($disk, $offset, $count);
}

sub pwrite
{
    my ($handle, $buf, $offset, $flags) = @_;
    note ("pwrite", length ($buf), $offset, $flags);
    substr ($disk, $offset, length ($buf)) = $buf;
}

sub flush
{
    my ($handle, $flags) = @_;
    note ("flush", $flags);
    Nbdkit::debug ("flushed");
}

sub trim
{
    my ($handle, $count, $offset, $flags) = @_;
    note ("trim", $count, $offset, $flags);
    substr ($disk, $offset, $count) = "t" x $count;
}

sub zero
{
    my ($handle, $count, $offset, $flags) = @_;
    my $may_trim = $flags & $Nbdkit::FLAG_MAY_TRIM;
    note ("zero", $count, $offset, $flags, $may_trim ? "may trim" : "");
    if (!$may_trim) {
        Nbdkit::set_error (POSIX::EOPNOTSUPP ());
        die "pwrite is as good";
    }
    substr ($disk, $offset, $count) = "\0" x $count;
}

END { note ("END"); }
EOT
    same_script_dump perl "$DIR/all.pl" "script=all"
    same_program perl "$DIR/all.pl"
    twins perl "$DIR/all.pl"
    compare <<<'same_disk()'
    stop_twins
    same_calls config_complete open close get_size can_write can_flush can_trim is_rotational pread \
        pwrite flush trim zero END
    twins perl "$DIR/all.pl" can_write=0 size=65536
    compare <<<'same_disk(is_written=False)'
    stop_twins
    twins -r perl "$DIR/all.pl"
    compare <<<'same_disk(is_written=False)'
    stop_twins
}

@test "perl: the three subroutines that a script must have" {
    cat >"$DIR/least.pl" <<'EOT'
sub open { my $readonly = shift; my $handle = {}; return $handle; }
sub get_size { return 65536; }
sub pread { my ($handle, $count, $offset) = @_; return "p" x $count; }
EOT
    twins perl "$DIR/least.pl"
    compare <<<'assert same_disk() == b"p" * 65536'
    stop_twins
    for missing in open get_size pread; do
        sed "s/sub $missing/sub un$missing/" "$DIR/least.pl" >"$DIR/less.pl"
        both_refuse perl "$DIR/less.pl"
    done
}

@test "lua: the callbacks of the page" {
    cat >"$DIR/all.lua" <<'EOT'
local settings = { size = "1M", can_write = "1" }
local disk = {}
local size

local function note (...)
    local file = assert (io.open ("calls", "a"))
    file:write (table.concat ({ ... }, " "), "\n")
    file:close ()
end

local function fill (offset, data)
    for i = 1, #data do disk[offset + i] = data:sub (i, i) end
end

function dump_plugin () print ("script=all") end

function config (key, value)
    note ("config", key, value)
    settings[key] = value
end

function config_complete ()
    note ("config_complete")
    local number, unit = settings.size:match ("^(%d+)(M?)$")
    size = math.floor (tonumber (number)) * (unit == "M" and 1048576 or 1)
end

function open (readonly)
    note ("open", tostring (readonly))
    return { text = "handle" }
end

function close (h) note ("close", h.text) end
function get_size (h) note ("get_size") return size end
function can_write (h) note ("can_write") return settings.can_write == "1" end
function can_flush (h) note ("can_flush") return true end
function can_trim (h) note ("can_trim") return true end
function is_rotational (h) note ("is_rotational") return true end

function pread (h, count, offset)
    note ("pread", h.text)
    local bytes = {}
    for i = 1, count do bytes[i] = disk[offset + i] or "\0" end
    return table.concat (bytes)
end

function pwrite (h, buf, offset)
    note ("pwrite", #buf, offset)
    fill (offset, buf)
end

function flush (h) note ("flush", h.text) end

function trim (h, count, offset)
    note ("trim", count, offset)
    fill (offset, string.rep ("t", count))
end

function zero (h, count, offset, may_trim)
    note ("zero", count, offset, tostring (may_trim))
    if count == 333 then error ("odd") end
    fill (offset, string.rep ("\0", count))
end
EOT
    same_script_dump lua "$DIR/all.lua" "script=all"
    same_program lua "$DIR/all.lua"
    twins lua "$DIR/all.lua"
    compare <<<'same_disk()'
    stop_twins
    has "odd"
    same_calls config_complete open close get_size can_write can_flush can_trim is_rotational pread \
        pwrite flush trim zero
    twins lua "$DIR/all.lua" can_write=0 size=65536
    compare <<<'same_disk(is_written=False)'
    stop_twins
    twins -r lua "$DIR/all.lua"
    compare <<<'same_disk(is_written=False)'
    stop_twins
}

@test "lua: the three functions that a script must have; and where an error was" {
    cat >"$DIR/least.lua" <<'EOT'
function open (readonly) return "a handle" end
function get_size (h) return 65536 end
function pread (h, count, offset)
    assert (offset ~= 512, "could not read")
    return string.rep ("p", count)
end
EOT
    twins lua "$DIR/least.lua"
    compare <<<'assert same_disk() == b"p" * 65536
both(lambda side: nbd_errno(connect(side).pread, 512, 512))'
    stop_twins
    local said
    said=$(sed -n 's/^nbdkit: .*error: //p' "$DIR/peer.log" | grep "could not read")
    has "$said"
    for missing in open get_size pread; do
        sed "s/function $missing/function un$missing/" "$DIR/least.lua" >"$DIR/less.lua"
        both_refuse lua "$DIR/less.lua"
    done
}

@test "tcl: the callbacks of the page" {
    cat >"$DIR/all.tcl" <<'EOT'
array set settings {size 1048576 can_write 1}
set disk ""

proc note {args} {
    set file [open calls a]
    puts $file [join $args " "]
    close $file
}

proc fill {byte count offset} {
    global disk
    set data [string repeat $byte $count]
    set disk [string replace $disk $offset [expr {$offset + $count - 1}] $data]
}

proc dump_plugin {} {
    puts "script=all"
    flush stdout
}

proc config {key value} {
    global settings
    note config $key $value
    if {[regexp {^(\d+)M$} $value all number]} { set value [expr {$number * 1048576}] }
    set settings($key) $value
}

proc config_complete {} {
    global settings disk
    note config_complete
    set disk [binary format "a$settings(size)" ""]
}

proc plugin_open {readonly} {
    note open $readonly
    return "handle"
}

proc plugin_close {h} { note plugin_close $h }
proc get_size {h} {
    global disk
    note get_size
    return [string length $disk]
}
proc can_write {h} {
    global settings
    note can_write
    return $settings(can_write)
}
proc can_flush {h} { note can_flush; return 1 }
proc can_trim {h} { note can_trim; return 1 }
proc is_rotational {h} { note is_rotational; return 1 }

proc pread {h count offset} {
    global disk
    note pread $h
    return [string range $disk $offset [expr {$offset + $count - 1}]]
}

proc pwrite {h buf offset} {
    global disk
    note pwrite [string length $buf] $offset
    set disk [string replace $disk $offset [expr {$offset + [string length $buf] - 1}] $buf]
}

proc plugin_flush {h} { note plugin_flush $h }

proc trim {h count offset} {
    note trim $count $offset
    fill t $count $offset
}

proc zero {h count offset may_trim} {
    note zero $count $offset $may_trim
    if {$count == 333} { error "odd" }
    fill [binary format c 0] $count $offset
}
EOT
    same_script_dump tcl "$DIR/all.tcl" "script=all"
    same_program tcl "$DIR/all.tcl"
    twins tcl "$DIR/all.tcl"
    compare <<<'same_disk()'
    stop_twins
    has "odd"
    same_calls config_complete open plugin_close get_size can_write can_flush can_trim is_rotational \
        pread pwrite plugin_flush trim zero
    twins tcl "$DIR/all.tcl" can_write=0 size=65536
    compare <<<'same_disk(is_written=False)'
    stop_twins
    twins -r tcl "$DIR/all.tcl"
    compare <<<'same_disk(is_written=False)'
    stop_twins
}

@test "tcl: the three procedures that a script must have" {
    cat >"$DIR/least.tcl" <<'EOT'
proc plugin_open {readonly} { return "h" }
proc get_size {h} { return 65536 }
proc pread {h count offset} { return [string repeat p $count] }
EOT
    twins tcl "$DIR/least.tcl"
    compare <<<'assert same_disk() == b"p" * 65536'
    stop_twins
    for missing in plugin_open get_size pread; do
        sed "s/proc $missing/proc un$missing/" "$DIR/least.tcl" >"$DIR/less.tcl"
        both_refuse tcl "$DIR/less.tcl"
    done
}

# The page says it: Ruby and threads do not go together. With -s it runs in the thread that loaded
# it, in nbdkit; nbdlab too.
@test "ruby: the callbacks and functions of the page, with -s" {
    cat >"$DIR/all.rb" <<'EOT'
$settings = { "size" => "1048576", "can_write" => "1" }

def note(*words)
  File.open("calls", "a") { |file| file.puts words.join(" ") }
end

def dump_plugin
  puts "script=all"
  $stdout.flush
end

def config(key, value)
  note "config", key, value
  $settings[key] = value
end

def config_complete
  note "config_complete"
  $disk = "\0".b * $settings["size"].to_i
end

def open(readonly)
  note "open", readonly
  { text: "handle" }
end

def close(h)
  note "close", h[:text]
end

def get_size(h)
  note "get_size"
  $disk.bytesize
end

def can_write(h)
  note "can_write"
  $settings["can_write"] == "1"
end

def can_flush(h)
  note "can_flush"
  true
end

def can_trim(h)
  note "can_trim"
  true
end

def is_rotational(h)
  note "is_rotational"
  true
end

def pread(h, count, offset)
  note "pread", h[:text]
  if offset == 512
    Nbdkit.set_error(Errno::ENOSPC.new)
    raise "an instance"
  elsif offset == 1024
    Nbdkit.set_error(Errno::EPERM)
    raise "a class"
  elsif offset == 1536
    Nbdkit.set_error(12)
    raise "a number"
  end
  $disk.byteslice(offset, count)
end

def pwrite(h, buf, offset)
  note "pwrite", buf.bytesize, offset
  $disk[offset, buf.bytesize] = buf
end

def flush(h)
  note "flush", h[:text]
end

def trim(h, count, offset)
  note "trim", count, offset
  $disk[offset, count] = "t".b * count
end

def zero(h, count, offset, may_trim)
  note "zero", count, offset, may_trim
  unless may_trim
    Nbdkit.set_error(Errno::EOPNOTSUPP)
    raise "pwrite is as good"
  end
  $disk[offset, count] = "\0".b * count
end
EOT
    same_script_dump ruby "$DIR/all.rb" "script=all"
    cat >"$DIR/look.py" <<'EOT'
SERVERS = {"nbdkit": "nbdkit", "nbdlab": NBDLAB}

def alone(side, *args):
    """A client of a server of its own."""
    os.chdir(os.environ["DIR"] + "/" + side)
    handle = nbd.NBD()
    handle.set_strict_mode(0)
    handle.connect_command([SERVERS[side], "-s", *sys.argv[1:], *args])
    return handle

def facts(side, *args):
    handle = alone(side, *args)
    told = [getattr(handle, ask)() for ask in (
        "get_size", "is_read_only", "can_flush", "can_fua", "can_trim", "can_zero",
        "can_fast_zero", "can_multi_conn", "can_cache", "is_rotational")]
    handle.shutdown()
    return told

def work_alone(side):
    handle = alone(side, "size=262144")
    told = [nbd_errno(handle.pread, 512, offset) for offset in (512, 1024, 1536)]
    same(told, [ENOSPC, EPERM, ENOMEM], "errno of reads")
    told += [nbd_errno(getattr(handle, step[0]), *step[1:])
             for step in steps(1 << 18, handle.can_fast_zero())]
    data = bytes(handle.pread(1 << 18, 0))
    handle.shutdown()
    return told, data

both(facts)
both(facts, "-r")
both(facts, "can_write=0")
for side in SERVERS:
    os.remove("%s/%s/calls" % (os.environ["DIR"], side))
same(work_alone("nbdlab"), work_alone("nbdkit"), "what nbdlab and nbdkit serve")
EOT
    compare "$(plugin ruby)" "$DIR/all.rb" <"$DIR/look.py"
    same_calls config config_complete open close get_size can_write can_flush can_trim is_rotational \
        pread pwrite flush trim zero
}
