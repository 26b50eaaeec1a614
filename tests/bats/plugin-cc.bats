#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The cc plugin: sources that are compiled and served in one step.

load common
load page

setup() {
    common_setup
    PAGE=$TESTS/../man/nbdlab-cc-plugin.3
    mkdir "$DIR/bin"
    ln -s "$NBDLAB" "$DIR/bin/nbdlab"
    PATH=$DIR/bin:$PATH
    # The manual's disk is here as a file and as a program.
    cd "$DIR"
    block disk >disk.c
    chmod +x disk.c
}

# once ARGS...: the server of cc with a command that looks at it and prints the size.
once() {
    timeout "$((3 * BOUND_S))" "$NBDLAB" -U - cc "$@" --run 'nbdinfo --size "$uri"' 3>&- 4>&-
}

# refused MESSAGE ARGS...: the server ends with status 1, says so in one line of its own, which is
# the last, and leaves nothing behind.
refused() {
    run timeout "$((3 * BOUND_S))" "$NBDLAB" -f -U "$SOCK" cc "${@:2}" 3>&- 4>&- </dev/null
    same "$status" 1
    contains "${lines[-1]}" "$NAME: error: "
    contains "${lines[-1]}" "$1"
    same "$(grep -c "^$NAME: " <<<"$output")" 1
    same "$(ls -A "$TMPDIR")" ""
}

# compiler NAME <<'EOT': makes an executable in the place of a compiler.
compiler() {
    { echo '#!/bin/sh'; cat; } >"$DIR/$1"
    chmod +x "$DIR/$1"
}

@test "the manual's disk, served to nbdinfo" {
    run_block serve
    contains "$output" "export-size: 16777216"
    contains "$output" "is_read_only: false"
    contains "$output" "can_multi_conn: false"
}

@test "the manual's disk, as a program of its own, with options" {
    chmod -x disk.c
    run_block script
    contains "$output" "virtual size: 16 MiB"
    run -0 ./disk.c -U - -r --run 'nbdinfo "$uri"'
    contains "$output" "is_read_only: true"
}

@test "the manual's source on standard input" {
    run_block inline
    same "$output" 1048576
}

@test "the manual's compiler of C++" {
    sed '/^static struct nbdkit_plugin/,/^};/d; /^NBDKIT_REGISTER/d' disk.c >disk.cpp
    cat >>disk.cpp <<'EOT'
#include <string>
static std::string name("disk");
static struct nbdkit_plugin make()
{
    nbdkit_plugin made = {};
    made.name = name.c_str();
    made.open = disk_open;
    made.get_size = disk_get_size;
    made.pread = disk_pread;
    made.pwrite = disk_pwrite;
    return made;
}
static nbdkit_plugin plugin = make();
NBDKIT_REGISTER_PLUGIN(plugin)
EOT
    run_block c++
    contains "$output" "export-size: 16777216"
}

@test "the manual's sanitizer finds what is out of bounds" {
    # A server with a sanitizer of its own cannot have another.
    [ -z "${SANITIZE:-}" ] || return 0
    sed 's/bytes + offset, count)/bytes + offset + 1, count)/' disk.c >wrong.c
    not cmp -s disk.c wrong.c
    run_block sanitizer
    sed -i 's/disk[.]c/wrong.c/' block.sh
    run timeout "$((3 * BOUND_S))" bash -e block.sh 3>&- 4>&-
    [ "$status" -ne 0 ]
    contains "$output" "global-buffer-overflow"
}

@test "every block of the manual is run here" {
    local name
    while read -r name; do
        grep -qE "(run_block|block) ${name//+/[+]}( |\$)" "$BATS_TEST_FILENAME" ||
            { echo "nobody runs $name"; return 1; }
    done < <(sed -n 's/^\.\\" run: //p' "$PAGE")
    same "$(grep -c '^[.]\\" run: ' "$PAGE")" "$(grep -c '^[.]Bd -literal' "$PAGE")"
}

@test "the example of our own" {
    run -0 "$NBDLAB" -U - cc "$TESTS/../examples/disconnect.c" soft=4K EXTRA_CFLAGS=-Werror \
        --run 'qemu-io -f raw -r -c "read 0 1k" -c "read 4k 1k" -c "read 0 1k" "$uri" 2>&1 || :'
    contains "$output" "read 1024/1024 bytes at offset 4096"
    contains "$output" "read failed: Cannot send after transport endpoint shutdown"
}

