#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/err.h"

#define SENTENCE_SIZE 1024

static _Thread_local char sentence[SENTENCE_SIZE] = "no error";

enum err err_fail(enum err code, const char *format, ...)
{
	/* By way of a copy, since an argument may be err_text() itself. */
	char made[SENTENCE_SIZE];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(made, sizeof made, format, ap);
	va_end(ap);
	memcpy(sentence, made, sizeof sentence);
	return code;
}

enum err err_prefix(enum err code, const char *format, ...)
{
	char made[2 * SENTENCE_SIZE + 2];
	va_list ap;
	size_t len;

	va_start(ap, format);
	(void)vsnprintf(made, SENTENCE_SIZE, format, ap);
	va_end(ap);
	len = strlen(made);
	(void)snprintf(made + len, sizeof made - len, ": %s", sentence);
	memcpy(sentence, made, sizeof sentence - 1);
	return code;
}

const char *err_text(void)
{
	return sentence;
}

int err_exit_status(enum err code)
{
	switch (code) {
	case ERR_OK:
		return EX_OK;
	case ERR_USAGE:
		return EX_USAGE;
	case ERR_DATA:
		return EX_DATAERR;
	case ERR_NOINPUT:
		return EX_NOINPUT;
	case ERR_NOUSER:
		return EX_NOUSER;
	case ERR_UNAVAILABLE:
		return EX_UNAVAILABLE;
	case ERR_SOFTWARE:
		return EX_SOFTWARE;
	case ERR_SYSTEM:
		return EX_OSERR;
	case ERR_CREATE:
		return EX_CANTCREAT;
	case ERR_IO:
		return EX_IOERR;
	case ERR_TEMPORARY:
		return EX_TEMPFAIL;
	case ERR_PROTOCOL:
		return EX_PROTOCOL;
	case ERR_DENIED:
		return EX_NOPERM;
	case ERR_CONFIG:
		return EX_CONFIG;
	}
	return EX_SOFTWARE;
}

int err_is_passing(enum err code)
{
	return code == ERR_UNAVAILABLE || code == ERR_SYSTEM || code == ERR_IO ||
	       code == ERR_TEMPORARY;
}
