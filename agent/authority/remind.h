/* remind: users are told before the certification of their key ends (P5.8). */
#ifndef AUTHORITY_REMIND_H
#define AUTHORITY_REMIND_H

#include "shared/authority.h"

/*
 * For each confirmed keyset in the last of the configured spans that it is in: one mail, with its mark and log entry in one transaction. At most some dozens at a time, so that
 * no mail waits for long. One worker does it.
 */
CHECKED enum err remind_due(struct authority *authority, int64_t now, int64_t *count_out);

#endif
