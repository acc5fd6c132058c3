# tap.sh: what every test script starts with: `. "$(dirname "$0")/../lib/tap.sh"`.
# ok NAME COMMAND...   passes when the command succeeds      not NAME COMMAND...  when it fails
# is NAME GOT WANTED   compares two texts                    like NAME TEXT ERE   looks for a pattern
# exits NAME STATUS COMMAND...  compares the exit status     done_testing         prints the plan; call it last
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$(cd "$top" && cd "${BUILD:-build}" && pwd)
tap_count=0 tap_failed=0

tap_result() { # STATUS NAME
    tap_count=$((tap_count + 1))
    if [ "$1" = 0 ]; then
        echo "ok $tap_count - $2"
    else
        tap_failed=$((tap_failed + 1))
        echo "not ok $tap_count - $2"
    fi
}
tap_show() { sed 's/^/#   /' <<<"$1" | head -n "${2:-12}"; }

ok() {
    local name=$1 output status
    shift
    output=$("$@" 2>&1) && status=0 || status=1
    tap_result $status "$name"
    [ $status = 0 ] || { echo "#   $*"; tap_show "$output"; }
}
not() {
    local name=$1 output status
    shift
    output=$("$@" 2>&1) && status=1 || status=0
    tap_result $status "$name"
    [ $status = 0 ] || { echo "#   succeeded: $*"; tap_show "$output"; }
}
is() {
    [ "$2" = "$3" ] && tap_result 0 "$1" || { tap_result 1 "$1"; tap_show "got:    $2"; tap_show "wanted: $3"; }
}
like() {
    grep -qE -- "$3" <<<"$2" && tap_result 0 "$1" || { tap_result 1 "$1"; tap_show "no /$3/ in:"; tap_show "$2"; }
}
unlike() {
    grep -qE -- "$3" <<<"$2" && { tap_result 1 "$1"; tap_show "there is /$3/ in:"; tap_show "$2"; } || tap_result 0 "$1"
}
exits() {
    local name=$1 wanted=$2 output status
    shift 2
    output=$("$@" 2>&1)
    status=$?
    exits_output=$output
    [ $status = "$wanted" ] && tap_result 0 "$name" || { tap_result 1 "$name"; echo "#   exit $status, wanted $wanted: $*"; tap_show "$output"; }
}
done_testing() { tap_done; }
tap_done() {
    echo "1..$tap_count"
    [ $tap_failed = 0 ]
    exit
}
