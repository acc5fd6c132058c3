#!/usr/bin/env python3
"""interrupt.py SECONDS COMMAND...: runs it in a process group of its own and gives that a Ctrl-C after so many seconds, as a terminal would.

The exit status is the command's, 130 where the signal ended it, and 99 where it was still there ten seconds later.
"""
import os
import signal
import subprocess
import sys
import time

child = subprocess.Popen(sys.argv[2:], start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
try:
    child.wait(float(sys.argv[1]))
except subprocess.TimeoutExpired:
    os.killpg(child.pid, signal.SIGINT)
    try:
        child.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        sys.exit(99)
sys.exit(child.returncode if child.returncode >= 0 else 128 - child.returncode)
