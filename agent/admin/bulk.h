/* bulk: tokens for a table of people (token issue --csv). */
#ifndef ADMIN_BULK_H
#define ADMIN_BULK_H

#include "issue.h"
#include "sink.h"

struct bulk_options {
	const char *csv, *output, *slip;
	bool mail, dry_run;
};

/* The whole command behind its options, from opening its files to the last line. A line's own trouble is in->status. */
CHECKED enum err bulk_issue(struct invocation *in, const struct bulk_options *options,
    const struct issue_options *issue_options);

#endif
