#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Privileges: -u and -g, what is made before root's rights are given up and what is removed after
# that, and what the server says when it is root.
#
# Most of it takes root; the part for everybody else then runs as nobody.

load common

# A folder that other users can enter: that of bats is for its owner only.
setup() {
    common_setup
    OPEN=$(mktemp -d /tmp/nbdlab-test.XXXXXX)
    chmod 1777 "$OPEN"
    SOCK=$OPEN/sock
    PIDFILE=$OPEN/pid
    URI="nbd+unix:///?socket=$SOCK"
    TMPDIR=$OPEN/tmp
    mkdir -m 1777 "$TMPDIR"
    export OPEN SOCK PIDFILE URI TMPDIR
}

teardown() {
    common_teardown
    rm -rf "$OPEN"
}

is_root() {
    [ "$(id -u)" = 0 ]
}

needs_root() {
    is_root || skip "only root can become another user; run this as root to test it"
}

# as_nobody COMMAND...: as a user without rights, whoever runs the tests.
as_nobody() {
    if is_root; then
        HOME=$OPEN setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
    else
        "$@"
    fi
}

# An nbdlab that nobody can reach, wherever it was built.
copy_program() {
    mkdir -p "$OPEN/lab"
    cp -rL "$NBDLAB" "$BUILD/plugins" "$OPEN/lab"
    COPY=$OPEN/lab/$NAME
}

