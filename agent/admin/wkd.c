#include <stdio.h>

#include "command.h"
#include "progress.h"
#include "shared/publish.h"

enum err command_wkd_export(struct invocation *in)
{
	struct authority *authority = NULL;
	struct progress progress;
	struct publish_watch watch = { progress_show, &progress };
	int64_t count = 0;
	enum err e;

	if ((e = options_read(in, NULL, 1, 1, "the directory to write")) ||
	    (e = command_open(in, AUTHORITY_KEYS, &authority)))
		return e;
	progress_start(&progress, "Writing");
	e = publish_export(authority, in->argv[0], in->now, &watch, &count);
	progress_end(&progress);
	if (!e)
		printf("%lld %s and the authority's own, with its card, in %s.\n", (long long)count,
		    count == 1 ? "key" : "keys", in->argv[0]);
	authority_close(&authority);
	return e;
}
