/* supervise: the parent. Starts the roles, restarts what dies, knows whether the whole is ready; reads no mail, opens no store and no key. */
#ifndef AUTHORITY_SUPERVISE_H
#define AUTHORITY_SUPERVISE_H

#include <stdbool.h>

/* Runs until SIGTERM (or, with once, until the mailboxes are empty and what is due is sent); returns the exit status. */
int supervise(const char *conf_path, bool once);

#endif
