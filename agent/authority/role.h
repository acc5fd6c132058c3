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

/* What a process says of itself to the parent, and the parent to `countersignctl status`. */
struct role_state {
	bool ready;       /* it can work, or its server can be reached */
	const char *why;  /* why not; NULL: nothing to say */
	int64_t next_try; /* of reaching a server; wall clock, 0: not known */
	int64_t waiting;  /* mails in its mailbox */
};
void role_tell(const struct role_state *state);
/* The same for those without a server. */
void role_report(bool ready, const char *why);

/* A descriptor that becomes readable when one of these signals arrives (0-terminated list); stop_signal reads which. */
int stop_open(const int *signals);
int stop_signal(int fd);

#endif
