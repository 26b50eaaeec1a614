#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The options of TLS: where credentials come from, what happens without them, what is wrong with
# them, and a program that was built without TLS.

load common
load pki

setup_file() {
    make_pki "$BATS_FILE_TMPDIR/pki"
}

setup() {
    tls_setup
    mkdir "$DIR/home"
    export HOME=$DIR/home
}

# refused PART ARGS...: status 1, one line about it, and nothing is served.
refused() {
    local part=$1
    shift
    run -1 "$NBDLAB" -U "$SOCK" "$@" memory 1M --run 'echo served'
    contains "$output" "$part"
    contains "$output" "error: "
    same "$(grep -cv "warning: serving as root" <<<"$output")" 1
}

# mode ARGS...: "$tls" of --run, which is empty for off, 1 for on and 2 for require.
mode() {
    "$NBDLAB" "$@" memory 1M --run 'printf "<%s>" "$tls"' 2>>"$LOG"
}

# as_user COMMAND...: runs it as somebody who is not root.
as_user() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
    else
        "$@"
    fi
}

@test "the modes, with credentials and without them" {
    same "$(mode)" "<>"
    same "$(mode --tls=off)" "<>"
    same "$(messages)" ""
    same "$(mode --tls-certificates="$PKI/server")" "<1>"
    same "$(mode --tls-psk="$PKI/keys.psk")" "<1>"
    same "$(mode --tls=on --tls-psk="$PKI/keys.psk")" "<1>"
    same "$(mode --tls=1 --tls-psk="$PKI/keys.psk")" "<1>"
    same "$(mode --tls=require --tls-psk="$PKI/keys.psk")" "<2>"
    same "$(mode --tls=off --tls-psk="$PKI/keys.psk")" "<>"
    same "$(mode --tls=off --tls-psk=/no/such/file --tls-priority=nonsense)" "<>"
    same "$(mode -o --tls-psk="$PKI/keys.psk")" "<>"
    same "$(messages)" ""
    refused "-o cannot be used together with --tls=require" -o --tls=require \
        --tls-psk="$PKI/keys.psk"
    refused "--tls: \"maybe\" is not one of off, on and require" --tls=maybe
}

@test "without credentials: require is an error, on and a folder that does not do are warnings" {
    refused "--tls=require, but there are no certificates in" --tls=require
    contains "$output" "name a folder with --tls-certificates or a file with --tls-psk; nbdlab-tls(1)"
    refused "--tls=require, but cannot read $DIR/none/server-cert.pem: No such file" \
        --tls=require --tls-certificates="$DIR/none"
    for options in --tls=on --tls-certificates="$DIR/none" "--tls=on --tls-certificates=$DIR/none"; do
        rm -f "$LOG"
        # shellcheck disable=SC2086
        same "$(mode $options)" "<>"
        has "warning: TLS is off, and nothing is encrypted: "
        same "$(messages | wc -l)" 1
    done
}

# user_mode: "$tls" for somebody who is not root, with what is in $HOME.
user_mode() {
    chmod -R a+rX "$HOME"
    as_user env TMPDIR=/tmp "$NBDLAB" memory 1M --run 'printf "<%s>" "$tls"'
}

