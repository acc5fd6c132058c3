#include "client/record.h"

#include <string.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/when.h"

#define RECORD_BYTES_MAX (1024 * 1024)

static const void *member(const struct record_field *field, const void *record)
{
	return (const char *)record + field->offset;
}

static void write_value(const struct record_field *field, const void *at, struct buf *out)
{
	char when[WHEN_TEXT_SIZE];

	switch (field->kind) {
	case RECORD_TEXT:
		if (*(char *const *)at != NULL)
			buf_addf(out, "%s: %s\n", field->name, *(char *const *)at);
		break;
	case RECORD_FINGERPRINT:
		if (*(const char *)at != '\0')
			buf_addf(out, "%s: %s\n", field->name, (const char *)at);
		break;
	case RECORD_TIME:
		if (*(const int64_t *)at != 0)
			buf_addf(
			    out, "%s: %s\n", field->name, when_format(*(const int64_t *)at, when));
		break;
	case RECORD_FLAG:
		if (*(const bool *)at)
			buf_addf(out, "%s: yes\n", field->name);
		break;
	case RECORD_BYTES:
		if (((const struct buf *)at)->len > 0) {
			buf_addf(out, "%s: ", field->name);
			base64_add(out, buf_bytes(at), 0, "");
			buf_add_byte(out, '\n');
		}
		break;
	}
}

void record_write(const struct record_field *fields, const void *from, struct buf *out)
{
	for (; fields->name != NULL; fields++)
		write_value(fields, member(fields, from), out);
}

static enum err read_value(const struct record_field *field, const char *value, void *at)
{
	struct buf *bytes = at;
	uint8_t binary[20];

	switch (field->kind) {
	case RECORD_TEXT:
		if (*(char **)at != NULL)
			return err_fail(ERR_DATA, "it stands there twice");
		*(char **)at = str_dup(value);
		return ERR_OK;
	case RECORD_FINGERPRINT:
		if (hex_read(value, binary, sizeof(binary)) != ERR_OK)
			return err_fail(ERR_DATA, "that is no fingerprint");
		memcpy(at, value, 41);
		return ERR_OK;
	case RECORD_TIME:
		return when_parse(value, at);
	case RECORD_FLAG:
		*(bool *)at = str_equal(value, "yes");
		return *(bool *)at ? ERR_OK : err_fail(ERR_DATA, "only \"yes\" can stand there");
	case RECORD_BYTES:
		buf_clear(bytes);
		return base64_read(bytes_of_text(value), bytes);
	}
	return err_fail(ERR_SOFTWARE, "unknown kind of field");
}

static enum err read_line(const char *line, const struct record_field *fields, void *to)
{
	const char *colon = strstr(line, ": ");

	for (; colon != NULL && fields->name != NULL; fields++)
		if (strlen(fields->name) == (size_t)(colon - line) &&
		    str_starts(line, fields->name)) {
			enum err e = read_value(fields, colon + 2, (char *)to + fields->offset);

			return e == ERR_OK ? e : err_prefix(e, "line %s", fields->name);
		}
	return err_fail(ERR_DATA, "the line \"%.60s\" is not understood", line);
}

enum err record_read(struct bytes text, const struct record_field *fields, void *to)
{
	struct bytes line;
	enum err e = ERR_OK;

	while (e == ERR_OK && bytes_line(&text, &line)) {
		char *copy = str_ndup((const char *)line.data, line.len);

		if (strlen(copy) != line.len)
			e = err_fail(ERR_DATA, "there is a NUL in it");
		else
			e = read_line(copy, fields, to);
		str_wipe(&copy);
	}
	return e;
}

void record_clear(const struct record_field *fields, void *record)
{
	for (; fields->name != NULL; fields++) {
		void *at = (char *)record + fields->offset;

		switch (fields->kind) {
		case RECORD_TEXT:
			str_free(at);
			break;
		case RECORD_FINGERPRINT:
			*(char *)at = '\0';
			break;
		case RECORD_TIME:
			*(int64_t *)at = 0;
			break;
		case RECORD_FLAG:
			*(bool *)at = false;
			break;
		case RECORD_BYTES:
			buf_free(at);
			break;
		}
	}
}

enum err record_save(const char *path, const struct record_field *fields, const void *from)
{
	struct buf text = BUF_SECRET;
	enum err e;

	record_write(fields, from, &text);
	e = file_write(path, 0600, buf_bytes(&text));
	buf_free(&text);
	return e;
}

enum err record_load(const char *path, const struct record_field *fields, void *to)
{
	struct buf text = BUF_SECRET;
	enum err e = file_read(path, RECORD_BYTES_MAX, &text);

	if (e == ERR_OK) {
		e = record_read(buf_bytes(&text), fields, to);
		if (e != ERR_OK)
			e = err_prefix(e, "%s is damaged, or of a newer countersign", path);
	}
	buf_free(&text);
	return e;
}
