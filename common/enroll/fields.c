#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "enroll/internal.h"
#include "text/utf8.h"

#define NAME_SHOWN_MAX 40

bool field_fault(char fault[FIELD_FAULT_SIZE], const char *name, const char *what)
{
	snprintf(fault, FIELD_FAULT_SIZE, "the field %s %s", name, what);
	return false;
}

/* A name as it may be shown: strangers chose it. */
static bool fault_of_stranger(char fault[FIELD_FAULT_SIZE], struct bytes name, const char *what)
{
	char shown[NAME_SHOWN_MAX + 1];
	size_t n = 0;
	for (; n < name.len && n < NAME_SHOWN_MAX; n++)
		shown[n] = name.data[n] > ' ' && name.data[n] < 0x7f ? (char)name.data[n] : '?';
	shown[n] = '\0';
	return field_fault(fault, shown, what);
}

static struct bytes without_mark(struct bytes text)
{
	if (text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0)
		return bytes_of(text.data + 3, text.len - 3);
	return text;
}

static struct bytes trimmed(struct bytes b)
{
	while (b.len && (b.data[0] == ' ' || b.data[0] == '\t'))
		b = bytes_of(b.data + 1, b.len - 1);
	while (b.len && strchr(" \t\r", b.data[b.len - 1]) && b.data[b.len - 1])
		b.len--;
	return b;
}

/* The byte order mark and blank lines that P2.6 allows in front. */
static struct bytes without_front(struct bytes text)
{
	struct bytes rest = without_mark(text), line;
	for (struct bytes next = rest; bytes_line(&next, &line) && !trimmed(line).len;)
		rest = next;
	return rest;
}

bool text_begins(struct bytes text, const char *prefix)
{
	struct bytes front = trimmed(without_front(text));
	size_t len = strlen(prefix);
	return front.len >= len && memcmp(front.data, prefix, len) == 0;
}

static bool is_named(struct bytes name, const struct field *field)
{
	return bytes_equal(name, bytes_of_text(field->name));
}

/* Which field the line is: `next` or a later one with only optional ones between; else the fault. */
static bool field_place(struct bytes name, const struct field *fields, size_t count, size_t next,
    size_t *place_out, char fault[FIELD_FAULT_SIZE])
{
	for (size_t i = 0; i < next; i++)
		if (is_named(name, &fields[i]))
			return field_fault(fault, fields[i].name, "is repeated or out of order");
	size_t i = next;
	while (i < count && !is_named(name, &fields[i]))
		i++;
	if (i == count)
		return fault_of_stranger(fault, name, "is unknown");
	for (size_t j = next; j < i; j++)
		if (!fields[j].optional)
			return field_fault(fault, fields[j].name, "is missing or out of order");
	*place_out = i;
	return true;
}

static bool field_value(
    struct bytes value, const struct field *field, char **out, char fault[FIELD_FAULT_SIZE])
{
	if (!value.len)
		return field_fault(fault, field->name, "is empty");
	if (value.len > field->most)
		return field_fault(fault, field->name, "is too long");
	for (size_t i = 0; i < value.len; i++)
		if (value.data[i] < ' ' || value.data[i] == 0x7f)
			return field_fault(fault, field->name, "holds a control character");
	if (!utf8_valid(value))
		return field_fault(fault, field->name, "is not UTF-8");
	*out = str_ndup((const char *)value.data, value.len);
	return true;
}

bool fields_read(struct bytes *rest, const struct field *fields, size_t count, char **values,
    char fault[FIELD_FAULT_SIZE])
{
	struct bytes line;
	size_t next = 0, number = 0;
	memset(values, 0, count * sizeof(*values));
	*rest = without_front(*rest);
	while (bytes_line(rest, &line)) {
		number++;
		line = trimmed(line);
		if (!line.len)
			break;
		const uint8_t *colon = memchr(line.data, ':', line.len);
		if (!colon) {
			snprintf(fault, FIELD_FAULT_SIZE, "line %zu is not of the form Name: value",
			    number);
			return false;
		}
		struct bytes name = bytes_of(line.data, (size_t)(colon - line.data));
		struct bytes value = trimmed(bytes_of(colon + 1, line.len - name.len - 1));
		size_t place = 0;
		if (!field_place(name, fields, count, next, &place, fault) ||
		    !field_value(value, &fields[place], &values[place], fault))
			return false;
		next = place + 1;
	}
	for (; next < count; next++)
		if (!fields[next].optional)
			return field_fault(fault, fields[next].name, "is missing");
	if (!str_equal(values[0], "1"))
		return field_fault(fault, fields[0].name, "names a version that is not known here");
	return true;
}

bool fields_read_all(struct bytes text, const struct field *fields, size_t count, char **values,
    char fault[FIELD_FAULT_SIZE])
{
	struct bytes line;
	if (!fields_read(&text, fields, count, values, fault))
		return false;
	while (bytes_line(&text, &line))
		if (trimmed(line).len) {
			snprintf(fault, FIELD_FAULT_SIZE, "something follows after the last field");
			return false;
		}
	return true;
}

void fields_free(char **values, size_t count)
{
	for (size_t i = 0; i < count; i++)
		str_free(&values[i]);
}

void field_put(struct buf *out, const char *name, const char *value)
{
	if (!value || !*value)
		return;
	buf_addf(out, "%s: ", name);
	for (const char *p = value; *p; p++)
		buf_add_byte(out, (unsigned char)*p < ' ' || *p == 0x7f ? ' ' : *p);
	buf_add_byte(out, '\n');
}

bool fingerprint_read(const char *value, char out[41])
{
	uint8_t raw[20];
	if (strlen(value) != 40 || hex_read(value, raw, sizeof(raw)) != ERR_OK)
		return false;
	struct buf text = BUF_INIT;
	hex_add(&text, bytes_of(raw, sizeof(raw)));
	memcpy(out, text.data, 41);
	buf_free(&text);
	return true;
}
