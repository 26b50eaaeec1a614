#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Plugins in Rust: the crate, its example, its manual, and each function.

load common
load page
load rust

@test "the example serves real clients" {
    head -c 1048576 /dev/urandom >"$DIR/image"
    serve "$BUILD/examples/rust-ramdisk.so" 1M
    run -0 nbdinfo "$URI"
    contains "$output" "export-size: 1048576"
    contains "$output" "can_multi_conn: true"
    contains "$output" "is_read_only: false"
    nbdcopy "$DIR/image" "$URI"
    nbdcopy "$URI" "$DIR/copy"
    cmp "$DIR/image" "$DIR/copy"
    qemu-img compare -f raw -F raw "$DIR/image" "$URI"
    qemu-io -f raw -c 'write -P 7 1000 3000' -c 'write -z 4k 8k' -c 'read -P 7 1000 3000' \
        -c 'read -P 0 4k 8k' -c flush "$URI"
    py <<'EOT'
one, two = libnbd(), libnbd()
one.pwrite(b"seen by all", 77)
same(bytes(two.pread(11, 77)), b"seen by all", "data")
same(nbd_errno(one.pread, 512, 1 << 20), EINVAL, "errno beyond the end")
EOT
    same "$(messages)" ""
    stop
}

@test "the example misses its parameter, and knows no other" {
    example=$BUILD/examples/rust-ramdisk.so
    run -1 "$NBDLAB" -f -U "$SOCK" "$example"
    contains "$output" "error: the parameter size is missing"
    run -1 "$NBDLAB" -f -U "$SOCK" "$example" size=1M colour=red
    contains "$output" "error: unknown parameter colour"
    run -1 "$NBDLAB" -f -U "$SOCK" "$example" size=large
    same "$(grep -c error: <<<"$output")" 1
    run -0 "$NBDLAB" "$example" --help
    contains "$output" "size=<SIZE>     (required) The size of the disk."
}

@test "the example in nbdkit" {
    command -v nbdkit >/dev/null || skip "nbdkit is not installed"
    # shellcheck disable=SC2016 # the server's shell expands it
    run -0 nbdkit -U - "$BUILD/examples/rust-ramdisk.so" 1M --run 'nbdinfo --size "$uri"'
    same "$output" 1048576
}

@test "daemonised" {
    "$NBDLAB" -U "$SOCK" -P "$PIDFILE" "$BUILD/examples/rust-ramdisk.so" 1M 3>&- 4>&-
    SERVER=$(cat "$PIDFILE")
    STARTED+=("$SERVER")
    qemu-io -f raw -c 'write -P 7 0 1M' -c 'read -P 7 0 1M' "$URI"
    kill "$SERVER"
    wait_for not is_alive "$SERVER"
    [ ! -e "$SOCK" ]
}

@test "what the manual tells a newcomer to type, with the crate as it is installed" {
    make -s -C "$ROOT" install-rust DESTDIR="$DIR/stage" PREFIX=/usr/local >/dev/null 3>&- 4>&-
    mkdir "$DIR/bin"
    ln -s "$NBDLAB" "$DIR/bin/nbdlab"
    printf '#!/bin/sh\nexec env CARGO_NET_OFFLINE=true %q "$@"\n' "$CARGO" >"$DIR/bin/cargo"
    chmod +x "$DIR/bin/cargo"
    PATH=$DIR/bin:$PATH
    unset CARGO_TARGET_DIR
    cd "$DIR"
    block new >steps.sh
    {
        echo "sed 's|/usr/local|$DIR/stage/usr/local|' >Cargo.toml <<'END'" && block manifest
        printf "END\ncat >src/lib.rs <<'END'\n" && block source
        echo END && block serve
    } >>steps.sh
    run -0 timeout "$((30 * BOUND_S))" sh -ex steps.sh 3>&- 4>&-
    contains "$output" "export-size: 1048576"
    contains "$output" "is_read_only: true"
    cd letters
    seen_by_clients 1048576 target/release/libletters.so
    # And on.
    block method >method
    sed -i -e '/^    fn read_at/{
        r method
        N
    }' src/lib.rs
    /usr/bin/python3 - src/lib.rs method "$(block list)" <<'EOT'