@test "data that was written is read again, by several clients, in the foreground" {
    serve cc disk.c
    same "$(ls -A "$TMPDIR")" ""
    head -c 16M /dev/urandom >data
    nbdcopy data "$URI"
    nbdcopy "$URI" copy
    cmp data copy
    qemu-img compare -f raw -F raw data "$URI"
    stop
    same "$(messages)" ""
}

@test "in the background, and with -s" {
    timeout "$((3 * BOUND_S))" "$NBDLAB" -U "$SOCK" -P "$PIDFILE" cc disk.c 3>&- 4>&- </dev/null
    STARTED+=("$(cat "$PIDFILE")")
    same "$(nbdinfo --size "$URI")" 16777216
    kill -TERM "$(cat "$PIDFILE")"
    wait_for [ ! -e "$PIDFILE" ]
    py <<'EOT'
handle = nbd.NBD()
handle.connect_command([NBDLAB, "-s", "cc", "disk.c", "EXTRA_CFLAGS=-Wextra"])
handle.pwrite(b"kept", 5)
same(bytes(handle.pread(6, 4)), b"\0kept\0", "data")
handle.shutdown()
EOT
    run -1 timeout "$BOUND_S" "$NBDLAB" -s cc - <disk.c
    contains "$output" "which the client uses (-s): save the source in a file"
}

@test "nothing is left behind, not even by SIGKILL" {
    serve cc disk.c
    kill -KILL "$SERVER"
    wait_for not is_alive "$SERVER"
    same "$(ls -A "$TMPDIR")" ""
}

@test "what the compiler gets: a private folder, no input, no descriptor of ours" {
    compiler look <<'EOT'
[ /proc/self/fd/1 -ef /proc/self/fd/2 ] && touch "$DIR/one"
ls /proc/self/fd >"$DIR/descriptors"
for last; do :; done
{
    stat -c %a "${last%/*}"
    echo "$TMPDIR" "${last%/*}"
    readlink /proc/self/fd/0
} >"$DIR/seen"
echo "to standard output"
touch "$TMPDIR/more"
mkdir "$TMPDIR/folder"
touch "$TMPDIR/folder/and more"
exec cc "$@"
EOT
    run -0 --separate-stderr once disk.c CC=./look 7<disk.c
    same "$output" 16777216
    contains "$stderr" "to standard output"
    same "$(ls -A "$TMPDIR")" ""
    same "$(sed -n 1p seen)" 700
    read -r own folder < <(sed -n 2p seen)
    same "$own" "$folder"
    same "${folder%/*}" "$TMPDIR"
    same "$(sed -n 3p seen)" /dev/null
    [ -e one ]
    # The last one is ls's own.
    same "$(tr '\n' ' ' <descriptors)" "0 1 2 3 "
}

@test "names that a shell or a compiler would take for something else" {
    local name
    mkdir "a folder"
    for name in "with space.c" "it's.c" '"quoted".c' '$(false)`.c' "a folder/x.c" "-dash.c" "@at.c"; do
        cp disk.c "./$name"
        same "$(once "script=$name" EXTRA_CFLAGS=-Werror)" 16777216
    done
    mkdir "$DIR/a t'mp" relative
    TMPDIR="$DIR/a t'mp" once disk.c
    TMPDIR=relative once disk.c
    same "$(ls -A "$DIR/a t'mp" relative)" "$(printf "%s\n\n%s" "$DIR/a t'mp:" relative:)"
}

@test "CFLAGS replace the flags, EXTRA_CFLAGS come after them; a shell splits both" {
    compiler show <<'EOT'
printf '<%s>' "$@" >"$DIR/words"
exit 1
EOT
    words() {
        refused "the compiler failed with status 1" "$@" CC=./show
        sed 's/<-o>.*//' words
    }
    same "$(words disk.c)" "<-g><-O2><-fPIC><-shared><disk.c>"
    same "$(words disk.c EXTRA_CFLAGS='-Wall -lm')" "<-g><-O2><-fPIC><-shared><-Wall><-lm><disk.c>"
    same "$(words disk.c CFLAGS='-O0 -DX="a  b"')" "<-O0><-DX=a  b><disk.c>"
    same "$(words CFLAGS=$'-a\n  -b' disk.c EXTRA_CFLAGS='$(echo c)')" "<-a><-b><c><disk.c>"
    words - CFLAGS= | grep -qE '^</.*/inline[.]c>$'
    run -0 once disk.c CC='CPATH=/nowhere cc' EXTRA_CFLAGS="-I '$TESTS/../include'"
    same "$output" 16777216
}

