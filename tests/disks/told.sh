#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# A disk that does what it is told, for exit_status.py.  The environment tells it:
#   TOLD_DIR     where it writes its log and finds the FIFO "gate"
#   TOLD_METHOD  the method that is to end oddly: for clients of the export "told" only, reads and
#                writes at offset 64 KiB only, parameters with the key "now" only
#   TOLD_STATUS  how: an exit status, or a signal such as SIGABRT
# A read at 128 KiB waits for a line from the gate.  The log has a line when a call begins and one
# when it ends.

method=$1
handle=
case $method in
    load | unload | config* | thread_model | get_ready | after_fork | preconnect) ;;
    open) handle=$3 ;;
    *) handle=$2 ;;
esac

note() {
    echo "$1 $method <$handle>" >>"$TOLD_DIR/log"
}

is_told() {
    [ "$method" = "$TOLD_METHOD" ] || return 1
    case $method in
        config) [ "$2" = now ] ;;
        config_complete | get_ready) true ;;
        pread | pwrite) [ "$4" -eq 65536 ] ;;
        *) case $handle in told*) true ;; *) false ;; esac ;;
    esac
}

# What the method prints where it succeeds.
work() {
    case $method in
        thread_model) echo parallel ;;
        open) read -r pid _ </proc/self/stat; handle=$3-$pid; echo "$handle" ;;
        get_size) echo 1M ;;
        pread)
            if [ "$4" -eq 131072 ]; then read -r _ <"$TOLD_DIR/gate"; fi
            head -c "$3" /dev/zero ;;
        pwrite) cat >/dev/null ;;
        load | unload | config | config_complete | get_ready | close | flush) ;;
        can_write | can_flush) ;;
        *) return 2 ;;
    esac
}

# A told write leaves its data unread.
obey() {
    case $method:$TOLD_STATUS in
        pwrite:*) ;;
        *:0 | *:4 | *:7) work "$@" ;;
    esac
    note end
    # Without a core file where the shell knows how to do that, as Debian's does.
    # shellcheck disable=SC3045
    case $TOLD_STATUS in
        SIG*) ulimit -c 0; sh -c 'kill -"$1" "$PPID"' sh "${TOLD_STATUS#SIG}" ;;
        *) exit "$TOLD_STATUS" ;;
    esac
}

note begin
if is_told "$@"; then obey "$@"; fi
work "$@"
status=$?
note end
exit $status
