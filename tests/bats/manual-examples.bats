#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The commands of nbdlab(1) do what the manual says.  Each test takes one example out of the page
# and runs it as it stands, in a folder of its own; only where it listens on the network or uses a
# path in /tmp, that is changed.

load common

setup() {
    common_setup
    cd "$DIR"
    TAKEN=$BATS_FILE_TMPDIR/taken
    export TAKEN
    mkdir "$DIR/bin"
    ln -s "$NBDLAB" "$DIR/bin/nbdlab"
    PATH=$DIR/bin:$PATH
}

# page: every literal block of the manual page, after a line with its number.
page() {
    awk '/^\.Bd -literal/ { n++; print "#block " n; inside = 1; next }
         /^\.Ed/ { inside = 0 }
         inside' "$TESTS/../man/nbdlab.1" | sed 's/\\e/\\/g; s/\\-/-/g'
}

# example PART: prints the block that contains PART, with its paths moved out of /tmp.
example() {
    page | awk -v part="$1" -v taken="$TAKEN" '
        function finish() { if (is_mine) { printf "%s", text; print number >>taken; found = 1 } }
        /^#block / { finish(); number = $2; text = ""; is_mine = 0; next }
        { text = text $0 "\n"; if (index($0, part)) is_mine = 1 }
        END { finish(); exit !found }' | sed "s|/tmp/|$DIR/|g"
}

# run_example PART: runs the commands of that block with sh; they must all succeed.
run_example() {
    example "$1" >"$DIR/example.sh"
    run -0 sh -e "$DIR/example.sh" 3>&- 4>&-
}

@test "a disk of 1 GiB on every address, in the background" {
    example "nbdlab memory 1G" | sed "s|nbdlab|nbdlab -p 0 -P $PIDFILE|" >"$DIR/example.sh"
    run -0 --separate-stderr sh -e "$DIR/example.sh" 3>&- 4>&-
    STARTED+=("$(cat "$PIDFILE")")
    same "$(nbdinfo --size "nbd://127.0.0.1:$output")" 1073741824
}

@test "a plugin that was compiled for nbdkit" {
    example "nbdkit-pattern-plugin.so" | sed "s|nbdlab|nbdlab -U $SOCK -P $PIDFILE|" >"$DIR/example.sh"
    sh -e "$DIR/example.sh" 3>&- 4>&- &
    STARTED+=("$!")
    wait_for [ -s "$PIDFILE" ]
    STARTED+=("$(cat "$PIDFILE")")
    same "$(nbdinfo --size "$URI")" 1048576
}

@test "one command" {
    run_example "nbdlab memory 64M --run"
    contains "$output" "export-size: 67108864"
}

@test "a disk from a script, for one command" {
    run_example "<<'END'"
    same "$output" 1048576
}

@test "a server in the background for two programs" {
    run_example "nbdcopy 'nbd+unix"
    same "$(stat -c %s copy.img)" 67108864
    same "$(head -c 1048576 copy.img | tr -d '\007' | wc -c)" 0
    wait_for [ ! -e disk.pid ]
}

@test "an image, read only" {
    truncate -s 1M disk.img
    run_example "qemu-img info"
    contains "$output" "virtual size: 1 MiB"
}

@test "watching what a client does" {
    disk disk.sh <"$TESTS/../examples/hello.sh"
    example "nbdlab -fv" | sed "s|nbdlab|exec nbdlab -U $SOCK -P $PIDFILE|" >"$DIR/example.sh"
    sh -e "$DIR/example.sh" 2>>"$LOG" 3>&- 4>&- &
    STARTED+=("$!")
    wait_for [ -s "$PIDFILE" ]
    nbdinfo --size "$URI"
    has "debug: ./disk.sh get_size"
}

@test "a free port of this machine, for this machine only" {
    run_example "-i 127.0.0.1 -p 0 memory 1M --run"
    contains "${lines[0]}" "nbd://127.0.0.1:"
    contains "$output" "export-size: 1048576"
}

@test "nbdkit's data plugin" {
    # What it leaks is its own.
    export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"
    run_example "nbdlab data"
    same "$output" 3
}

@test "a script in Perl, by name" {
    export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"
    run_example "nbdlab example4"
    contains "$output" "export-size: 1048576"
}

@test "there is a test here for each example" {
    # Messages are no commands.
    example "nbdlab: error:" >/dev/null
    example "error: the plugin crashed" >/dev/null
    same "$(sort -nu "$TAKEN" | tr '\n' ' ')" "$(page | sed -n 's/^#block //p' | tr '\n' ' ')"
}
