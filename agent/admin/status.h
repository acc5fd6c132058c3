/* status: what `status` found, between status.c (looks, and prints the page) and status_prometheus.c. */
#ifndef ADMIN_STATUS_H
#define ADMIN_STATUS_H

#include "command.h"
#include "daemon.h"
#include "enroll/state.h"

#define STATUS_SOON_DAYS 30

struct status_counter {
	const char *name, *text; /* in the store, for people */
};

struct status {
	struct authority *authority;
	int64_t now;
	bool json;
	struct table *problems, *warnings, *counters, *servers; /* NULL: nobody wants them */
	size_t problem_count;
	struct daemon_status daemon;
	int64_t mails_waiting;
	int64_t publish_failing; /* since when; 0: it does not fail */
	char *escrow_passphrase; /* "set", "none" or "elsewhere"; NULL: not known */
	int64_t deposit_foreign; /* the first that is sealed to another escrow key; 0: none */
	char *last_backup; /* when; NULL: never */
	struct store_counts counts;
};

/* A counter's name in words. */
const char *status_counter_text(const char *name);
/* The text format of Prometheus, for a file that its node exporter collects. */
CHECKED enum err status_print_prometheus(const struct status *s);
/* Likewise where not even the store could be opened. */
void status_print_unready(void);

#endif