@test "the headers that belong to the plugin are found, also when it is installed" {
    mkdir "head ers" own elsewhere
    cp "$TESTS"/../include/*.h "head ers"
    echo '#define MARK 1' >>"head ers/nbdkit-plugin.h"
    cc -std=gnu11 -D_GNU_SOURCE -fvisibility=hidden -DNBDLAB_VERSION='"test"' -DCOMPILER='"cc"' \
        "-DINCLUDE_FOLDER=\"$DIR/head ers\"" -I "$TESTS/../include" \
        -iquote "$TESTS/../plugins/shared" -fPIC -shared -o own/nbdkit-cc-plugin.so \
        "$TESTS"/../plugins/cc/*.c "$TESTS"/../plugins/shared/{input,exitfd}.c -pthread
    cat >>disk.c <<'EOT'
#ifndef MARK
#error wrong header
#endif
EOT
    export NBDLAB_PLUGIN_PATH=$DIR/own
    same "$(once disk.c)" 16777216
    CPATH=$DIR/elsewhere same "$(once disk.c)" 16777216
    # What the user names comes first.
    echo '#error elsewhere' >elsewhere/nbdkit-plugin.h
    CPATH=$DIR/elsewhere refused "the compiler failed with status 1" disk.c
    contains "$output" "#error elsewhere"
    refused "the compiler failed with status 1" disk.c EXTRA_CFLAGS="-I elsewhere"
    refused "EXTRA_CFLAGS is given twice" disk.c EXTRA_CFLAGS=-g EXTRA_CFLAGS=-O2
}

@test "errors of the compiler are shown as they are, and then the command" {
    sed 's/return sizeof bytes/return sizeof bites/' disk.c >wrong.c
    cc -fsyntax-only -I "$TESTS/../include" wrong.c 2>said || :
    refused "the compiler failed with status 1: cc -g -O2 -fPIC -shared wrong.c" wrong.c CC=cc
    grep -q "bites" said
    same "$(head -n -1 <<<"$output")" "$(cat said)"
    # A warning is shown, too, and does no harm.
    sed 's/return sizeof bytes/int unused; &/' disk.c >warned.c
    run -0 once warned.c EXTRA_CFLAGS=-Wunused
    contains "$output" "unused variable"
}

@test "whatever else can be wrong is said in one line" {
    refused "no source: give its path as the first parameter"
    refused "no source" CC=cc
    refused "none.c: No such file or directory" none.c
    refused "$DIR: this is a directory" "$DIR"
    refused "cannot run the compiler 'nocc': install it" disk.c CC=nocc
    touch "$DIR/plain"
    refused "cannot run the compiler './plain'" disk.c CC=./plain
    refused "did not write the file" disk.c CC=true
    refused "the compiler failed with status 2" disk.c CFLAGS="'"
    compiler dying <<<'kill -SEGV $$'
    refused "the compiler was ended by signal 11" disk.c CC=./dying
    echo 'int x;' >none.c
    refused "none.c: it was compiled, but is no plugin: it has no plugin_init" none.c
    refused "inline source: it was compiled, but is no plugin" -
    sed '/API_VERSION 2/d; s/, uint32_t flags)/)/; s/^\( *\)uint64_t offset, .*/\1uint64_t offset)/' \
        disk.c >one.c
    refused "one.c: it uses version 1 of the plugin API: say '#define NBDKIT_API_VERSION 2'" one.c
    sed '/\.pread = /d' disk.c >member.c
    refused "member.c: it has no .pread callback" member.c
    sed 's/"disk"/"a disk"/' disk.c >name.c
    refused "name.c: its .name must be" name.c
    sed 's/^#define THREAD_MODEL .*/#define THREAD_MODEL 9/' disk.c >model.c
    refused "model.c: its THREAD_MODEL is unknown" model.c
    echo 'void *plugin_init(void) { return 0; }' >null.c
    refused "null.c: its plugin_init failed" null.c
    echo 'extern int nowhere; void *plugin_init(void) { return &nowhere; }' >symbol.c
    refused "undefined symbol: nowhere" symbol.c
    refused "disk: this plugin takes no parameters, but got size=1" disk.c size=1
    TMPDIR=$DIR/not-there refused "cannot make a folder for the compiler in $DIR/not-there" disk.c
}

