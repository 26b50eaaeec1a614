#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# TLS with libnbd 1.22 and qemu 10.

load ../bats/common
load ../bats/pki
load peers

setup_file() {
    export PKI=$BATS_FILE_TMPDIR/pki
    make_pki "$PKI"
}

setup() {
    common_setup
    needs_tls
}

@test "certificates: nbdinfo, nbdcopy, and extended headers inside TLS" {
    serve --tls=require --tls-certificates="$PKI/server" memory 64M
    run -0 bounded nbdinfo "$(uri_of anonymous)"
    contains "$output" "with TLS"
    contains "$output" "using extended packets"
    head -c 64M /dev/urandom >"$DIR/image"
    bounded nbdcopy "$DIR/image" "$(uri_of anonymous)"
    bounded nbdcopy "$(uri_of anonymous)" "$DIR/copy"
    cmp "$DIR/image" "$DIR/copy"
    run ! bounded nbdinfo "$URI"
    stop
}

@test "certificates of clients: the right one, none, and somebody else's" {
    serve --tls=require --tls-verify-peer --tls-certificates="$PKI/server" memory 1M
    same "$(bounded nbdinfo --size "$(uri_of client)")" 1048576
    run ! bounded nbdinfo --size "$(uri_of anonymous)"
    run ! bounded nbdinfo --size "$(uri_of other-client)"
    run ! bounded nbdinfo --size "$(uri_of expired-client)"
    stop
}

@test "pre-shared keys: the right one, a wrong one, an unknown user" {
    serve --tls=require --tls-psk="$PKI/keys.psk" memory 1M
    same "$(bounded nbdinfo --size "$(uri_of keys.psk alice)")" 1048576
    run ! bounded nbdinfo --size "$(uri_of wrong.psk alice)"
    run ! bounded nbdinfo --size "$(uri_of wrong.psk mallory)"
    stop
}

@test "qemu: certificates and keys" {
    serve --tls=require --tls-certificates="$PKI/server" memory 64M
    local image="driver=nbd,server.type=unix,server.path=$SOCK,tls-creds=tls0,tls-hostname=localhost"
    run -0 bounded qemu-io --object "tls-creds-x509,id=tls0,endpoint=client,dir=$PKI/client" \
        -c 'write -P 7 1M 1M' -c 'read -P 7 1M 1M' -c 'write -zu 1M 1M' -c 'read -P 0 1M 1M' \
        --image-opts "$image"
    not grep -qi fail <<<"$output"
    run ! bounded qemu-img info -f raw "$URI"
    stop
    serve --tls=require --tls-psk="$PKI/keys.psk" memory 64M
    mkdir "$DIR/psk"
    cp "$PKI/keys.psk" "$DIR/psk/keys.psk"
    run -0 bounded qemu-io --object \
        "tls-creds-psk,id=tls0,endpoint=client,dir=$DIR/psk,username=alice" \
        -c 'read -P 0 0 1M' --image-opts "${image%,tls-hostname*}"
    stop
}