import sys
path, method, last = sys.argv[1:]
text = open(path).read().replace(open(method).read(), "")
before, _, after = text.partition("}\n\nplugin!")
open(path, "w").write(before + "\n" + open(method).read() + "}\n\n" + last + "\n")
EOT
    sh -e <<<"$(block serve | head -n 1)" 3>&- 4>&-
    serve -v target/release/libletters.so
    run -1 qemu-io -f raw -c 'write 0 512' "$URI"
    contains "$output" "No space left on device"
    has "error: there is no room for more letters"
    has "somebody writes at 0"
    stop
    # The form of the message about a panic.
    sed -i 's/buf.fill(b.x.);/panic!("oh dear");/' src/lib.rs
    cargo build --release
    serve target/release/libletters.so
    run -1 qemu-io -r -f raw -c 'read 0 512' "$URI"
    has "panic in read_at at src/lib.rs:19:9: oh dear"
    contains "$(block panic)" "panic in read_at at src/lib.rs:19:9: oh dear"
    stop
}

# plugin_of LINE: builds a plugin with the four required methods and the line; what rustc says.
plugin_of() {
    block source | grep -v '^plugin!' >"$DIR/x.rs"
    echo "$1" >>"$DIR/x.rs"
    "$RUSTC" --edition 2021 --crate-type "${2:-cdylib}" --crate-name x \
        --extern nbdkit="$CARGO_TARGET_DIR/release/libnbdkit.rlib" -o "$DIR/x.so" "$DIR/x.rs" 2>&1
}

@test "the errors that a beginner meets are those of the manual" {
    mandoc -T ascii -O width=500 "$PAGE" | sed $'s/.\b//g' >"$DIR/page"
    # shown TEXT: the manual has it, too.
    shown() { contains "$(tr -s ' \n' ' ' <"$DIR/page")" "$1" && contains "$output" "$1"; }
    plugin_of ''
    run -1 "$NBDLAB" "$DIR/x.so"
    shown "it has no plugin_init"
    run -1 plugin_of 'plugin!(Letters { pwrite });'
    shown "plugin!: in Rust, pwrite is called write_at"
    run -1 plugin_of 'plugin!(Letters { close });'
    contains "$output" "implement Drop"
    run -1 plugin_of 'plugin!(Letters { writes });'
    contains "$output" "no optional method called writes"
    run -1 plugin_of 'plugin!(Letters {}); fn main() { plugin_init(); }' bin
    shown "undefined reference to \`nbdkit_error'"
    plugin_of 'plugin!(Letters { flush });'
    serve "$DIR/x.so"
    py <<'EOT'
same(nbd_errno(libnbd().flush), EINVAL, "errno of flush")
EOT
    output=$(cat "$LOG")
    shown "plugin! lists flush, but the plugin has no such method"
    stop
    mkdir -p "$DIR/lost/src"
    block manifest | sed "s|path = .*\"|path = \"$DIR/nowhere\"|" >"$DIR/lost/Cargo.toml"
    touch "$DIR/lost/src/lib.rs"
    run -101 cargo build --manifest-path "$DIR/lost/Cargo.toml"
    shown "failed to load source for dependency \`nbdkit\`"
}

@test "the crate's own tests, and its documentation, which is complete" {
    run -0 cargo test --manifest-path "$CRATE/Cargo.toml"
    echo "$output"
    same "$(grep -c '^test result: ok' <<<"$output")" 2
    passed=$(sed -n 's/^test result: ok\. \([0-9]*\) passed; 0 failed; 0 ignored.*/\1/p' <<<"$output" |
        awk '{ sum += $1 } END { print sum }')
    echo "# the crate's own tests: $passed passed" >&3
    [ "$passed" -ge 40 ]
    grep -qx '#!\[deny(missing_docs)\]' "$CRATE/src/lib.rs"
    run -0 env RUSTDOCFLAGS=-Dwarnings "$CARGO" doc --offline --quiet --no-deps \
        --manifest-path "$CRATE/Cargo.toml"
    same "$output" ""
    # Nothing of it landed in the source, and the lock file is as it was.
    [ ! -e "$CRATE/target" ]
    run -0 cargo build --locked --quiet --manifest-path "$CRATE/Cargo.toml"
}