@test "a struct without the newest members is complete" {
    sed 's/^NBDKIT_REGISTER.*//' disk.c >old.c
    cat >>old.c <<'EOT'
#include <stddef.h>
struct nbdkit_plugin *plugin_init(void)
{
    plugin._struct_size = offsetof(struct nbdkit_plugin, can_multi_conn);
    plugin._api_version = SIZE_VERSION;
    plugin._thread_model = THREAD_MODEL;
    /* Beyond the size: nobody may look at it. */
    plugin.get_ready = (int (*)(void))1;
    return &plugin;
}
EOT
    same "$(once old.c EXTRA_CFLAGS=-DSIZE_VERSION=2)" 16777216
    refused "it needs another version of the plugin API than 2" old.c EXTRA_CFLAGS=-DSIZE_VERSION=3
    sed -i 's/can_multi_conn/_pread_v1) - 8 + 0 * sizeof(int/' old.c
    refused "its struct nbdkit_plugin is too small" old.c EXTRA_CFLAGS=-DSIZE_VERSION=2
}

@test "a server that is told to stop ends the compiler" {
    compiler endless <<'EOT'
echo $$ >"$DIR/compiling"
exec tail -f /dev/null
EOT
    start cc disk.c CC=./endless
    wait_for [ -s compiling ]
    kill -TERM "$SERVER"
    wait_exit && status=0 || status=$?
    same "$status" 1
    wait_for not is_alive "$(cat compiling)"
    has "the compiler was ended by signal 15"
    same "$(ls -A "$TMPDIR")" ""
}

@test "even one that ignores SIGTERM, in another process group than it was given" {
    compiler stubborn <<'EOT'
exec perl -e '$SIG{TERM} = "IGNORE"; setpgrp(0, getpgrp(getppid())) or die;
    open(my $f, ">", "$ENV{DIR}/compiling"); print $f $$; close $f; sleep 1000'
EOT
    start cc disk.c CC='exec ./stubborn'
    wait_for [ -s compiling ]
    kill -TERM "$SERVER"
    wait_exit && status=0 || status=$?
    same "$status" 1
    wait_for not is_alive "$(cat compiling)"
    has "the compiler was ended by signal 9"
}

# life: makes life.c, which prints every callback of a life cycle, and what it was given.
life() {
    sed '/^static struct nbdkit_plugin/,$d' disk.c >life.c
    cat >>life.c <<'EOT'
#include <stdio.h>
#define SAY(name) static int say_##name(void) { fputs(#name "\n", stderr); return 0; }
static void say_load(void) { fputs("load\n", stderr); }
static void say_unload(void) { fputs("unload\n", stderr); }
static void say_cleanup(void) { fputs("cleanup\n", stderr); }
static void say_dump(void) { puts("life_dumped=1"); }
static void say_close(void *handle) { fputs("close\n", stderr); }
static int say_preconnect(int readonly) { fprintf(stderr, "preconnect %d\n", readonly); return 0; }
SAY(config_complete) SAY(get_ready) SAY(after_fork)
static int say_model(void)
{
    fputs("thread_model\n", stderr);
    return NBDKIT_THREAD_MODEL_SERIALIZE_CONNECTIONS;
}
static int say_config(const char *key, const char *value)
{
    fprintf(stderr, "%s=%s\n", key, value);
    return strcmp(key, "bad") == 0 ? -1 : 0;
}
static struct nbdkit_plugin plugin = {
    .name = "life", .load = say_load, .unload = say_unload, .config = say_config,
    .config_complete = say_config_complete, .get_ready = say_get_ready,
    .after_fork = say_after_fork, .cleanup = say_cleanup, .preconnect = say_preconnect,
    .thread_model = say_model, .dump_plugin = say_dump, .close = say_close, MAGIC
    .open = disk_open, .get_size = disk_get_size, .pread = disk_pread,
};
NBDKIT_REGISTER_PLUGIN(plugin)
EOT
    cc -fPIC -shared -I "$TESTS/../include" "-DMAGIC=$1" -o life.so life.c
}

