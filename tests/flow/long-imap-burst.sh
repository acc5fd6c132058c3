#!/usr/bin/env bash
# Two thousand mails in a burst, with connections that last three seconds.
MAILS=2000 LIFE=3000 exec "$(dirname "$0")/imap-burst.sh"
