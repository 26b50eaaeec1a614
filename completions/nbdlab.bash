# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Completion of nbdlab's command line for bash: options, plugins, files and parameters.

_nbdlab_flags='-4 -6 -f -n -o -r -s -v -V --dump-config --dump-plugin --exit-with-parent --foreground
    --help --ipv4-only --ipv6-only --keep-alive --keepalive --long-options --new-style --newstyle
    --no-fork --no-mc --no-meta-contexts --no-sr --no-structured-replies --old-style --oldstyle
    --print-uri --print-url --read-only --readonly --short-options --show-uri --show-url --single
    --stdin --swap --tls-verify-peer --verbose --version --vsock'
# The options that the next word belongs to.
_nbdlab_valued='-D -e -g -i -P -p -t -U -u --bytes-in-flight --connections --debug --export
    --export-name --exportname --filter --group --ip-addr --ipaddr --log --mask-handshake --name
    --pid-file --pidfile --port --run --selinux-label --threads --time-out --timeout --tls
    --tls-certificates --tls-priority --tls-psk --unix --user'

# Prints the names of the plugins that `nbdlab NAME` would find.
_nbdlab_plugins() {
    local folder file
    local -a folders=()

    IFS=: read -r -a folders <<<"${NBDLAB_PLUGIN_PATH-}:$(
        "$1" --dump-config 2>/dev/null | sed -n 's/^\(nbdkit_\)\?plugindir=//p' | paste -sd :)"
    for folder in "${folders[@]}"; do
        [[ $folder ]] || continue
        for file in "$folder"/nbdkit-*-plugin{,.so}; do
            [[ -e $file ]] || continue
            file=${file##*/nbdkit-}
            printf '%s\n' "${file%-plugin*}"
        done
    done | sort -u
}

# Prints the first word of the command line that is neither an option nor an option's argument.
_nbdlab_chosen_plugin() {
    local i

    for ((i = 1; i < COMP_CWORD; i++)); do
        if [[ ${COMP_WORDS[i]} != -* ]]; then
            printf '%s\n' "${COMP_WORDS[i]}"
            return
        elif [[ " ${_nbdlab_valued//$'\n'/ } " == *" ${COMP_WORDS[i]} "* ]]; then
            ((i++))
            [[ ${COMP_WORDS[i]-} != '=' ]] || ((i++))
        fi
    done
}

# Prints the keys that a plugin takes.
_nbdlab_keys() {
    case ${1##*/} in
    sh) printf '%s\n' script= sh.timeout= sh.grace= sh.process= ;;
    eval)
        printf '%s=\n' after_fork block_size cache can_cache can_extents can_fast_zero \
            can_flush can_fua can_multi_conn can_trim can_write can_zero close config \
            config_complete default_export dump_plugin export_description extents flush \
            get_ready get_size is_rotational list_exports map missing open pread preconnect \
            process_model pwrite thread_model trim unload zero sh.timeout sh.grace sh.process
        ;;
    file) printf '%s\n' file= dir= fd= dirfd= cache= fadvise= ;;
    memory) printf '%s\n' size= allocator= ;;
    cc) printf '%s\n' script= CC= CFLAGS= EXTRA_CFLAGS= ;;
    python) printf '%s\n' script= ;;
    esac
}

_nbdlab() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} key='' plugin

    # bash takes KEY=VALUE for three words, and @FILE for two.
    if [[ $cur == '=' ]]; then
        key=$prev cur=''
    elif [[ $prev == '=' ]] && ((COMP_CWORD >= 2)); then
        key=${COMP_WORDS[COMP_CWORD - 2]}
    elif [[ $cur == @ ]]; then
        key=@ cur=''
    elif [[ $prev == -* || $prev == @ ]]; then
        key=$prev
    fi

    COMPREPLY=()
    case $key in
    -U | --unix | -P | --pidfile | --pid-file | --tls-psk | file | script | @)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    --tls-certificates | dir | directory)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
        return
        ;;
    -i | --ipaddr | --ip-addr)
        mapfile -t COMPREPLY < <(compgen -A hostname -W '127.0.0.1 ::1' -- "$cur")
        return
        ;;
    --run)
        mapfile -t COMPREPLY < <(compgen -c -- "$cur")
        return
        ;;
    --log)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -W 'stderr syslog null default' -- "$cur"
            compgen -f -- "$cur")
        return
        ;;
    --tls)
        mapfile -t COMPREPLY < <(compgen -W 'off on require' -- "$cur")
        return
        ;;
    -u | --user)
        mapfile -t COMPREPLY < <(compgen -u -- "$cur")
        return
        ;;
    -g | --group)
        mapfile -t COMPREPLY < <(compgen -g -- "$cur")
        return
        ;;
    cache)
        mapfile -t COMPREPLY < <(compgen -W 'default none' -- "$cur")
        return
        ;;
    fadvise)
        mapfile -t COMPREPLY < <(compgen -W 'normal random sequential' -- "$cur")
        return
        ;;
    sh.process)
        mapfile -t COMPREPLY < <(compgen -W 'spawn worker' -- "$cur")
        return
        ;;
    allocator)
        mapfile -t COMPREPLY < <(compgen -W 'sparse malloc malloc,mlock zstd' -- "$cur")
        return
        ;;
    -*)
        [[ " ${_nbdlab_valued//$'\n'/ } " != *" $key "* ]] || return
        ;;
    esac

    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$_nbdlab_flags $_nbdlab_valued" -- "$cur")
        return
    fi

    plugin=$(_nbdlab_chosen_plugin)
    compopt -o filenames
    if [[ ! $plugin ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_nbdlab_plugins "$1")" -- "$cur"
            compgen -f -- "$cur")
        return
    fi
    mapfile -t COMPREPLY < <(compgen -W "$(_nbdlab_keys "$plugin")" -- "$cur"
        [[ ! $cur || $plugin == memory ]] || compgen -f -- "$cur")
    [[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace
}

complete -F _nbdlab nbdlab ./nbdlab nbdkit
