#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# The disk of README.md, as a script. Its memory is the file $tmpdir/disk.

method=$1
TOLD=65536 GATE=131072 ERRNO=262144 ZERO=786432
# shellcheck disable=SC2154 # the server sets it
disk=$tmpdir/disk

# The arguments of a method, in the order of README.md.
export_name='' offset=$TOLD
case $method in
    open) export_name=$3; arguments="$3 $2" ;;
    config) arguments="$2 $3" ;;
    preconnect) arguments=$2 ;;
    list_exports | default_export) arguments="$2 $3" ;;
    pread | pwrite | trim | zero | cache | extents)
        export_name=$2 offset=$4; arguments="$2 $3 $4 $5" ;;
    load | unload | config_complete | thread_model | get_ready | after_fork) arguments= ;;
    magic_config_key) echo word; exit ;;
    process_model | map) exit 2 ;; # nbdlab's own
    *) export_name=$2; arguments=$2 ;;
esac

note() {
    if [ -n "$CONTRACT_LOG" ]; then
        # Empty arguments are left out.
        # shellcheck disable=SC2086
        echo "$1 $method" $2 >>"$CONTRACT_LOG"
    fi
}

is_told() {
    [ "$method" = "$CONTRACT_WHEN" ] && [ "$offset" = "$TOLD" ] && case $method:$export_name in
        load:* | unload:* | config* | thread_model:* | get_ready:* | after_fork:* | \
            preconnect:* | list_exports:* | default_export:*) true ;;
        *:told) true ;;
        *) false ;;
    esac
}

# shellcheck disable=SC2153
is_wrong() {
    [ "$CONTRACT_DO" = wrong ] && is_told
}

# fail [ERRNO] MESSAGE
fail() {
    echo "$*" >&2
    exit 1
}

# Fails a request at the place of an errno. A script says errnos by name.
check_errno() {
    number=$(((offset - ERRNO) / 512))
    if [ "$offset" -le "$ERRNO" ] || [ "$number" -gt 133 ] || [ $((offset % 512)) -ne 0 ]; then
        return
    fi
    case $number in
        1) word=EPERM ;;
        5) word=EIO ;;
        12) word=ENOMEM ;;
        22) word=EINVAL ;;
        27) word=EFBIG ;;
        28) word=ENOSPC ;;
        30) word=EROFS ;;
        75) word=EOVERFLOW ;;
        95) word=EOPNOTSUPP ;;
        108) word=ESHUTDOWN ;;
        122) word=EDQUOT ;;
        *) word= ;;
    esac
    fail $word "told errno $number"
}

# What a copy of bytes of the disk needs, with dd; its messages are of interest only if it fails.
copy() {
    dd "$@" iflag=skip_bytes,count_bytes,fullblock oflag=seek_bytes conv=notrunc status=none
}

clear() {
    case ,$5, in
        *,fast,*) if [ "$offset" -ge "$ZERO" ]; then echo EOPNOTSUPP >&2; exit 1; fi ;;
    esac
    copy if=/dev/zero of="$disk" count="$3" seek="$offset"
}

# The work of the method; a question that has no line here is answered with yes.
work() {
    case $method in
        load) truncate -s 1M "$disk" ;;
        config) case $2 in word | other) ;; *) fail "unknown parameter $2" ;; esac ;;
        thread_model) echo parallel ;;
        list_exports) printf '%s\n' INTERLEAVED plain '' told 'does what it is told' ;;
        default_export) echo plain ;;
        open) echo "$export_name" ;;
        export_description) echo "the export $export_name" ;;
        get_size) if is_wrong; then echo -5; else echo 1M; fi ;;
        block_size) if is_wrong; then echo 3 4096 1M; else echo 1 4096 1M; fi ;;
        can_fua | can_cache) echo native ;;
        pread)
            if [ "$offset" = "$GATE" ]; then read -r _ <"$CONTRACT_GATE"; fi
            check_errno
            if is_wrong; then set -- "$1" "$2" $(($3 - 1)) "$4"; fi
            copy if="$disk" count="$3" skip="$offset" ;;
        pwrite) check_errno; copy of="$disk" seek="$offset" ;;
        trim | zero) check_errno; clear "$@" ;;
        cache) check_errno ;;
        extents)
            if is_wrong; then echo $((offset + 512)) 512
            else printf '%s\n' '0 512K' '512K 256K hole,zero' '768K 256K zero'; fi ;;
    esac
}

# Ends as it is told.
finish() {
    case $CONTRACT_DO:$CONTRACT_RESULT in
        fail:*) fail "told to fail" ;;
        shutdown:fail) status=5 ;;
        shutdown:*) status=4 ;;
        soft:fail) status=8 ;;
        soft:*) status=7 ;;
        forced:*) status=6 ;;
        *) return ;;
    esac
    if [ "$CONTRACT_RESULT" = fail ]; then echo "ENOSPC told to fail" >&2; else note end; fi
    exit "$status"
}

# The arguments are split into words on purpose.
note begin "$arguments"
work "$@" || exit
if is_told; then finish; fi
note end