# A server of life.c, compiled by hand and by cc; what it says must be the same.
same_life() {
    run timeout "$((3 * BOUND_S))" "$NBDLAB" -U - --run 'nbdinfo --size "$uri"' ./life.so "${@:2}" 3>&- 4>&-
    local theirs=$output status_of_theirs=$status
    run timeout "$((3 * BOUND_S))" "$NBDLAB" -U - --run 'nbdinfo --size "$uri"' \
        cc life.c EXTRA_CFLAGS="'-DMAGIC=$1'" "${@:2}" 3>&- 4>&-
    same "$status" "$status_of_theirs"
    same "$output" "$theirs"
}

@test "parameters and all callbacks of a life cycle, as of a shared object" {
    life '.magic_config_key="magic",'
    same_life '.magic_config_key="magic",' a=1 bare b=2 'c=with space' other
    contains "$output" $'load\na=1\nmagic=bare\nb=2\nc=with space\nmagic=other\nconfig_complete'
    contains "$output" $'thread_model\nget_ready\nafter_fork\n'
    contains "$output" $'\ncleanup\nunload'
    same_life '.magic_config_key="magic",' a=1 bad=2 b=3
    contains "$output" $'load\na=1\nbad=2\nunload'
    # Without a magic key, the first word has an old name, and further ones are errors.
    life ''
    same_life '' first a=2
    contains "$output" $'load\nscript=first\na=2\nconfig_complete'
    same_life '' a=2 second
    contains "$output" "life: expected KEY=VALUE, got 'second'"
    # Ours may stand anywhere; the plugin does not get them.
    run -0 "$NBDLAB" -U - cc CC=cc x=1 script=life.c y=2 EXTRA_CFLAGS=-DMAGIC= z=3 --run true 3>&- 4>&-
    contains "$output" $'load\nx=1\ny=2\nz=3\nconfig_complete'
}

@test "--dump-plugin and --help" {
    run -0 "$NBDLAB" cc --dump-plugin
    contains "$output" "name=cc"
    same "${lines[-2]}" "CC=$(sed -n 's/^-DCOMPILER=\(.*\) -DINCLUDE.*/\1/p' "$BUILD/plugins/cc/defines")"
    same "${lines[-1]}" "CFLAGS=-g -O2 -fPIC -shared"
    life ''
    run -0 --separate-stderr "$NBDLAB" cc life.c CC=gcc EXTRA_CFLAGS=-DMAGIC= --dump-plugin
    same "$(tail -n 4 <<<"$output")" "$(printf '%s\n' CC=gcc "CFLAGS=-g -O2 -fPIC -shared" \
        compiled_name=life life_dumped=1)"
    contains "$output" $'\nthread_model=serialize_connections\n'
    same "$(ls -A "$TMPDIR")" ""
    run -1 "$NBDLAB" cc none.c --dump-plugin
    run -0 "$NBDLAB" cc disk.c --help
    contains "$output" "EXTRA_CFLAGS=FLAGS"
}

