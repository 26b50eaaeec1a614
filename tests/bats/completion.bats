#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Completion for bash: what a Tab offers at the end of a command line.  option-table.bats compares
# the options with the program's.

load common

setup() {
    common_setup
    cd "$DIR"
    mkdir folder plugins
    touch a-file
    cp "$BUILD/tests/plugins/told.so" plugins/nbdkit-lab-plugin.so
}

# tab WORD...: what is offered for the last word, the way bash splits it (KEY=VALUE in three).
tab() {
    bash -c 'source "$1/completions/nbdlab.bash"; shift
        compopt() { :; }
        COMP_WORDS=(nbdlab "$@") COMP_CWORD=$#
        _nbdlab "$NBDLAB"
        printf "%s\n" "${COMPREPLY[@]}" | sort' bash "$TESTS/.." "$@"
}

# offers WORDS TAB...: exactly these are offered.
offers() {
    local wanted=$1
    shift
    same "$(tab "$@" | tr '\n' ' ')" "$wanted "
}

@test "options by their beginning, before and after the plugin" {
    offers "--readonly" --reado
    offers "--read-only --readonly" memory 1M --read
    offers "--tls --tls-certificates --tls-priority --tls-psk --tls-verify-peer" --tls
    offers "-4" -4
}

@test "values of options" {
    offers "off on require" --tls ""
    offers "off on require" --tls =
    offers "require" --tls = r
    offers "a-file default folder null plugins stderr syslog tmp" --log ""
    offers "stderr syslog" --log = s
    contains "$(tab -u "")" root
    contains "$(tab --group = "")" root
    contains "$(tab -i "")" 127.0.0.1
    contains "$(tab --run "tru")" true
}

@test "files and folders" {
    for option in -U --unix -P --pidfile --pid-file --tls-psk; do
        offers "a-file" "$option" a
        offers "a-file" "$option" = a
    done
    offers "folder" --tls-certificates fo
    same "$(tab --tls-certificates a-)" ""
    offers "a-file" memory @ a
    offers "a-file" file file = a
    offers "folder" file dir = fo
}

@test "nothing for values that only the user knows" {
    for option in -p --port -t --threads -e --exportname --mask-handshake --name --timeout \
        --connections --bytes-in-flight -D --selinux-label --tls-priority; do
        same "$(tab "$option" "")" ""
        same "$(tab "$option" =)" ""
    done
}

@test "names of plugins, also those of NBDLAB_PLUGIN_PATH" {
    offers "memory" mem
    offers "memory" -f -p 10000 --tls on --name = lab mem
    NBDLAB_PLUGIN_PATH=$DIR/plugins offers "lab" lab
    # One that is a script, and one of nbdkit's.
    touch plugins/nbdkit-laboratory-plugin
    NBDLAB_PLUGIN_PATH=$DIR/plugins offers "lab laboratory" lab
    offers "pattern" patte
    NBDLAB_PLUGIN_PATH=$DIR/plugins run tab ""
    for name in eval file lab memory sh folder; do
        contains "$output" "$name"
    done
}

@test "parameters of the plugin that is on the line, wherever its options stand" {
    offers "allocator= size=" memory ""
    offers "allocator= size=" -U sock memory ""
    offers "allocator= size=" --unix = sock --timeout 3 memory ""
    offers "sh.timeout=" eval sh.t
    offers "EXTRA_CFLAGS=" cc ./disk.c EXTRA
    offers "malloc malloc,mlock sparse zstd" memory allocator =
    offers "normal random sequential" file fadvise = ""
}

@test "every parameter that a plugin's --help has, and every fragment of eval's" {
    local plugin key offered
    for plugin in sh eval memory file cc python; do
        offered=$(tab "$plugin" "")
        for key in $("$NBDLAB" "$plugin" --help | sed -n '/^plugin: /,$p' |
            sed 's/  .*//; s/[][]//g' | grep -o '[A-Za-z][A-Za-z_.]*='); do
            case $key in METHOD= | config=) continue ;; esac
            grep -qxF "$key" <<<"$offered" || { echo "$plugin: $key is not offered"; return 1; }
        done
    done
    offered=$(tab eval "")
    for key in $(sed -n 's/^    { "\([a-z_]*\)", NULL },$/\1/p' "$TESTS/../sh-plugin/eval.c"); do
        grep -qxF "$key=" <<<"$offered" || { echo "eval: $key= is not offered"; return 1; }
    done
    contains "$offered" process_model=
    offers "worker" sh sh.process = w
}
