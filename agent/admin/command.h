/*
 * command: what the commands of countersignctl have in common. main.c is the table; one file per noun. A command returns an error, whose sentence main
 * prints and whose exit status it takes; a command that did its work and has bad news sets `status` instead.
 */
#ifndef ADMIN_COMMAND_H
#define ADMIN_COMMAND_H

#include "print/table.h"
#include "shared/authority.h"

struct invocation {
	const char *config; /* -c FILE or what --authority stands for; NULL: the default */
	bool json;
	const char *
	    actor; /* of log entries: the operating system's user, with --as also whom that names */
	int64_t now;
	char **argv; /* behind the command's words; options_read leaves the operands */
	int argc;
	int status; /* exit status when no error is returned */
	int record; /* record.h; -1: the command is not recorded */
	bool held;  /* not while the authority is on hold (shared/hold.h) */
};

enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_LIST };

#define OPTION_LIST_MAX 16

struct option_list {
	const char *values[OPTION_LIST_MAX];
	size_t count;
};

struct option {
	const char *name; /* without "--"; NULL ends the table */
	enum option_kind kind;
	void *to; /* bool, const char * or struct option_list */
};

/*
 * Reads the options of the table (NULL: none) and those that every command has, anywhere among the operands; "--" ends them. `operands` names what must
 * remain, for the sentence. ERR_USAGE.
 */
CHECKED enum err options_read(
    struct invocation *in, const struct option *options, int least, int most, const char *operands);
/* -c, --authority, --as, --json at in->argv[0]: skips it. *found_out false where it is something else. */
CHECKED enum err options_common(struct invocation *in, bool *found_out);

CHECKED enum err command_open(
    const struct invocation *in, enum authority_need need, struct authority **out);
/* A sentence on standard error that is no error. */
void command_note(const char *format, ...) PRINTF_LIKE(1, 2);
/* Flushes standard output; ERR_IO when it did not take everything. */
CHECKED enum err command_flush(void);
/* Prints what could be read, also after an error `e` while reading (of a damaged row), which it returns. */
CHECKED enum err command_print(enum err e, struct table **table);
/* Commits one log entry with what `change` writes (NULL: nothing), or nothing at all. */
CHECKED enum err command_commit(struct authority *authority, const struct invocation *in,
    const char *event, const char *address, const char *detail,
    enum err (*change)(struct authority *authority, void *context), void *context);

CHECKED enum err command_init(struct invocation *in);
CHECKED enum err command_token_issue(struct invocation *in);
CHECKED enum err command_token_fill(struct invocation *in);
CHECKED enum err command_sendmail(struct invocation *in);
CHECKED enum err command_filter(struct invocation *in);
CHECKED enum err command_token_list(struct invocation *in);
CHECKED enum err command_token_void(struct invocation *in);
CHECKED enum err command_user_list(struct invocation *in);
CHECKED enum err command_user_show(struct invocation *in);
CHECKED enum err command_user_prefer(struct invocation *in);
CHECKED enum err command_recover(struct invocation *in);
CHECKED enum err command_revoke(struct invocation *in);
CHECKED enum err command_escrow_show(struct invocation *in);
CHECKED enum err command_escrow_check(struct invocation *in);
CHECKED enum err command_escrow_rotate(struct invocation *in);
CHECKED enum err command_authority_show(struct invocation *in);
CHECKED enum err command_authority_export(struct invocation *in);
CHECKED enum err command_unlock(struct invocation *in);
CHECKED enum err command_wkd_export(struct invocation *in);
CHECKED enum err command_log(struct invocation *in);
CHECKED enum err command_log_verify(struct invocation *in);
CHECKED enum err command_log_export(struct invocation *in);
CHECKED enum err command_backup(struct invocation *in);
CHECKED enum err command_restore(struct invocation *in);
CHECKED enum err command_status(struct invocation *in);
CHECKED enum err command_report(struct invocation *in);
CHECKED enum err command_quarantine_list(struct invocation *in);
CHECKED enum err command_quarantine_show(struct invocation *in);
CHECKED enum err command_quarantine_release(struct invocation *in);
CHECKED enum err command_quarantine_drop(struct invocation *in);
CHECKED enum err command_outbox_list(struct invocation *in);
CHECKED enum err command_outbox_retry(struct invocation *in);
CHECKED enum err command_outbox_drop(struct invocation *in);

#endif
