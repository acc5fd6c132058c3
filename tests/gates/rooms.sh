#!/usr/bin/env bash
# The architecture as tests: one dependency, one room; arrows one way; public headers alone and without foreign types; names by noun.
. "$(dirname "$0")/../lib/tap.sh"
cd "$top"
obj=$build/obj

undefined_in() { # PREFIX-ERE : objects that use such a symbol
    find "$obj/common" "$obj/agent" -name '*.o' -exec nm -A -u {} + | grep -E " U ($1)" | sed -E "s|^$obj/([^:]*):.*|\1|" | sort -u
}

# dependency: symbols, and where they may stand
while read -r name room symbols; do
    users=$(undefined_in "$symbols")
    is "$name only in $room" "$(grep -vE "^$room/" <<<"$users" | grep .)" ""
    ok "$name is used in $room at all (the gate sees it)" test -n "$(grep -E "^$room/" <<<"$users")"
done <<'TABLE'
SQLite common/store sqlite3_
GPGME common/keys gpgme_
libetpan common/mail mail_|mailmime_|mailimf_|mailimap_|mailsmtp_|mailesmtp_|mailstream_|clist_|carray_|chash_|mmap_string_|charconv
GnuTLS common/mail gnutls_
libsodium common/secret sodium_|crypto_|randombytes_
libseccomp common/confine seccomp_
libconfuse common/base cfg_
libidn2 common/text idn2_
libunistring common/text u8_|uc_|u16_|u32_|ulc_
jansson common/print json_
libqrencode common/draw QRcode_
TABLE

# No third-party header in a public header, none at all below agent/.
foreign='etpan|gnutls|gpgme|gpg-error|assuan|sqlite3|sodium|seccomp|confuse|idn2|uni(conv|case|norm|ctype|str|width|gbrk|name)\.h|jansson|qrencode'
is "no foreign header in a public header" "$(grep -lE "#include <($foreign)" $(git ls-files 'common/**/*.h' | grep -v internal.h))" ""
is "no foreign header below agent/" "$(grep -rlE "#include <($foreign)" agent)" ""

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for header in $(git ls-files 'common/**/*.h' 'agent/**/*.h'); do
    echo "#include \"$header\"" >"$scratch/alone.c"
    ok "$header compiles alone" ${CC:-cc} -std=c17 -D_GNU_SOURCE -I. -Icommon -Iagent -Iagent/authority -Wall -Wextra -Werror -fsyntax-only "$scratch/alone.c"
done

# Arrows: which room may include which.
includes_of() { grep -hoE '#include "[a-z]+/' -r "common/$1" | sed 's/.*"//; s|/||' | sort -u | grep -vx "$1" | tr '\n' ' '; }
arrow() { # ROOM ALLOWED...
    local room=$1 bad=
    shift
    for other in $(includes_of "$room"); do
        [[ " $* " == *" $other "* ]] || bad+="$other "
    done
    is "$room includes only: ${*:-nothing}" "$bad" ""
}
arrow base
arrow secret base
arrow text base
arrow print base text
arrow draw base text
arrow enroll base secret text
for room in mail keys store confine; do arrow $room base secret text enroll; done
is "every room is in the table" "$(ls common | tr '\n' ' ')" "base confine draw enroll keys mail print secret store text "
is "nothing in common/ includes agent/" "$(grep -rlE '#include "(shared|authority|admin|client|agent)/' common)" ""

# libetpan and libdb export these: a function of ours by such a name would be called in their place.
is "no symbol of ours has a forbidden prefix" \
    "$(nm -A --defined-only "$build/libcountersign.a" $(find "$obj/agent" -name '*.o') 2>/dev/null | grep -E ' [TDBRCV] (mail_|mime_|imap_|smtp_|maildir_|mbox_|clist_|carray_|chash_|mmap_|generic_|pop3_|log_)')" ""
is "the top level is as it shall be" "$(git ls-files | sed 's|/.*||' | grep -v '^\.' | sort -u | tr '\n' ' ')" "LICENSE Makefile README.md agent common docs samples tests "
done_testing
