/* outage: is something of ours out of order, or is it the mail? An outage blames no mail and lets all wait (I15); a mail at fault is counted and rests alone (I9). */
#ifndef AUTHORITY_OUTAGE_H
#define AUTHORITY_OUTAGE_H

#include "pipeline.h"

/* Before a mail is touched: any error is an outage. */
CHECKED enum err outage_before(const struct authority *authority);
/*
 * After work on a mail failed by a passing fault: would it have failed whatever the mail was? An agent that was well before and is not now is no proof of
 * that: the mail may have done it. If it was not, the next look before finds it, and the mail has one attempt less. err_text() may change.
 */
bool outage_after(const struct work *w);

#endif
