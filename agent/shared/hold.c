#include "shared/hold.h"

#include "base/when.h"

#define HOLD "on-hold-since"

enum err hold_since(struct store *store, int64_t *since_out)
{
	char *text = NULL;
	enum err e = store_get(store, HOLD, &text);

	*since_out = 0;
	if (!e && text && *text)
		e = when_parse(text, since_out);
	str_free(&text);
	return e;
}

enum err hold_check(struct store *store)
{
	int64_t since;
	enum err e = hold_since(store, &since);

	if (e || !since)
		return e;
	return err_fail(ERR_UNAVAILABLE,
	    "the authority was restored from a backup and is on hold until \"countersignctl restore --confirm\"");
}

enum err hold_begin(struct store *store, int64_t now)
{
	char text[WHEN_TEXT_SIZE];

	return store_set(store, HOLD, when_format(now, text));
}

enum err hold_end(struct store *store)
{
	return store_set(store, HOLD, "");
}
