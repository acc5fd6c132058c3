/* print_reasons: code TAB what was wrong TAB what to do, for each reason code of P8.2. */
#include <stdio.h>

#include "enroll/reason.h"

int main(void)
{
	for (int i = REASON_NONE + 1; i < REASON_COUNT; i++) {
		enum reason r = (enum reason)i;
		printf("%s\t%s\t%s\n", reason_code(r), reason_what(r), reason_do(r));
	}
	return fflush(stdout) || ferror(stdout);
}
