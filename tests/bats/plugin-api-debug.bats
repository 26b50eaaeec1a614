#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# What helps a plugin's author: -D and its flags, hexadecimal dumps, timestamps, the server's name.

load common

setup() {
    common_setup
    FLAGS=$BUILD/tests/plugins/flags.so
}

# flags OPTION...: runs the plugin up to the first client that does not come.
flags() {
    run -0 --separate-stderr "$NBDLAB" "$@" --run true
}

@test "-D sets a plugin's flag before load, a dot in its name counts as an underscore" {
    flags "$FLAGS"
    same "$output" "load: one=7 two_parts=0
config_complete: one=7 two_parts=0"
    for option in "-Dflags.one=1 -D flags.two.parts=2" "--debug flags.one=1 --debug=flags.two_parts=2" \
        "-D flags.one=9 -D flags.one=1 -Dflags.two_parts=0x2"; do
        # shellcheck disable=SC2086 # options apart
        flags $option "$FLAGS"
        same "$output" "load: one=1 two_parts=2
config_complete: one=1 two_parts=2"
        same "$stderr" ""
    done
    flags -D flags.one=-2147483648 "$FLAGS"
    contains "$output" "load: one=-2147483648 "
    run -0 --separate-stderr "$NBDLAB" -D flags.one=3 "$FLAGS" --version
    contains "$output" "load: one=3 "
}

@test "-D of a flag that there is not: a warning that names it, and the server runs" {
    flags -D flags.three=1 "$FLAGS"
    contains "$output" "load: one=7 two_parts=0"
    contains "$stderr" "$NAME: warning: -D flags.three=1: "
    contains "$stderr" "flags_debug_three"
    flags -D other.one=1 "$FLAGS"
    contains "$output" "load: one=7 two_parts=0"
    contains "$stderr" "$NAME: warning: -D other.one=1: "
    flags -D nbdkit.three=1 "$FLAGS"
    contains "$stderr" "$NAME: warning: -D nbdkit.three=1: "
}

@test "-D that is malformed: an error that names it" {
    for value in x flags flags.one flags.one= flags.=1 .one=1 =1 flags.one=x flags.one=1.5 flags.one=1x \
        flags.one=2147483648 flags=1 ''; do
        run -1 --separate-stderr "$NBDLAB" -D "$value" "$FLAGS" --run true
        contains "$stderr" "$NAME: error: -D/--debug: \"$value\" "
        same "$output" ""
    done
    run -1 "$NBDLAB" "$FLAGS" -D
    contains "$output" "-D"
}

# read_verbosely OPTION...: the server's log of a client that reads once is $stderr.
read_verbosely() {
    # shellcheck disable=SC2016 # the server's shell expands it
    run -0 --separate-stderr "$NBDLAB" -v "$@" "$FLAGS" \
        --run 'qemu-io -r -f raw -c "read 0 512" "$uri" >/dev/null'
}

@test "-D nbdkit.backend.datapath=0 and controlpath=0 leave out their lines" {
    read_verbosely
    contains "$stderr" ": debug: open export"
    contains "$stderr" "512 bytes at 0"
    read_verbosely -D nbdkit.backend.datapath=0
    contains "$stderr" ": debug: open export"
    not contains "$stderr" "512 bytes at 0"
    read_verbosely -D nbdkit.backend.controlpath=0
    not contains "$stderr" ": debug: open export"
    contains "$stderr" "512 bytes at 0"
    read_verbosely -D nbdkit.backend.controlpath=0 -D nbdkit.backend.controlpath=1
    contains "$stderr" ": debug: open export"
}

@test "-D nbdkit.environ=1 logs the environment, with -v only" {
    FOR_ENVIRON=$'a value\nof two lines' run -0 --separate-stderr \
        "$NBDLAB" -v -D nbdkit.environ=1 "$FLAGS" --run true
    contains "$stderr" "$NAME: debug: environ: FOR_ENVIRON=a value
$NAME: debug: of two lines"
    FOR_ENVIRON=x run -0 --separate-stderr "$NBDLAB" -D nbdkit.environ=1 "$FLAGS" --run true
    same "$stderr" ""
    FOR_ENVIRON=x run -0 --separate-stderr "$NBDLAB" -v "$FLAGS" --run true
    not contains "$stderr" FOR_ENVIRON
}

