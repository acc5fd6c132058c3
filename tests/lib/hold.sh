# hold.sh: a worker that is stopped just before its transaction, so that others are faster. Sourced behind flow.sh and daemon.sh.
hold_began() { [ "$(store_sql 'SELECT count(*) FROM attempt')" -gt "$hold_attempts" ]; }
hold_is_parked() { # its gpg has ended, and for a while no other starts: it waits for the store
    local i pid
    for i in 1 2 3 4 5; do
        for pid in $hold_workers; do
            descendants "$pid" | xargs -I{} cat /proc/{}/comm 2>/dev/null | grep -qx gpg && return 1
        done
        sleep 0.1
    done
}
# hold_worker < MAIL: it is worked on as far as its transaction, and no further.
hold_worker() {
    local held locker
    hold_attempts=$(store_sql 'SELECT count(*) FROM attempt')
    deliver
    countersignd --once 2>>"$T/agent.log" &
    flow_daemon=$!
    await 10 hold_began || return 1
    coproc sqlite3 "$T/sa/state/countersign.db"
    locker=$COPROC_PID
    printf '.timeout 5000\nBEGIN IMMEDIATE;\nSELECT 1;\n' >&"${COPROC[1]}"
    read -r -t 5 held <&"${COPROC[0]}"
    hold_workers=$(role_pids worker)
    await 20 hold_is_parked
    kill -STOP $hold_workers
    echo '.quit' >&"${COPROC[1]}"
    wait "$locker" 2>/dev/null
    [ "$held" = 1 ]
}
hold_end() {
    kill -CONT $hold_workers
    wait "$flow_daemon"
    flow_daemon=
}