@test "the manual has every method, function and flag of the crate" {
    mandoc -T ascii -O width=500 "$PAGE" | sed $'s/.\b//g' >"$DIR/page"
    # The methods and free functions, with their types where they are written out.
    /usr/bin/python3 - "$CRATE/src" "$DIR/page" <<'EOT'
import re, sys
source, page = sys.argv[1], " ".join(open(sys.argv[2]).read().split())
def read(name):
    return open("%s/%s.rs" % (source, name)).read()
wanted = []
for text in [read("server").partition("pub trait Server")[2]] + [
        read(name) for name in ("functions", "parse", "peer")]:
    for name, rest in re.findall(r"\n(?:    )?(?:pub )?fn (\w+)([^{;]*?)(?:\s+where|\s*\{|;)", text):
        if "fn %s" % name in text and name not in ("missing", "borrowed", "bytes", "from_peer_name"):
            kind = " ".join(rest.split()).replace("( ", "(").replace(", )", ")")
            wanted.append(("fn " + name + kind).replace("(_", "(").replace(", _", ", "))
assert len(wanted) > 55, len(wanted)
wanted = [w.replace("duration: Duration", "duration: std::time::Duration")
           .replace("Result<Duration>", "Result<std::time::Duration>") for w in wanted]
lacking = [w for w in wanted if w not in page]
assert not lacking, "\n".join(lacking)
EOT
    for name in FUA MAY_TRIM FAST_ZERO REQ_ONE; do
        grep -q "Flags::$name" "$DIR/page"
    done
}

@test "the table has the layout of the header's" {
    run -0 cargo test --quiet --manifest-path "$CRATE/Cargo.toml" --lib -- --nocapture the_layout
    grep '^layout ' <<<"$output" >"$DIR/rust"
    [ "$(wc -l <"$DIR/rust")" -ge 40 ]
    {
        echo '#define NBDKIT_API_VERSION 2'
        echo '#include <nbdkit-plugin.h>'
        echo '#include <stdio.h>'
        echo '#define SHOW(m) printf("layout " #m " %zu %zu\n", \'
        echo 'offsetof(struct nbdkit_plugin, m), sizeof(((struct nbdkit_plugin *)0)->m));'
        echo 'int main(void) { printf("layout all %zu\n", sizeof(struct nbdkit_plugin));'
        awk '$2 != "all" { print "SHOW(" $2 ")" }' "$DIR/rust"
        echo 'return 0; }'
    } >"$DIR/layout.c"
    gcc -I "$ROOT/include" -o "$DIR/layout" "$DIR/layout.c"
    "$DIR/layout" | diff "$DIR/rust" -
    # No member was forgotten: those of the header that are for plugins.
    sed -n '/^struct nbdkit_plugin {/,/^};/p' "$ROOT/include/nbdkit-plugin.h" |
        sed 's|/\*.*||' | grep -v '_v[12])' | grep -oE '\(\*[a-z_]+\)|[a-z_]+;' | tr -d '(*);' | grep -v ^_ | sort -u |
        diff - <(awk '$2 != "all" { print $2 }' "$DIR/rust" | sort)
}

@test "texts, and lines for --dump-plugin" {
    run -0 "$NBDLAB" --dump-plugin "$RUSTY"
    contains "$output" "name=rusty"
    contains "$output" "version=1.2"
    contains "$output" "max_thread_model=parallel"
    same "$(tail -n 2 <<<"$output")" "rusty=yes
rusty_tail=without a newline"
    # Only what is listed is there.
    same "$(grep -cE '^has_(config|pread|open|close|get_size)=1$' <<<"$output")" 5
    same "$(grep -E '^has_(pwrite|flush|can_write|load|extents|config_complete)=1' <<<"$output")" ""
    run -0 "$NBDLAB" "$RUSTY" --help
    contains "$output" "the crate's functions"
    contains "$output" "a plugin
for tests"
    contains "$output" "size=<SIZE>     And many more."
}

# text_of ARGS...: the text that the functions make of parameters.
text_of() {
    # shellcheck disable=SC2016
    "$NBDLAB" -U - "$RUSTY" "$@" --run 'nbdcopy "$uri" -' 2>>"$LOG" 3>&- 4>&-
}

