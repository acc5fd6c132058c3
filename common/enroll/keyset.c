#include "enroll/keyset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REST_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 ._-"
#define SUFFIX_MAX 12

bool keyset_name_valid(const char *name)
{
	size_t len = strlen(name);
	if (!len || len > KEYSET_NAME_MAX || name[len - 1] == ' ')
		return false;
	return !strchr(" ._-", name[0]) && strspn(name, REST_CHARACTERS) == len;
}

char *keyset_name_fold(const char *name, char *out)
{
	size_t n = 0;
	for (const char *p = name; *p && n < KEYSET_NAME_MAX; p++) {
		if (*p == ' ' && n && out[n - 1] == ' ')
			continue;
		out[n++] = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
	}
	out[n] = '\0';
	return out;
}

char *keyset_name_free(
    const char *name, bool (*taken)(const char *name, void *context), void *context)
{
	for (unsigned i = 2;; i++) {
		char suffix[SUFFIX_MAX];
		int suffix_len = snprintf(suffix, sizeof(suffix), "-%u", i);
		size_t most = KEYSET_NAME_MAX - (size_t)suffix_len;
		size_t len = strlen(name) < most ? strlen(name) : most;
		while (len && name[len - 1] == ' ')
			len--;
		char *candidate = str_printf("%.*s%s", (int)len, name, suffix);
		if (!taken(candidate, context))
			return candidate;
		str_free(&candidate);
	}
}

static struct bytes trimmed(struct bytes b, const char *set)
{
	while (b.len && b.data[0] && strchr(set, b.data[0])) {
		b.data++;
		b.len--;
	}
	while (b.len && b.data[b.len - 1] && strchr(set, b.data[b.len - 1]))
		b.len--;
	return b;
}

/* The value of "Keyset: NAME" behind quote marks and bullets; false for another line. */
static bool keyset_line(struct bytes line, struct bytes *value_out)
{
	static const char label[] = "keyset";
	line = trimmed(line, " \t>|*\r");
	for (size_t i = 0; i < sizeof(label) - 1; i++)
		if (i >= line.len || (line.data[i] | 0x20) != label[i])
			return false;
	line = trimmed(
	    bytes_of(line.data + sizeof(label) - 1, line.len - (sizeof(label) - 1)), " \t*");
	if (!line.len || line.data[0] != ':')
		return false;
	*value_out = trimmed(bytes_of(line.data + 1, line.len - 1), " \t*\"'");
	return value_out->len > 0;
}

char *keyset_name_find(struct bytes text)
{
	struct bytes line, value;
	while (bytes_line(&text, &line))
		if (keyset_line(line, &value))
			return str_ndup((const char *)value.data, value.len);
	return NULL;
}
