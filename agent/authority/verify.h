/* verify: `countersignd -n`. */
#ifndef AUTHORITY_VERIFY_H
#define AUTHORITY_VERIFY_H

/* Checks configuration, key homes, store, mailboxes and submission; prints a line for each; returns the exit status of the first that failed. */
int verify_setup(const char *conf_path);

#endif