@test "functions that read parameters" {
    cd "$DIR"
    echo secret >password
    text_of size=1k size=x bool=off bool=maybe probability=1:4 probability=x delay=1500us delay=x \
        int=-0x10 unsigned=7 i8=-128 i8=128 u8=255 i16=-32768 u16=65535 i32=-5 u32=4294967295 \
        i64=-9223372036854775808 u64=18446744073709551615 u64=-1 password=+password password=-2 \
        absolute=x real=. real=missing stdio= name= >got
    sed '/^export_name=/,$d' got | diff - <(cat <<EOT
size=1024
size!22
bool=false
bool!22
probability=0.25
probability!22
delay=1.5ms
delay!22
int=-16
unsigned=7
i8=-128
i8!22
u8=255
i16=-32768
u16=65535
i32=-5
u32=4294967295
i64=-9223372036854775808
u64=18446744073709551615
u64!22
password="secret"
password!22
absolute="$PWD/x"
real="$PWD"
real!2
stdio=(true, true)
name=""
EOT
)
    # One message for each that has failed.
    same "$(count error:)" 8
    run -1 "$NBDLAB" "$RUSTY" -U "$SOCK" none=
    same "$output" "$NAME: error: a parameter called none"
    run -1 "$NBDLAB" "$RUSTY" -U "$SOCK" export=
    same "$(grep -c error: <<<"$output")" 1
    run -1 "$NBDLAB" "$RUSTY" -U "$SOCK" size=$'\xff\xfe'
    contains "$output" "the parameter is not UTF-8: "
}

@test "functions about the client" {
    serve -v --name=myself "$RUSTY" name=
    nbdcopy "nbd+unix:///an%20export?socket=$SOCK" "$DIR/got"
    sed 's/pid=[0-9]*$/pid=N/' "$DIR/got" | diff - <(cat <<EOT
name="myself"
export_name="an export"
is_tls=false
peer_name=Unix(None)
peername=false
peer_pid=N
peer_uid=$(id -u)
peer_gid=$(id -g)
timestamp=26
stop_fd=true
EOT
)
    has "the export \"an export\" has"
    has "hex: "
    has "diff: "
    stop
}

@test "the client's address over TCP, and over TLS" {
    # shellcheck source=tests/bats/pki.bash
    . "$TESTS/bats/pki.bash"
    start_bare -f -p 0 -i 127.0.0.1 -P "$PIDFILE" "$RUSTY"
    wait_ready
    run -0 nbdcopy "nbd://127.0.0.1:$(head -n 1 "$DIR/out")" -
    contains "$output" "peer_name=Inet(127.0.0.1:"
    contains "$output" "peername=true"
    contains "$output" "peer_pid!"
    stop
    "$NBDLAB" --dump-config | grep -q '^tls=yes$' || skip "the program knows no TLS"
    make_pki "$DIR/pki"
    rm -f "$PIDFILE"
    start -v --tls=require --tls-certificates="$DIR/pki/server" "$RUSTY"
    wait_ready
    TLS_FOLDER=$DIR/pki/anonymous py <<'EOT'
handle = libnbd()
assert b"is_tls=true" in bytes(handle.pread(handle.get_size(), 0))
EOT
    stop
}

@test "sleeping, and being woken when the client has gone" {
    serve "$RUSTY"
    nbdcopy "nbd+unix:///sleep?socket=$SOCK" "$DIR/got"
    py <<'EOT'
client = ready(export="sleep-long")
client.send_request(CMD_READ, 0, 16)
client.vanish()
EOT
    wait_for has "woken early"
    stop
}

@test "without the tools one line says so, and the rest is built" {
    run -0 make -n -C "$ROOT" B="$DIR/none" CARGO="$DIR/missing" all
    same "$(grep -c 'There will be no plugins in rust: ' <<<"$output")" 1
    same "$(grep -cF "$DIR/missing" <<<"$output")" 1
    contains "$output" "(Debian has cargo and rustc)"
    run -0 make -n -C "$ROOT" B="$DIR/none" LANGUAGES= tests
    same "$(grep -c 'plugins/rust' <<<"$output")" 0
}
