/* report: what `report` shows of the store: counts alone, nobody's name or address. */
#ifndef ADMIN_REPORT_H
#define ADMIN_REPORT_H

#include "draw/plot.h"
#include "shared/authority.h"

struct series {
	struct plot_bar *bars; /* the labels are ours */
	size_t count;
};

struct report {
	int64_t now;
	struct store_counts counts;
	int64_t addresses; /* with a live keyset */
	int64_t enrolled, refused;
	struct series enrollments;   /* by day, week or month, whatever fits */
	const char *enrollment_unit; /* "day" */
	struct series ages;          /* of outstanding tokens */
	struct series refusals;      /* by reason, most frequent first, of the last twelve months */
	struct series expiries;      /* of live certifications, by month */
	struct series delays;        /* from a token's issue to its use */
};

/* Reads the store once; ERR_DATA for damaged rows, of which the others are counted all the same. */
CHECKED enum err report_count(struct authority *authority, int64_t now, struct report *out);
void report_free(struct report *report);
/* The page. */
void report_write(const struct authority *authority, const struct report *report, struct buf *out);

#endif
