#include "aside.h"

#include <stdlib.h>
#include <string.h>

#define RETRY_FIRST_SECONDS 1
#define RETRY_MOST_SECONDS 30 /* I15: back within 60 s of the repair */

/* Where it is, or would be. */
static size_t place_of(const struct asides *asides, const char *id)
{
	size_t from = 0, to = asides->count;

	while (from < to) {
		size_t middle = from + (to - from) / 2;
		if (strcmp(asides->at[middle].id, id) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

struct aside *aside_find(const struct asides *asides, const char *id)
{
	size_t at = place_of(asides, id);

	return at < asides->count && str_equal(asides->at[at].id, id) ? &asides->at[at] : NULL;
}

struct aside *aside_put(struct asides *asides, const char *id)
{
	struct aside *a = aside_find(asides, id);

	if (a)
		return a;
	size_t at = place_of(asides, id);
	asides->at = mem_array(asides->at, asides->count + 1, sizeof *a);
	a = &asides->at[at];
	memmove(a + 1, a, (asides->count++ - at) * sizeof *a);
	*a = (struct aside){ .id = str_dup(id),
		.again = backoff_make(RETRY_FIRST_SECONDS, RETRY_MOST_SECONDS) };
	return a;
}

void aside_drop(struct asides *asides, struct aside *aside)
{
	size_t at = (size_t)(aside - asides->at);

	str_free(&aside->id);
	memmove(aside, aside + 1, (--asides->count - at) * sizeof *aside);
}

void asides_free(struct asides *asides)
{
	while (asides->count > 0)
		aside_drop(asides, &asides->at[0]);
	free(asides->at);
	asides->at = NULL;
}
