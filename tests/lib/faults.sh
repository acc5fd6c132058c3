# faults.sh: what goes wrong at a mail server, and its end. Sourced after enrollment.sh; mails go out to $T/mail/outgoing. $mark is the line of the agent's
# log that a fault begins with; each call of `requested` uses up a token of `tokens_made`.
mark=1
expected=0
requested() { # [LINES]: a mail that is to be answered, if only by a refusal
    expected=$((expected + 1))
    plain_mail "user$expected@example.org" "${tokens[$expected]}" "" "${1:-}" | put
}
put() { python3 -c 'import smtplib, sys
with smtplib.LMTP("127.0.0.1", int(sys.argv[1])) as s:
    s.sendmail("user@example.org", "sa@example.org", sys.stdin.buffer.read())' "$lmtp_port"; }
said() { tail -n "+$mark" "$T/agent.log" | grep -cE "$1"; }
says() { [ "$(said "$1")" -ge 1 ]; }
shown() { countersignctl status >"$T/status"; [ $? != 0 ] && grep -qE "$1" "$T/status"; }
fine() { countersignctl status >"$T/status"; }
all_answered() { [ "$(ls "$T/mail/outgoing/new" | wc -l)" -ge "$expected" ]; }

# The two halves of each fault: what it looks like, and how it ends.
broken() { # NAME SENTENCE [LINES]
    ok "$1: it is said" await 8 says "$2"
    ok "$1: status shows it" await 4 shown "$2"
    [ -z "$dovecot_pid" ] || requested
    local before=$(ticks_of "$flow_daemon")
    sleep 1.5
    local used=$(($(ticks_of "$flow_daemon") - before))
    ok "$1: no processor time ($used ticks of 10 ms in 1.5 s)" test $used -le 6
    ok "$1: not said again and again" test "$(said "$2")" -le "${3:-3}"
}
mended() { # NAME
    ok "$1: when it is over the mail is answered" await 12 all_answered
    ok "$1: status finds nothing wrong" await 5 fine
    ok "$1: the mailbox is empty" await 5 imap_empty
    is "$1: nothing is doubled" "$(ls "$T/mail/outgoing/new" | wc -l)" "$expected"
    mark=$(($(wc -l <"$T/agent.log") + 1))
}
tokens_made() { # HOW MANY
    local i
    tokens=(none)
    for i in $(seq "$1"); do tokens[i]=$(token_for "user$i@example.org"); done
    countersignd --once >/dev/null 2>&1 # notices of them
    clear_sent
}
