#include "aside.h"

#include <stdlib.h>

#define RETRY_FIRST_SECONDS 1
#define RETRY_MOST_SECONDS 30 /* I15: back within 60 s of the repair */

struct aside *aside_find(const struct asides *asides, const char *id)
{
	for (size_t i = 0; i < asides->count; i++)
		if (str_equal(asides->at[i].id, id))
			return &asides->at[i];
	return NULL;
}

struct aside *aside_put(struct asides *asides, const char *id)
{
	struct aside *a = aside_find(asides, id);

	if (a)
		return a;
	asides->at = mem_array(asides->at, asides->count + 1, sizeof *a);
	a = &asides->at[asides->count++];
	*a = (struct aside){ .id = str_dup(id),
		.again = backoff_make(RETRY_FIRST_SECONDS, RETRY_MOST_SECONDS) };
	return a;
}

void aside_drop(struct asides *asides, struct aside *aside)
{
	str_free(&aside->id);
	*aside = asides->at[--asides->count];
}

void asides_free(struct asides *asides)
{
	while (asides->count > 0)
		aside_drop(asides, &asides->at[0]);
	free(asides->at);
	asides->at = NULL;
}