@test "nbdkit_debug_hexdump prints rows of 16 bytes, with -v only" {
    flags -v -D nbdkit.backend.controlpath=0 "$FLAGS" show=hexdump
    same "$(grep -E '[0-9a-f]{8}:' <<<"$stderr")" "\
$NAME: debug: data: 00000000: 50 51 52 53 54 55 56 57  58 59 5a 5b 5c 5d 5e 5f  |PQRSTUVWXYZ[\\]^_|
$NAME: debug: data: 00000010: 60 61 62 63 64 65 66 67  68 69 6a 6b 6c 6d 6e 6f  |\`abcdefghijklmno|
$NAME: debug: data: 00000020: 70 71 72 73 74 75 76 77                           |pqrstuvw|
$NAME: debug: 123456789a: 50 51 52                                          |PQR|
$NAME: debug: fffffffffffffff0: 50 51 52 53 54 55 56 57  58 59 5a 5b 5c 5d 5e 5f  |PQRSTUVWXYZ[\\]^_|"
    contains "$output" "errno is preserved"
    flags "$FLAGS" show=hexdump
    same "$stderr" ""
}

@test "nbdkit_debug_hexdiff prints the rows that differ, with -v only" {
    flags -v "$FLAGS" show=hexdiff
    same "$(grep -E '(same|diff):' <<<"$stderr")" "\
$NAME: debug: diff: -00000110: 61 61 61 61 61 61 61 61  61 61 61 61 61 61 61 61  |aaaaaaaaaaaaaaaa|
$NAME: debug: diff: +00000110: 61 0a 61 61 61 61 61 61  61 61 61 61 61 61 61 61  |a.aaaaaaaaaaaaaa|
$NAME: debug: diff: -00000120: 61 61 61 61 61 61 61 61                           |aaaaaaaa|
$NAME: debug: diff: +00000120: 61 61 61 61 61 61 61 62                           |aaaaaaab|"
    contains "$output" "errno is preserved"
    flags "$FLAGS" show=hexdiff
    same "$stderr" ""
}

@test "messages: %m, several lines, no escape sequences, and errno stays" {
    flags -v -D nbdkit.backend.controlpath=0 "$FLAGS" show=messages
    same "$(grep both -A 1 <<<"$stderr" | grep -v ' environ')" "\
$NAME: error: error both 2 lines: No space left on device
$NAME: debug: debug both 2 lines: No space left on device
$NAME: error: list both 2
$NAME: error: lines?[1m: No space left on device
$NAME: debug: list both 2
$NAME: debug: lines?[1m: No space left on device"
    contains "$output" "errno is preserved"
    flags "$FLAGS" show=messages
    not contains "$stderr" "debug"
}

@test "nbdkit_timestamp is the local date and time to the microsecond" {
    local before after stamp
    before=$(TZ=XYZ-3 date '+%F %T.%6N')
    TZ=XYZ-3 flags "$FLAGS" show=timestamp
    after=$(TZ=XYZ-3 date '+%F %T.%6N')
    stamp=$(sed -n 's/^timestamp <\(.*\)>$/\1/p' <<<"$output")
    [[ $stamp =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}\ [0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}$ ]]
    same "$(printf '%s\n' "$before" "$stamp" "$after")" \
        "$(printf '%s\n' "$before" "$stamp" "$after" | LC_ALL=C sort)"
    contains "$output" "errno is preserved"
}

@test "nbdkit_name is what --name says, and empty without it" {
    for name in backup 'two words'; do
        flags --name="$name" "$FLAGS" show=name
        contains "$output" "name <$name>"
    done
    flags "$FLAGS" show=name
    contains "$output" "name <>"
    contains "$output" "errno is preserved"
}
