# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Certificates and keys for tests of TLS, made once for a file of tests:
#
#   make_pki FOLDER   then FOLDER has
#     server          what --tls-certificates wants, for localhost; server-crl with a revocation list
#     client          what clients want, with a certificate; anonymous without one
#     expired-client, future-client, revoked-client, other-client, server-as-client
#     expired-server, future-server, other-server
#     keys.psk        alice and bob; wrong.psk: alice with another key, and mallory
#   tls_setup         for setup() in a file that made $BATS_FILE_TMPDIR/pki: $PKI is that folder

# certificate FOLDER NAME CA LINE...: FOLDER/NAME-cert.pem and NAME-key.pem, signed by the folder CA.
certificate() {
    local folder=$1 name=$2 ca=$3
    shift 3
    mkdir -p "$folder"
    certtool --generate-privkey --key-type=ecdsa --outfile "$folder/$name-key.pem"
    printf '%s\n' "organization = Big Co" "country = US" encryption_key signing_key "$@" \
        >"$folder/$name.info"
    certtool --generate-certificate --load-ca-certificate "$ca/ca-cert.pem" \
        --load-ca-privkey "$ca/ca-key.pem" --load-privkey "$folder/$name-key.pem" \
        --template "$folder/$name.info" --outfile "$folder/$name-cert.pem"
}

# authority FOLDER NAME: an authority that signs certificates.
authority() {
    mkdir -p "$1"
    certtool --generate-privkey --key-type=ecdsa --outfile "$1/ca-key.pem"
    printf '%s\n' "cn = $2" ca cert_signing_key crl_signing_key >"$1/ca.info"
    certtool --generate-self-signed --load-privkey "$1/ca-key.pem" --template "$1/ca.info" \
        --outfile "$1/ca-cert.pem"
}

# server-crl/ca-crl.pem, which revokes the certificate of revoked-client.
revocations() {
    printf '%s\n' "crl_number = 1" "expiration_days = 1000" >crl.info
    certtool --generate-crl --load-ca-certificate ca/ca-cert.pem --load-ca-privkey ca/ca-key.pem \
        --load-certificate revoked-client/client-cert.pem --template crl.info \
        --outfile server-crl/ca-crl.pem
}

make_certificates() {
    local past=("activation_date = \"2020-01-01 00:00:00 UTC\""
        "expiration_date = \"2020-02-01 00:00:00 UTC\"")
    local future=("activation_date = \"2090-01-01 00:00:00 UTC\"")
    local server=("cn = localhost" "dns_name = localhost" "ip_address = 127.0.0.1" tls_www_server)
    local client=("cn = client.example" "locality = New York" tls_www_client)
    authority ca "Lab CA"
    authority other-ca "Other CA"
    certificate server server ca "${server[@]}"
    certificate expired-server server ca "${server[@]}" "${past[@]}"
    certificate future-server server ca "${server[@]}" "${future[@]}"
    certificate other-server server other-ca "${server[@]}"
    certificate client client ca "${client[@]}"
    certificate expired-client client ca "${client[@]}" "${past[@]}"
    certificate future-client client ca "${client[@]}" "${future[@]}"
    certificate revoked-client client ca "${client[@]}"
    certificate other-client client other-ca "${client[@]}"
    certificate server-as-client client ca "${server[@]}"
    mkdir anonymous
    for folder in server expired-server future-server client expired-client future-client revoked-client \
        other-client server-as-client anonymous; do
        cp ca/ca-cert.pem "$folder"
    done
    cp other-ca/ca-cert.pem other-server
    cp -r server server-crl
    revocations
}

make_keys() {
    psktool -u alice -p keys.psk
    psktool -u bob -p keys.psk
    psktool -u alice -p wrong.psk
    psktool -u mallory -p wrong.psk
}

make_pki() {
    mkdir -p "$1"
    (cd "$1" && set -e && make_certificates && make_keys) >"$1/log" 2>&1 ||
        { tail -n 20 "$1/log"; return 1; }
}

# uri_of FOLDER: for a client on $SOCK with what is in this folder of $PKI;  uri_of FILE.psk USER.
uri_of() {
    case $1 in
        *.psk) echo "nbds+unix://$2@/?socket=$SOCK&tls-psk-file=$PKI/$1" ;;
        *) echo "nbds+unix:///?socket=$SOCK&tls-certificates=$PKI/$1" ;;
    esac
}

needs_tls() {
    "$NBDLAB" --dump-config | grep -q '^tls=yes$' || skip "built without TLS"
}

tls_setup() {
    common_setup
    PKI=$BATS_FILE_TMPDIR/pki
    export PKI
    needs_tls
}
