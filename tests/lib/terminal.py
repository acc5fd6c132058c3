#!/usr/bin/env python3
"""terminal.py [ANSWER ...] -- COMMAND...: runs a command on a terminal of its own, types one answer at each question (a last line that ends
in ": "), prints what the terminal showed, and exits with the command's status; 99 when it asks more, or asks nothing for 30 seconds."""
import os, pty, select, sys, time

at = sys.argv.index("--")
answers, command = sys.argv[1:at], sys.argv[at + 1:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
shown, line, end, lost = b"", b"", time.monotonic() + 30, False
while not lost:
    if not select.select([terminal], [], [], max(0, end - time.monotonic()))[0]:
        lost = True
        break
    try:
        data = os.read(terminal, 4096)
    except OSError:
        break
    if not data:
        break
    shown += data
    line = (line + data).split(b"\n")[-1]
    if line.endswith(b": "):
        if not answers:
            lost = True
            break
        os.write(terminal, answers.pop(0).encode() + b"\n")
        line = b""
os.close(terminal)  # the command gets SIGHUP where it still runs
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.stdout.buffer.write(shown.replace(b"\r", b""))
sys.exit(99 if lost or answers else status)
