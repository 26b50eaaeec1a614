#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# TLS, with the clients that people use: certificates, clients' certificates and pre-shared keys,
# good and bad; what is served without it; and what plugins learn of it.

load common
load pki

setup_file() {
    make_pki "$BATS_FILE_TMPDIR/pki"
}

setup() {
    common_setup
    PKI=$BATS_FILE_TMPDIR/pki
    export PKI
}

# uri_of FOLDER: for a client with what is in this folder of $PKI;  uri_of FILE.psk USER.
uri_of() {
    case $1 in
        *.psk) echo "nbds+unix://$2@/?socket=$SOCK&tls-psk-file=$PKI/$1" ;;
        *) echo "nbds+unix:///?socket=$SOCK&tls-certificates=$PKI/$1" ;;
    esac
}

@test "certificates: nbdinfo is served with TLS, and without it where it is not required" {
    serve --tls=on --tls-certificates="$PKI/server" memory 1M
    same "$(nbdinfo --size "$(uri_of anonymous)")" 1048576
    same "$(nbdinfo --size "$URI")" 1048576
    stop
    serve --tls=require --tls-certificates="$PKI/server" memory 1M
    run -0 nbdinfo "$(uri_of anonymous)"
    contains "$output" "with TLS"
    run ! nbdinfo "$URI"
    stop
}

@test "pre-shared keys: nbdinfo is served with the right key only" {
    serve --tls=require --tls-psk="$PKI/keys.psk" memory 1M
    for user in alice bob; do
        same "$(nbdinfo --size "$(uri_of keys.psk "$user")")" 1048576
    done
    run ! nbdinfo "$(uri_of wrong.psk alice)"
    run ! nbdinfo "$(uri_of wrong.psk mallory)"
    stop
}
