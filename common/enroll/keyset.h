/* keyset: names of keysets (P4.6). */
#ifndef ENROLL_KEYSET_H
#define ENROLL_KEYSET_H

#include "base/buf.h"

#define KEYSET_NAME_MAX 32
#define KEYSET_DEFAULT "default"

/* P4.6: [A-Za-z0-9][A-Za-z0-9 ._-]{0,31}, no blank at the end. */
bool keyset_name_valid(const char *name);
/* What names compare by: lower case, runs of blanks as one; into out[KEYSET_NAME_MAX + 1]; returns out. */
char *keyset_name_fold(const char *name, char *out);
/* The first of NAME-2, NAME-3, … for which `taken` is false, cut to fit; malloc'ed. */
char *keyset_name_free(
    const char *name, bool (*taken)(const char *name, void *context), void *context);
/* The keyset name that a mail states (P3.3): the first line "Keyset: NAME" of `text`; NULL if there is none, else malloc'ed and unchecked. */
char *keyset_name_find(struct bytes text);

#endif
