# ca.sh: certificates for the servers of the tests. Sourced by servers.sh.
# ca_make DIR: ca.pem and, each with its key NAME.key, good.pem, wrong-name.pem, expired.pem, not-yet.pem, self-signed.pem, unknown-ca.pem; all but
# wrong-name are for localhost.
ca_key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
ca_root() { # DIR NAME
    openssl req -x509 "${ca_key[@]}" -days 3650 -subj "/CN=$2 of a test" -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign \
        -keyout "$1/$2.key" -out "$1/$2.pem" 2>/dev/null
}
ca_leaf() { # DIR NAME CA HOST DATE: good for thirty days from that date on
    openssl req "${ca_key[@]}" -subj "/CN=$4" -keyout "$1/$2.key" -out "$1/$2.csr" 2>/dev/null
    printf 'subjectAltName=DNS:%s%s\nextendedKeyUsage=serverAuth\nkeyUsage=digitalSignature\nbasicConstraints=CA:FALSE\n' "$4" "${6:-}" >"$1/$2.ext"
    faketime -f "$5" openssl x509 -req -in "$1/$2.csr" -CA "$1/$3.pem" -CAkey "$1/$3.key" -CAcreateserial -extfile "$1/$2.ext" -days 30 -out "$1/$2.pem" 2>/dev/null
}
ca_make() { # DIR
    mkdir -p "$1"
    ca_root "$1" ca
    ca_root "$1" other
    ca_leaf "$1" good ca localhost -1d ,IP:127.0.0.1,IP:::1
    ca_leaf "$1" wrong-name ca other.example.org -1d
    ca_leaf "$1" expired ca localhost -60d
    ca_leaf "$1" not-yet ca localhost +60d
    ca_leaf "$1" unknown-ca other localhost -1d
    openssl req -x509 "${ca_key[@]}" -days 30 -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout "$1/self-signed.key" -out "$1/self-signed.pem" 2>/dev/null
    chmod 644 "$1"/*.pem
}