@test "a disk is the same as that of the shared object, whatever callbacks it has" {
    # There are many disks of three sources.
    compiler once-each <<'EOT'
for arg; do
    case $arg in *.c) kept=$DIR/${arg##*/}.so ;; esac
    if [ "$last" = -o ]; then out=$arg; fi
    last=$arg
done
[ -e "$kept" ] || cc "$@" -o "$kept"
cp "$kept" "$out"
EOT
    py <<'EOT'
import json
import twins

SOURCES = os.path.join(TESTS, "plugins")
ROWS = [("bare", ""), ("writable", "")]
ROWS += [("full", words) for words in (
    "", "can_write=0", "can_write=-1", "can_trim=0", "can_zero=0", "can_fast_zero=0", "can_fua=0",
    "can_fua=1", "can_fua=7", "can_cache=0", "can_cache=1", "can_extents=0", "can_extents=-1",
    "extents=none", "extents=gap", "zero=95", "zero=28", "pwrite=28", "is_rotational=0",
    "can_multi_conn=0")]
ROWS += [("partial", words) for words in (
    "can_write=1", "can_write=0 pwrite", "pwrite", "pwrite errno", "pwrite flush",
    "pwrite flush can_fua=0", "pwrite can_fua=1", "pwrite flush can_fua=2", "pwrite can_fua=3",
    "pwrite can_flush=1", "pwrite flush can_flush=0", "pwrite can_flush=9",
    "pwrite can_trim=1", "pwrite trim", "pwrite trim errno", "pwrite trim can_trim=0",
    "pwrite can_zero=1", "pwrite zero", "pwrite zero errno", "pwrite zero can_zero=0",
    "pwrite zero can_zero=1", "pwrite zero can_fast_zero=1", "pwrite can_zero=1 can_fast_zero=0",
    "pwrite decline errno", "pwrite decline", "pwrite decline errno can_fast_zero=1",
    "cache", "cache errno", "can_cache=1", "can_cache=2", "cache can_cache=0", "can_cache=3",
    "extents", "can_extents=1", "extents can_extents=2", "extents can_extents=0",
    "list_exports", "default_export", "no_default", "list_exports no_default",
    "export_description", "block_size", "preconnect", "can_multi_conn=1",
    "can_multi_conn=1 thread_model", "is_rotational=1", "can_write=9", "can_multi_conn=9")]


def attempt(look, *args):
    """What it returns, or that there was no connection; how that fails is a matter of timing."""
    try:
        return look("nbdlab", *args)
    except nbd.Error:
        return "no connection"


def exports(_side):
    uri = "nbd+unix:///?socket=" + os.environ["SOCK"]
    told = subprocess.run(["nbdinfo", "--json", "--list", uri], capture_output=True, text=True)
    if told.returncode:
        return told.returncode
    facts = json.loads(told.stdout)
    for export in facts["exports"]:
        del export["uri"]
    return facts


def see(plugin, words, more, *args):
    """All that a client can see of a disk, and all that the plugin has seen of the clients."""
    with Server(*more, *args, PARTIAL=words) as server:
        log = "log=%s/calls" % server.dir
        server.start(*{"bare": [], "full": [*words.split(), log]}.get(plugin, [log]))
        os.environ["SOCK"] = server.sock
        seen = [("exports", attempt(exports))]
        for name in "", "other":
            for look in twins.extents, twins.work, twins.extents, twins.contents:
                seen.append(("%s(%r)" % (look.__name__, name), attempt(look, name)))
        twins.leave()
        same(server.stop(), 0, "exit status; " + server.log)
        return seen, sorted(lines(server.dir + "/calls")), server.leftovers()


for plugin, words in ROWS:
    for more in [], ["-r"]:
        if more and plugin == "partial" and "pwrite" in words:
            continue
        row = "%s %s %s" % (plugin, words, more)
        so = see(plugin, words, more, "%s/tests/plugins/%s.so" % (BUILD, plugin))
        ours = see(plugin, words, more, "cc", "%s/%s.c" % (SOURCES, plugin), "CC=./once-each",
                   "CFLAGS=-fPIC -shared")
        for (name, theirs), (_, mine) in zip(so[0], ours[0]):
            same(mine, theirs, "%s of %s" % (name, row))
        same(ours[1], so[1], "calls of " + row)
        same(ours[2], [], "leftovers")
        assert len(so[1]) > 3 or plugin == "bare" or "preconnect" in words, row
EOT
}

@test "calls run side by side where the plugin allows it, and only there" {
    local model
    for model in parallel serialize_requests serialize_all_requests; do
        rm -f calls
        serve cc "$TESTS/plugins/models.c" EXTRA_CFLAGS=-pthread model="$model" log="$DIR/calls"
        MODEL=$model py <<'EOT'
import threading
clients = [libnbd() for _ in range(2)]
def read(client):
    cookies = [client.aio_pread(nbd.Buffer(512), at) for at in range(0, 32 * 512, 512)]
    if os.environ["MODEL"] == "parallel":
        cookies.append(client.aio_pread(nbd.Buffer(512), 64 << 10))
    while any(not client.aio_command_completed(cookie) for cookie in cookies[-1:]):
        client.poll(1000)
    while client.aio_in_flight():
        client.poll(1000)
threads = [threading.Thread(target=read, args=(client,)) for client in clients]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for client in clients:
    client.shutdown()
EOT
        stop
        read -r _ calls _ _ _ of_one _ < <(tr -d , <calls)
        echo "$model: $calls calls, $of_one of one handle"
        case $model in
            parallel) [ "$calls" -ge 2 ] ;;
            serialize_requests) [ "$calls" -ge 1 ] && [ "$of_one" = 1 ] ;;
            *) [ "$calls" = 1 ] && [ "$of_one" = 1 ] ;;
        esac
    done
}
