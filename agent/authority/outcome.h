/* outcome: what becomes of a mail in the mailbox, as a worker tells intake. */
#ifndef AUTHORITY_OUTCOME_H
#define AUTHORITY_OUTCOME_H

enum outcome {
	OUTCOME_DONE,    /* to the done folder */
	OUTCOME_IGNORED, /* to the ignored folder */
	OUTCOME_DELETE,  /* removed: it carried a secret, or is in quarantine (P5.7) */
	OUTCOME_DEFER,   /* stays; offered again after the given seconds */
};

#endif
