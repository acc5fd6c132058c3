/* log: what log.c and log_export.c share. */
#ifndef ADMIN_LOG_H
#define ADMIN_LOG_H

#include "command.h"

/* --since: a point in time, a day, or a span that reaches back from now; NULL leaves *out. ERR_USAGE. */
CHECKED enum err since_parse(const char *text, int64_t now, int64_t *out);

#endif