# ids PID: the user, group and other group IDs that each of its threads has, a line each sort.
ids() {
    cat /proc/"$1"/task/*/status |
        awk '/^(Uid|Gid|Groups|CapInh|CapPrm|CapEff|CapAmb):/ { $1 = $1; print }' | sort -u
}

NO_CAPABILITIES="CapAmb: 0000000000000000
CapEff: 0000000000000000
CapInh: 0000000000000000
CapPrm: 0000000000000000"

# expect_ids UID GID GROUPS: what the server has, in every thread.
expect_ids() {
    same "$(ids "$SERVER")" "$NO_CAPABILITIES
Gid: $2 $2 $2 $2
Groups: $3
Uid: $1 $1 $1 $1"
}

# with_groups COMMAND...: runs the command where daemon is a member of the groups 4321 and 4322.
with_groups() {
    cp /etc/group "$DIR/group"
    printf 'labone:x:4321:daemon\nlabtwo:x:4322:nobody,daemon\n' >>"$DIR/group"
    # shellcheck disable=SC2016
    unshare -m sh -c 'mount --bind "$DIR/group" /etc/group; exec "$@"' sh "$@"
}

@test "-u: the user, its group, its other groups, in every thread, and no capability" {
    needs_root
    local user
    for user in daemon 1; do
        rm -f "$PIDFILE"
        with_groups "$NBDLAB" -U "$SOCK" -P "$PIDFILE" -u "$user" memory 1M 3>&- 4>&-
        SERVER=$(cat "$PIDFILE")
        STARTED+=("$SERVER")
        py <<'EOT'
clients = [ready() for _ in range(3)]
until(lambda: len(os.listdir("/proc/%s/task" % open(os.environ["PIDFILE"]).read().strip())) >= 4,
      "a thread for each client")
EOT
        expect_ids 1 1 "1 4321 4322"
        kill "$SERVER"
        wait_for not is_alive "$SERVER"
        [ ! -e "$SOCK" ]
        [ ! -e "$PIDFILE" ]
    done
}

@test "-u and -g: names and numbers; -g is the only group" {
    needs_root
    serve -u daemon -g nogroup memory 1M
    expect_ids 1 65534 65534
    stop
    serve --user=daemon --group=4321 memory 1M
    expect_ids 1 4321 4321
    stop
    serve --user 65534 memory 1M
    expect_ids 65534 65534 65534
    stop
    # Nobody's number: then the group has the same one.
    serve -u 70000 memory 1M
    expect_ids 70000 70000 70000
    stop
    serve -g daemon memory 1M
    same "$(ids "$SERVER" | grep -v Cap)" "Gid: 1 1 1 1
Groups: 1
Uid: 0 0 0 0"
    stop
}

@test "-u: there is no way back" {
    needs_root
    echo secret >"$DIR/secret"
    chmod 600 "$DIR/secret"
    serve -u daemon eval get_size='echo 512' \
        pread="{ id -u; cat '$DIR/secret'; setpriv --reuid 0 id -u; setpriv --clear-groups id -u
            head -c 512 /dev/zero; } 2>&1 | head -c 512"
    run -0 nbdcopy "$URI" -
    contains "$output" "1"
    [[ $output != *secret$'\n'* ]]
    contains "$output" "Permission denied"
    contains "$output" "Operation not permitted"
    same "$(grep -cx 0 <<<"${output//$'\0'/}")" 0
    stop
}

@test "-u: \$tmpdir and what was made in it before belong to the new user" {
    needs_root
    echo precious >"$OPEN/precious"
    start -u daemon sh - <<EOF
case \$1 in
    load) id -u >\$tmpdir/before; mkdir \$tmpdir/folder; echo x >\$tmpdir/folder/file
        chmod 600 \$tmpdir/before; ln -s $OPEN/precious \$tmpdir/link
        ln $OPEN/precious \$tmpdir/hard ;;
    after_fork) id -u >>\$tmpdir/before; echo y >\$tmpdir/folder/file ;;
    get_size) stat -c "%u %n" \$tmpdir \$tmpdir/* \$tmpdir/folder/* >\$tmpdir/list
        cat \$tmpdir/before \$tmpdir/folder/file >>\$tmpdir/list; stat -c %s \$tmpdir/list ;;
    pread) tail -c +\$((\$4 + 1)) \$tmpdir/list | head -c \$3 ;;
    *) exit 2 ;;
esac
EOF
    wait_ready
    local folder
    folder=$(echo "$TMPDIR"/nbdlab-*)
    # A file that has another name elsewhere was not made here, and is left alone.
    same "$(nbdcopy "$URI" - | sed "s#$folder##" | grep -v /hard)" "1 
1 /before
1 /folder
1 /inline-script.sh
1 /link
1 /folder/file
0
1
y"
    same "$(stat -c %u "$OPEN/precious")" 0
    stop
    same "$(ls -A "$TMPDIR")" ""
}

@test "\$tmpdir: another folder that was put in its place is neither given away nor emptied" {
    cat >"$OPEN/swap.sh" <<'EOF'
#!/bin/sh
case $1 in
    load) mkdir "$tmpdir/inner"; : >"$tmpdir/inner/file"
        mv "$tmpdir" "$OPEN/away" && mv "$OPEN/victim" "$tmpdir"; echo "$tmpdir" >"$OPEN/name" ;;
    get_size) echo 1M ;;
    pread) head -c "$3" /dev/zero ;;
    *) exit 2 ;;
esac
EOF
    chmod +x "$OPEN/swap.sh"
    local users=(-r)
    ! is_root || users+=(-udaemon)
    for option in "${users[@]}"; do
        rm -rf "$OPEN/victim" "$OPEN/away"
        mkdir -m 700 "$OPEN/victim"
        echo precious >"$OPEN/victim/precious"
        ls -lRn --full-time "$OPEN/victim" | tail -n +2 >"$OPEN/before"
        run timeout "$BOUND_S" "$NBDLAB" "$option" sh "$OPEN/swap.sh" --run :
        ls -lRn --full-time "$(cat "$OPEN/name")" | tail -n +2 >"$OPEN/after"
        diff "$OPEN/before" "$OPEN/after"
        same "$(ls -A "$OPEN/away")" ""
        rm -r "$(cat "$OPEN/name")"
    done
}

@test "-u: nothing is left in \$TMPDIR after a SIGKILL, and the warden is no root" {
    needs_root
    serve -u daemon eval get_size='echo 1M' pread='head -c $3 /dev/zero' get_ready='echo x >$tmpdir/x'
    local warden
    warden=$(pgrep -x nbdlab-warden -P "$SERVER")
    same "$(ids "$warden" | grep -v Cap)" "Gid: 1 1 1 1
Groups:
Uid: 1 1 1 1"
    kill -KILL "$SERVER"
    wait_for not is_alive "$warden"
    same "$(ls -A "$TMPDIR")" ""
}

@test "-u: a \$TMPDIR that the user cannot reach is refused" {
    needs_root
    mkdir -m 700 "$OPEN/closed"
    TMPDIR=$OPEN/closed run -1 "$NBDLAB" -f -U "$SOCK" -P "$PIDFILE" -u daemon eval get_size='echo 1M' pread=:
    contains "$output" "the user of -u cannot use the temporary directory $OPEN/closed/"
    contains "$output" "set TMPDIR"
    [ ! -e "$SOCK" ]
    [ ! -e "$PIDFILE" ]
}

@test "-u: the socket, the pid file and the log file are made by root" {
    needs_root
    mkdir -m 711 "$OPEN/closed"
    local pidfile=$PIDFILE
    SOCK=$OPEN/closed/sock PIDFILE=$OPEN/closed/pid
    serve -u daemon --log="$OPEN/closed/log" eval get_size='echo 1M' pread='echo woe >&2; exit 1'
    run -1 qemu-io -r -f raw -c 'read 0 512' "nbd+unix:///?socket=$SOCK"
    stop
    grep -q "eval\[1\]: error: .*woe" "$OPEN/closed/log"
    # What the user may not remove stays, which is said, and is no failure.
    [ -S "$SOCK" ]
    [ ! -s "$PIDFILE" ]
    grep -q "warning: cannot remove the socket $SOCK: Permission denied" "$OPEN/closed/log"
    grep -q "warning: cannot remove the pid file $PIDFILE: Permission denied; it is empty now" "$OPEN/closed/log"
}

@test "-u: a port that is for root" {
    needs_root
    run -0 unshare -n "$NBDLAB" -u daemon -p 80 memory 1M --run 'cat /proc/net/tcp'
    contains "$output" "00000000:0050 00000000:0000 0A"
}

@test "-u: a private socket is removed, and --run keeps the rights of who started it" {
    needs_root
    run -7 "$NBDLAB" -u daemon eval get_size='id -u >&2; echo 512' pread='head -c $3 /dev/zero' \
        --run 'id -u; nbdinfo --size "$uri"; exit 7'
    same "${lines[0]} ${lines[1]} ${lines[2]:-}" "0 512 "
    same "$(ls -A "$TMPDIR")" ""
    # Its signals come through, though the server may not send them.
    start_bare -u daemon memory 1M --run "echo \$\$ >$DIR/command; exec sleep 1000"
    wait_for [ -s "$DIR/command" ]
    kill "$SERVER"
    local result=0
    wait_exit || result=$?
    same "$result" 143
    not is_alive "$(cat "$DIR/command")"
    same "$(ls -A "$TMPDIR")" ""
}

@test "what the caller has open reaches the command of --run, and nothing else that is started" {
    local user=
    if is_root; then user=-uroot; fi
    echo hidden >"$OPEN/secret"
    cat >"$OPEN/look" <<EOT
#!/bin/sh
ls -l /proc/self/fd | sed -n "s|.*$OPEN/secret|\$1|p" >>"$OPEN/found"
echo "\$1" >>"$OPEN/looked"
EOT
    cat >"$OPEN/disk.sh" <<EOT
#!/bin/sh
case \$1 in
    get_size) echo 1M ;;
    pread) head -c "\$3" /dev/zero ;;
    load | config | get_ready | after_fork | open | close | unload) ;;
    *) exit 2 ;;
esac
"$OPEN/look" "\$1"
EOT
    cat >"$OPEN/disk.py" <<EOT
import os
API_VERSION = 2
def get_ready():
    os.system("$OPEN/look python")
def open(readonly):
    return 1
def get_size(h):
    return 512
def pread(h, buf, offset, flags):
    pass
EOT
    chmod +x "$OPEN/look" "$OPEN/disk.sh"
    for model in spawn worker; do
        "$NBDLAB" $user -U - sh "$OPEN/disk.sh" sh.process=$model a=b \
            --run 'nbdinfo --size "$uri"; read -r x <&7; echo "$x"' 7<"$OPEN/secret" >"$OPEN/out" 3>&- 4>&-
        same "$(cat "$OPEN/out")" $'1048576\nhidden'
    done
    "$NBDLAB" memory 1M --run 'cat <&3' 3<"$OPEN/secret" >"$OPEN/out" 4>&-
    same "$(cat "$OPEN/out")" hidden
    if "$NBDLAB" python --dump-plugin >/dev/null 2>&1; then
        serve python "$OPEN/disk.py" 7<"$OPEN/secret"
        stop
        grep -q python "$OPEN/looked"
    fi
    same "$(grep -c pread "$OPEN/looked")" 0
    same "$(grep -c open "$OPEN/looked")" 2
    same "$(cat "$OPEN/found" 2>/dev/null)" ""
}

@test "-u with --run: a server that cannot start starts no command" {
    needs_root
    run -1 "$NBDLAB" -u daemon eval get_size='echo 1M' pread=: after_fork='echo no luck >&2; exit 1' \
        --run "touch $DIR/ran"
    contains "$output" "no luck"
    [ ! -e "$DIR/ran" ]
    same "$(ls -A "$TMPDIR")" ""
}

@test "-u with --exit-with-parent: the parent's end still counts" {
    needs_root
    # shellcheck disable=SC2016
    sh -c '"$NBDLAB" --exit-with-parent -u daemon -U "$SOCK" -P "$PIDFILE" memory 1M & wait' 3>&- 4>&- &
    local parent=$!
    STARTED+=("$parent")
    wait_for [ -s "$PIDFILE" ]
    local pid
    pid=$(cat "$PIDFILE")
    STARTED+=("$pid")
    same "$(nbdinfo --size "$URI")" 1048576
    kill -KILL "$parent"
    wait_for not is_alive "$pid"
    [ ! -e "$SOCK" ]
    [ ! -e "$PIDFILE" ]
}

@test "-u and -g: there is no such user or group" {
    for option in -u --user=; do
        for value in nosuchuser -1 4294967295 99999999999 1.5 ""; do
            [ "$option" = -u ] && [ -z "$value" ] && continue
            run -1 "$NBDLAB" -f -U "$SOCK" "$option$value" memory 1M
            contains "$output" "-u/--user"
            [ -z "$value" ] || contains "$output" "there is no user '$value'"
        done
    done
    for value in nosuchgroup -1 4294967295 ""; do
        run -1 "$NBDLAB" -f -U "$SOCK" --group="$value" memory 1M
        contains "$output" "-g/--group"
        [ -z "$value" ] || contains "$output" "there is no group '$value'"
    done
    [ ! -e "$SOCK" ]
}

@test "-u and -g without the rights: refused, and nothing is left behind" {
    copy_program
    for options in "-u root" "-u 0" "-u daemon" "-g daemon" "-u daemon -g daemon"; do
        # shellcheck disable=SC2086
        run -1 as_nobody "$COPY" -f -U "$SOCK" -P "$PIDFILE" $options memory 1M
        contains "$output" "error: $options: cannot change the"
        contains "$output" "only root can do that"
        [ ! -e "$SOCK" ]
        [ ! -e "$PIDFILE" ]
    done
    local user
    user=$(as_nobody id -un)
    run -0 as_nobody "$COPY" -u "$user" memory 1M --run 'id -un'
    same "$output" "$user"
}

@test "a script that its owner alone may run: that is said, instead of chmod +x" {
    needs_root
    copy_program
    printf '#!/bin/sh\n[ "$1" = get_size ] && exec echo 1M\nexit 2\n' >"$OPEN/disk.sh"
    chmod 700 "$OPEN/disk.sh"
    for words in "$OPEN/disk.sh" "sh $OPEN/disk.sh"; do
        # shellcheck disable=SC2086
        run -1 as_nobody "$COPY" -f -U "$SOCK" $words
        contains "$output" "executable, but not for this user"
        contains "$output" "chmod a+rx $OPEN/disk.sh"
    done
    run -1 "$NBDLAB" -f -U "$SOCK" -u daemon sh "$OPEN/disk.sh" 3>&-
    contains "$output" "after_fork: cannot run it: Permission denied; the server's user (see -u)"
}

@test "-u: capabilities of a user that is no root go as well" {
    needs_root
    copy_program
    # shellcheck disable=SC2016
    HOME=$OPEN run -0 setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps +net_raw,+kill \
        --ambient-caps +net_raw,+kill "$COPY" -f -u nobody -U "$SOCK" -P "$PIDFILE" memory 1M \
        --run 'grep ^Cap[PEIA] "/proc/$(cat "$PIDFILE")/status" | sort -u | tr "\t" " "'
    same "$output" "$NO_CAPABILITIES"
}

@test "root without -u: the log says so, once" {
    needs_root
    serve --log="$OPEN/log" memory 1M
    py <<<'[ready().disconnect() for _ in range(3)]'
    stop
    same "$(grep -c "warning: serving as root: .*-u USER" "$OPEN/log")" 1
    same "$(wc -l <"$OPEN/log")" 1
    rm "$OPEN/log" "$LOG"
    serve -u daemon --log="$OPEN/log" memory 1M
    stop
    [ ! -s "$OPEN/log" ]
    [ ! -s "$LOG" ]
    # In the background it is said in the log, not to whoever starts it.
    run -0 "$NBDLAB" --log="$OPEN/log" -U "$SOCK" -P "$PIDFILE" memory 1M 3>&- 4>&-
    same "$output" ""
    STARTED+=("$(cat "$PIDFILE")")
    wait_for grep -q "serving as root" "$OPEN/log"
    # What serves nobody else says nothing.
    same "$("$NBDLAB" memory 1M --run : 2>&1)" ""
    same "$("$NBDLAB" -s memory 1M 2>&1 >"$DIR/stream" </dev/null)" ""
    for action in --help --version --dump-config "memory --dump-plugin"; do
        # shellcheck disable=SC2086
        same "$("$NBDLAB" $action 2>&1 >/dev/null)" ""
    done
}

@test "no root, no -u: the log has nothing to say" {
    copy_program
    is_root && chown 65534 "$OPEN"
    as_nobody "$COPY" -f -U "$SOCK" -P "$PIDFILE" memory 1M 2>>"$LOG" 3>&- 4>&- &
    SERVER=$!
    STARTED+=("$SERVER")
    wait_ready
    kill "$(cat "$PIDFILE")"
    wait_exit
    [ ! -s "$LOG" ]
}
