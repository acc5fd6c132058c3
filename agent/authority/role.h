/*
 * role: what a process of countersignd is. Each is the same binary, executed anew by the parent with only the descriptors it needs (docs/privsep.md).
 */
#ifndef AUTHORITY_ROLE_H
#define AUTHORITY_ROLE_H

#include "base/conf.h"
#include "clock.h"

/* Descriptors of every child, as the parent lays them. */
enum {
	ROLE_FD_REPORT = 3, /* to the parent */
	ROLE_FD_CONF,       /* the configuration as the parent read it, a sealed memfd */
	ROLE_FD_FIRST, /* the role's own sockets, in the order of its table entry in supervise.c */
};

struct role_options {
	const struct conf *conf;
	const char *conf_path;
	int index; /* which mailbox, which worker */
	bool once;
	int stop_fd;                /* readable once SIGTERM or SIGINT came */
	size_t sockets;             /* how many from ROLE_FD_FIRST on */
	struct clock_reading start; /* of the daemon */
};

/* Each returns the process's exit status. */
int intake_main(const struct role_options *options);
int worker_main(const struct role_options *options);
int nursery_main(void);
int keyring_main(const struct role_options *options);
int sender_main(const struct role_options *options);

/* Tells the parent whether this process can work, and if not why. */
void role_report(bool ready, const char *why);

/* A descriptor that becomes readable when one of these signals arrives (0-terminated list); stop_signal reads which. */
int stop_open(const int *signals);
int stop_signal(int fd);

#endif