@test "the default folders of a user who is not root; a broken one is said to be, and not skipped" {
    # What root is given below /root or a private /tmp, nobody else can reach.
    if ! chmod a+x "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" "$DIR" || ! user_mode; then
        mkdir -p "$HOME/.pki"
        cp -r "$PKI/server" "$HOME/.pki/nbdkit"
        same "$(mode)" "<>"
        return
    fi
    for folder in .pki/nbdkit .config/pki/nbdkit .pki/nbdlab .config/pki/nbdlab; do
        rm -rf "$HOME/.pki" "$HOME/.config"
        mkdir -p "$HOME/$folder"
        cp "$PKI"/server/*.pem "$HOME/$folder"
        run -0 user_mode
        same "$output" "<1>"
    done
    mkdir -p "$HOME/.pki/nbdlab" "$HOME/.pki/nbdkit"
    cp "$PKI"/server/*.pem "$HOME/.pki/nbdkit"
    cp "$PKI/server/server-cert.pem" "$HOME/.pki/nbdlab"
    run -0 user_mode
    contains "$output" "$HOME/.pki/nbdlab/server-key.pem"
    contains "$output" "warning: TLS is off"
    contains "$output" "<>"
    # A home that cannot be entered is no reason to speak of what nobody has named.
    chmod 000 "$HOME"
    run -0 as_user env TMPDIR=/tmp "$NBDLAB" memory 1M --run 'printf "<%s>" "$tls"'
    chmod 755 "$HOME"
    same "$output" "<>"
}

@test "root looks in the system's folder, which --dump-config names, and nowhere else" {
    if [ "$(id -u)" = 0 ]; then
        mkdir -p "$HOME/.pki"
        cp -r "$PKI/server" "$HOME/.pki/nbdlab"
        same "$(mode)" "<>"
        refused "there are no certificates in /etc/pki/nbdlab or /etc/pki/nbdkit" --tls=require
    fi
    run -0 "$NBDLAB" --dump-config
    contains "$output" "root_tls_certificates_dir=/etc/pki/nbdkit"
    contains "$output" "tls=yes"
}

@test "files of a folder that are missing, unreadable or no certificates" {
    local file
    for file in server-cert.pem server-key.pem ca-cert.pem; do
        rm -rf "$DIR/bad"
        cp -r "$PKI/server" "$DIR/bad"
        rm "$DIR/bad/$file"
        refused "$DIR/bad/$file" --tls=require --tls-certificates="$DIR/bad"
        contains "$output" "No such file"
        mkdir "$DIR/bad/$file"
        refused "$DIR/bad/$file" --tls=require --tls-certificates="$DIR/bad"
        rmdir "$DIR/bad/$file"
        for content in "" "no certificate" "-----BEGIN CERTIFICATE-----"; do
            echo "$content" >"$DIR/bad/$file"
            refused "$DIR/bad/$file" --tls=require --tls-certificates="$DIR/bad"
        done
    done
    cp -r "$PKI/server" "$DIR/crl"
    echo "no list" >"$DIR/crl/ca-crl.pem"
    refused "$DIR/crl/ca-crl.pem" --tls=require --tls-certificates="$DIR/crl"
    cp -r "$PKI/server" "$DIR/mixed"
    cp "$PKI/expired-server/server-key.pem" "$DIR/mixed"
    refused "server-cert.pem and server-key.pem in $DIR/mixed" --tls=require --tls-certificates="$DIR/mixed"
    contains "$output" "do not match"
    refused "" --tls=require --tls-certificates="$PKI/keys.psk"
    cp -r "$PKI/server" "$DIR/locked"
    certtool --generate-privkey --key-type=ecdsa --pkcs8 --password=secret \
        --outfile "$DIR/locked/server-key.pem" 2>"$DIR/certtool"
    refused "the private key in $DIR/locked/server-key.pem has a password" --tls=require \
        --tls-certificates="$DIR/locked"
}

@test "a certificate that clients will not accept is warned of at the start" {
    same "$(mode --tls=require --tls-certificates="$PKI/expired-server")" "<2>"
    has "warning: the certificate in $PKI/expired-server/server-cert.pem has expired"
    rm "$LOG"
    same "$(mode --tls=require --tls-certificates="$PKI/future-server")" "<2>"
    has "warning: the certificate in $PKI/future-server/server-cert.pem is not valid yet"
}

@test "a file of keys that is missing, no file, empty or malformed is an error in every mode but off" {
    for tls in "" --tls=on --tls=require; do
        refused "--tls-psk: cannot read $DIR/none: No such file" $tls --tls-psk="$DIR/none"
    done
    refused "--tls-psk: cannot read $DIR" --tls-psk="$DIR"
    : >"$DIR/keys"
    refused "--tls-psk: $DIR/keys: there is no USER:KEY in it; psktool(1) makes one" \
        --tls-psk="$DIR/keys"
    for line in nonsense ':00ff' 'user:' 'user:0' 'user:0g' '#613a62:0' $'us\0er:00ff'; do
        printf '# comment\n\nalice:00ff00ff\n%s\n' "$line" >"$DIR/keys"
        refused "--tls-psk: $DIR/keys: line 4 is not of the form USER:KEY" --tls-psk="$DIR/keys"
    done
    head -c 100000 /dev/urandom >"$DIR/keys"
    refused "--tls-psk: $DIR/keys: line" --tls-psk="$DIR/keys"
}

@test "users of a file of keys: spaces, capitals, comments, colons, no newline at the end" {
    local PSK=$DIR/odd.psk key=00112233445566778899aabbccddeeff
    printf '# the users\r\n\n#613a62:%s\r\nwith space:%s\n  \nbig:%s  \nlast:%s' "$key" "$key" \
        "${key^^}" "$key" >"$PSK"
    serve --tls=require --tls-psk="$PSK" memory 1M
    for user in with%20space big last; do
        printf '%s:%s\n' "$(printf '%b' "${user//%/\\x}")" "$key" >"$DIR/client.psk"
        same "$(nbdinfo --size "nbds+unix://$user@/?socket=$SOCK&tls-psk-file=$DIR/client.psk")" \
            1048576
    done
    stop
    lacks error
}

@test "--tls-priority: what is served, and where a string is wrong" {
    refused "--tls-priority=NORMAL:+NONSENSE:+VERS-TLS1.2 is not a priority string of GnuTLS, from \"" \
        --tls-priority=NORMAL:+NONSENSE:+VERS-TLS1.2 --tls-certificates="$PKI/server"
    contains "$output" 'NONSENSE:+VERS-TLS1.2" on'
    refused "--tls-priority=nonsense" --tls-priority=nonsense --tls-psk="$PKI/keys.psk"
    for priority in NORMAL SECURE128 SECURE256:-VERS-TLS1.3 NORMAL:-VERS-ALL:+VERS-TLS1.2; do
        serve --tls=require --tls-priority=$priority --tls-certificates="$PKI/server" memory 1M
        same "$(nbdinfo --size "$(uri_of anonymous)")" 1048576
        stop
    done
    lacks error
}

@test "-D nbdkit.tls.log and nbdkit.tls.session say more, with -v" {
    serve -v -D nbdkit.tls.log=2 -D nbdkit.tls.session=1 --tls=require --tls-verify-peer \
        --tls-certificates="$PKI/server" memory 1M
    nbdinfo --size "$(uri_of client)"
    stop
    has "debug: gnutls 2:"
    has 'debug: TLS: the client'"'"'s certificate is of "CN=client.example,O=Big Co,L=New York,C=US"'
    has 'debug: TLS: issued by "CN=Lab CA"'
    rm "$LOG"
    serve -v --tls=require --tls-certificates="$PKI/server" memory 1M
    nbdinfo --size "$(uri_of client)"
    stop
    lacks "debug: gnutls"
    has "debug: TLS: (TLS1.3)"
}

@test "the files are read before the server goes to the background, and once" {
    cp -r "$PKI/server" "$DIR/own"
    (cd "$DIR" && "$NBDLAB" -U "$SOCK" -P "$PIDFILE" --tls=require --tls-certificates=own memory 1M \
        3>&- 4>&-)
    STARTED+=("$(cat "$PIDFILE")")
    rm -r "$DIR/own"
    same "$(nbdinfo --size "$(uri_of anonymous)")" 1048576
    kill "${STARTED[0]}"
    wait_for not is_alive "${STARTED[0]}"
    cp "$PKI/keys.psk" "$DIR/own.psk"
    serve --tls=require --tls-psk="$DIR/own.psk" memory 1M
    rm "$DIR/own.psk"
    same "$(nbdinfo --size "$(uri_of keys.psk alice)")" 1048576
    stop
}

@test "built without TLS: everything that asks for it is refused with what to do, the rest works" {
    NBDLAB=$BUILD/nbdlab-without-tls
    export NBDLAB
    for option in --tls=on --tls=require --tls-certificates="$PKI/server" --tls-priority=NORMAL \
        --tls-psk="$PKI/keys.psk" --tls-verify-peer; do
        refused "${option%%=[/N]*}: this program was built without TLS; build it again where GnuTLS is" \
            "$option"
        same "$(mode --tls=off "$option" --tls=off)" "<>"
    done
    same "$(messages)" ""
    run -0 "$NBDLAB" --dump-config
    contains "$output" "tls=no"
    serve memory 1M
    py <<'EOT'
client = connect()
client.greet()
same(client.refusal(OPT_STARTTLS), REP_ERR_UNSUP, "STARTTLS")
client.go()
same(client.read(0, 512), bytes(512), "data")
EOT
    same "$(nbdinfo --size "$URI")" 1048576
    stop
    lacks error
}

# manual_commands: the displays of nbdlab-tls(1), as they stand there.
manual_commands() {
    awk '/^[.]Bd -literal/ { is_command = 1; next } /^[.]Ed/ { is_command = 0 } is_command' \
        "$TESTS/../man/nbdlab-tls.1" | sed 's/\\e/\\/g'
}

@test "the commands of nbdlab-tls(1) do what it says" {
    mkdir "$DIR/bin" "$DIR/work"
    printf '#!/bin/sh\nexec "%s" "$@"\n' "$NBDLAB" >"$DIR/bin/nbdlab"
    chmod +x "$DIR/bin/nbdlab"
    cd "$DIR/work"
    PATH=$DIR/bin:$PATH
    manual_commands >commands
    [ "$(grep -c '^nbdlab' commands)" -ge 5 ]
    run -0 timeout "$((6 * BOUND_S))" sh -e commands
    same "$(grep -c "with TLS" <<<"$output")" 3
    same "$(grep -c "virtual size: 64 MiB" <<<"$output")" 2
    same "$(grep -c "error:" <<<"$output")" 0
    # Now that the list of revoked certificates is there:
    run ! nbdlab --tls=require --tls-verify-peer --tls-certificates=server memory 64M \
        --run 'nbdinfo "nbds+unix:///?socket=$unixsocket&tls-certificates=$PWD/alice"'
    contains "$output" revoked
    # Over the network the client compares the server's name.
    nbdlab -i 127.0.0.1 -p 0 --tls=require --tls-certificates=server memory 64M \
        --run 'nbdinfo "nbds://localhost:$port/?tls-certificates=$PWD/anyone"'
}
