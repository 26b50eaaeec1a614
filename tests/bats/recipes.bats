#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The commands that users of nbdkit know from its pages about captive servers and about probing,
# as they stand there, with nbdlab in the place of nbdkit.  Those that need a filter are not here,
# nor those of the kernel's client, nor guestfish, which starts a virtual machine of its own.

load common

setup() {
    common_setup
    PLUGINS=$(echo /usr/lib/*/nbdkit/plugins)
    mkdir "$DIR/bin"
    ln -s "$NBDLAB" "$DIR/bin/nbdlab"
    # The system's python3 is the one that has nbdsh's module.
    PATH=$DIR/bin:/usr/bin:/bin:/usr/sbin:/sbin
    # What Debian's plugins leak is theirs.
    export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"
    cd "$DIR"
}

# command_line <<'EOT': a line for the shell, as a user types it.
command_line() {
    cat >"$DIR/line"
    run -0 timeout "$((3 * BOUND_S))" bash "$DIR/line" 3>&- 4>&-
}

@test "captive: under qemu, which boots from the disk" {
    # Eleven bytes that say "L" to the debug console and have qemu exit with status 2 * 16 + 1.
    printf '\xb0\x4c\xe6\xe9\xb0\x10\xe6\xf4\xf4\xeb\xfd' >disk.img
    truncate -s 510 disk.img
    printf '\x55\xaa' >>disk.img
    truncate -s 1M disk.img
    disk bin/qemu <<'EOT'
#!/bin/sh
exec qemu-system-x86_64 -display none -no-reboot -net none -debugcon file:console \
    -device isa-debug-exit,iobase=0xf4,iosize=4 "$@"
EOT
    cat >line <<'EOT'
nbdlab file disk.img --run 'qemu -drive file="$uri",if=virtio'
EOT
    run -33 timeout "$((6 * BOUND_S))" bash line 3>&- 4>&-
    contains "$(cat console)" L
}

@test "captive: under nbdsh, for unit tests" {
    command_line <<'EOT'
nbdlab memory 1 --run 'nbdsh -u "$uri" -c "print(h.pread(1, 0))"'
EOT
    same "$output" "bytearray(b'\\x00')"
}

@test "captive: a benchmark with fio" {
    mkdir -p fio.git/examples
    cat >fio.git/examples/nbd.fio <<'EOT'
[global]
ioengine=nbd
uri=${uri}
rw=randrw
size=1m
iodepth=4
[job0]
offset=0
EOT
    export NBDLAB_PLUGIN_PATH=$PLUGINS
    command_line <<'EOT'
nbdlab -f null 1G --run 'export uri; fio fio.git/examples/nbd.fio'
EOT
    contains "$output" "err= 0"
}

@test "captive: the shell variables of --run" {
    command_line <<'EOT'
nbdlab -e name memory 1M --run 'echo "$uri|$nbd|$port|$exportname|$tls|$tls_certificates|$tls_psk"; test -S "$unixsocket"'
EOT
    [[ $output =~ ^nbd\+unix:///name\?socket=.*\|nbd\+unix:///name\?socket=.*\|\|name\|.*\|\|$ ]]
}

@test "captive: a disk image is copied out of a plugin" {
    export NBDLAB_PLUGIN_PATH=$PLUGINS
    command_line <<'EOT'
nbdlab example1 --run 'qemu-img convert "$uri" disk.img'
EOT
    same "$(qemu-img info --output=json disk.img | sed -n 's/.*"virtual-size": \([0-9]*\).*/\1/p')" \
        104857600
    unset NBDLAB_PLUGIN_PATH
    command_line <<'EOT'
nbdlab memory 100M --run 'qemu-img convert -n disk.img "$uri" && qemu-img compare disk.img "$uri"'
EOT
}

@test "captive: --exit-with-parent" {
    disk parent.sh <<'EOT'
nbdlab --exit-with-parent -U sock -P pid memory 1M &
until [ -s pid ]; do kill -0 $! || exit 1; sleep 0.01; done
cat pid
EOT
    run -0 timeout "$BOUND_S" sh "$DIR/parent.sh" 3>&- 4>&-
    wait_for not is_alive "$output"
}

@test "captive: is --exit-with-parent supported?" {
    command_line <<'EOT'
nbdlab --exit-with-parent --version && echo "supported"
EOT
    contains "$output" supported
    command_line <<'EOT'
nbdlab --dump-config
EOT
    contains "$output" exit_with_parent=yes
}

@test "probing: --version, with and without a plugin" {
    command_line <<<'nbdlab --version'
    contains "$output" nbdlab
    command_line <<<'nbdlab memory --version'
    contains "$output" memory
}

@test "probing: --dump-config" {
    command_line <<<'nbdlab --dump-config'
    contains "$output" plugindir=
    contains "$output" version_minor=
}

@test "probing: is it at least a version?" {
    command_line <<'EOT'
nbdlab --dump-config | grep ^version_minor
major=$( nbdlab --dump-config | grep ^version_major | cut -d= -f2 )
minor=$( nbdlab --dump-config | grep ^version_minor | cut -d= -f2 )
if [ $major -eq 1 ] && [ $minor -lt 12 ]
then echo 'nbdkit >= 1.12 is required'; exit 1; fi
EOT
    contains "$output" version_minor=
}

@test "probing: facts about a plugin" {
    command_line <<<'nbdlab file --dump-plugin'
    contains "$output" name=file
    contains "$output" path=
    contains "$output" api_version=
    contains "$output" thread_model=
}

@test "probing: a plugin that is not there" {
    run -1 nbdlab foo --version
    contains "$output" "error: "
    contains "$output" nbdkit-foo-plugin.so
}

@test "probing: list all plugins that work" {
    command_line <<'EOT'
plugindir=`nbdlab --dump-config | grep ^plugindir= | sed 's/[^=]*=//'`
for f in $plugindir/nbdkit-*-plugin.so; do
    if nbdlab "$f" --version >/dev/null 2>&1; then
        b=`echo "$f" | sed 's,.*/nbdkit-\(.*\)-plugin.so$,\1,'`
        echo "$b ($f)"
    fi
done
EOT
    local name
    for name in eval file memory sh; do
        contains "$output" "$name ("
    done
}
