#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/when.h"
#include "print/table.h"
#include "text/utf8.h"

enum kind { TEXT, NUMBER, BOOL, TIME, LIST };

struct cell {
	char *key, *label; /* of a page only */
	enum kind kind;
	char *text;
	int64_t number;
	struct table *inner;
};

/* A list has its cells row after row, a page one per field. */
struct table {
	bool json, line;
	const char *const *keys; /* NULL: a page */
	const char *const *heads;
	size_t columns;
	struct cell *cells;
	size_t count;
};

struct table *table_list(bool json, const char *const *keys, const char *const *heads)
{
	struct table *t = mem_alloc(sizeof *t);

	*t = (struct table){ .json = json, .keys = keys, .heads = heads };
	while (keys[t->columns])
		t->columns++;
	return t;
}

struct table *table_page(bool json)
{
	struct table *t = mem_alloc(sizeof *t);

	t->json = json;
	return t;
}

struct table *table_line(void)
{
	struct table *t = table_page(true);

	t->line = true;
	return t;
}

static void table_free(struct table **table)
{
	struct table *t = *table;

	if (!t)
		return;
	for (size_t i = 0; i < t->count; i++) {
		str_free(&t->cells[i].key);
		str_free(&t->cells[i].label);
		str_free(&t->cells[i].text);
		table_free(&t->cells[i].inner);
	}
	free(t->cells);
	free(t);
	*table = NULL;
}

static void add_cell(struct table *t, struct cell cell)
{
	/* Room for the next power of two. */
	if ((t->count & (t->count - 1)) == 0)
		t->cells = mem_array(t->cells, t->count ? 2 * t->count : 1, sizeof *t->cells);
	t->cells[t->count++] = cell;
}

static void add_value(struct table *t, struct cell cell)
{
	assert(t->keys);
	add_cell(t, cell);
}

static void add_field(struct table *t, const char *key, const char *label, struct cell cell)
{
	assert(!t->keys);
	cell.key = str_dup(key);
	cell.label = str_dup(label);
	add_cell(t, cell);
}

static struct cell cell_text(const char *value)
{
	return (struct cell){ .kind = TEXT, .text = str_dup(value) };
}

static struct cell cell_number(enum kind kind, int64_t value)
{
	return (struct cell){ .kind = kind, .number = value };
}

void table_row(struct table *t)
{
	assert(t->keys && t->count % t->columns == 0);
}

void table_text(struct table *t, const char *value)
{
	add_value(t, cell_text(value));
}

void table_number(struct table *t, int64_t value)
{
	add_value(t, cell_number(NUMBER, value));
}

void table_bool(struct table *t, bool value)
{
	add_value(t, cell_number(BOOL, value));
}

void table_time(struct table *t, int64_t value)
{
	add_value(t, cell_number(TIME, value));
}

void table_field_text(struct table *t, const char *key, const char *label, const char *value)
{
	add_field(t, key, label, cell_text(value));
}

void table_field_number(struct table *t, const char *key, const char *label, int64_t value)
{
	add_field(t, key, label, cell_number(NUMBER, value));
}

void table_field_bool(struct table *t, const char *key, const char *label, bool value)
{
	add_field(t, key, label, cell_number(BOOL, value));
}

void table_field_time(struct table *t, const char *key, const char *label, int64_t value)
{
	add_field(t, key, label, cell_number(TIME, value));
}

void table_field_list(struct table *t, const char *key, const char *label, struct table *inner)
{
	add_field(t, key, label, (struct cell){ .kind = LIST, .inner = inner });
}

static json_t *json_checked(json_t *json)
{
	if (!json) {
		(void)fputs("out of memory\n", stderr);
		_Exit(err_exit_status(ERR_SYSTEM));
	}
	return json;
}

static json_t *json_of_text(const char *text)
{
	struct buf clean = BUF_INIT;
	json_t *json;

	utf8_convert(bytes_of_text(text), "utf-8", &clean);
	json = json_checked(json_string(buf_text(&clean)));
	buf_free(&clean);
	return json;
}

static json_t *json_of_table(const struct table *t);

static json_t *json_of_cell(const struct cell *cell)
{
	char text[WHEN_TEXT_SIZE];

	switch (cell->kind) {
	case TEXT:
		return cell->text ? json_of_text(cell->text) : json_null();
	case NUMBER:
		return json_checked(json_integer(cell->number));
	case BOOL:
		return json_boolean(cell->number);
	case TIME:
		return cell->number ? json_of_text(when_format(cell->number, text)) : json_null();
	case LIST:
		return json_of_table(cell->inner);
	}
	return json_null();
}

static void json_set(json_t *object, const char *key, const struct cell *cell)
{
	if (json_object_set_new(object, key, json_of_cell(cell)) < 0)
		(void)json_checked(NULL);
}

static json_t *json_of_list(const struct table *t)
{
	json_t *array = json_checked(json_array()), *object = NULL;

	for (size_t i = 0; i < t->count; i++) {
		if (i % t->columns == 0) {
			object = json_checked(json_object());
			if (json_array_append_new(array, object) < 0)
				(void)json_checked(NULL);
		}
		json_set(object, t->keys[i % t->columns], &t->cells[i]);
	}
	return array;
}

static json_t *json_of_table(const struct table *t)
{
	json_t *object;

	if (t->keys)
		return json_of_list(t);
	object = json_checked(json_object());
	for (size_t i = 0; i < t->count; i++)
		json_set(object, t->cells[i].key, &t->cells[i]);
	return object;
}

/* For people; malloc'ed. */
static char *cell_shown(const struct cell *cell)
{
	char text[WHEN_TEXT_SIZE];

	switch (cell->kind) {
	case TEXT:
		return cell->text ? utf8_printable(cell->text, false) : str_dup("-");
	case NUMBER:
		return str_printf("%" PRId64, cell->number);
	case BOOL:
		return str_dup(cell->number ? "yes" : "no");
	case TIME:
		return str_dup(cell->number ? when_format(cell->number, text) : "-");
	case LIST:
		break;
	}
	return str_dup("");
}

static void add_blanks(struct buf *out, size_t count)
{
	buf_addf(out, "%*s", (int)count, "");
}

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

static bool column_is_right(const struct table *t, size_t column)
{
	for (size_t i = column; i < t->count; i += t->columns)
		if (t->cells[i].kind != NUMBER)
			return false;
	return true;
}

static void add_aligned(struct buf *out, const char *text, size_t width, bool right, bool last)
{
	size_t blanks = width - utf8_width(text);

	if (right)
		add_blanks(out, blanks);
	buf_add_text(out, text);
	if (last)
		buf_add_byte(out, '\n');
	else
		add_blanks(out, (right ? 0 : blanks) + 2);
}

static void people_list(const struct table *t, size_t indent, struct buf *out)
{
	size_t *widths = mem_array(NULL, t->columns, sizeof *widths);
	char **shown = mem_array(NULL, t->count, sizeof *shown);

	for (size_t c = 0; c < t->columns; c++)
		widths[c] = t->heads ? utf8_width(t->heads[c]) : 0;
	for (size_t i = 0; i < t->count; i++) {
		shown[i] = cell_shown(&t->cells[i]);
		widths[i % t->columns] = larger(widths[i % t->columns], utf8_width(shown[i]));
	}
	/* The heads are a row like the others; an empty list has not even these. */
	for (size_t i = t->heads ? 0 : t->columns; t->count && i < t->columns + t->count; i++) {
		size_t c = i % t->columns;

		if (c == 0)
			add_blanks(out, indent);
		add_aligned(out, i < t->columns ? t->heads[c] : shown[i - t->columns], widths[c],
		    column_is_right(t, c), c + 1 == t->columns);
	}
	for (size_t i = 0; i < t->count; i++)
		str_free(&shown[i]);
	free(shown);
	free(widths);
}

static void people_inner(const struct cell *cell, struct buf *out)
{
	if (cell->inner->count == 0) {
		buf_addf(out, "\n%s: none\n", cell->label);
		return;
	}
	buf_addf(out, "\n%s:\n", cell->label);
	people_list(cell->inner, 2, out);
}

static void people_page(const struct table *t, struct buf *out)
{
	size_t width = 0;

	for (size_t i = 0; i < t->count; i++)
		if (t->cells[i].kind != LIST)
			width = larger(width, utf8_width(t->cells[i].label));
	for (size_t i = 0; i < t->count; i++) {
		const struct cell *cell = &t->cells[i];
		char *shown;

		if (cell->kind == LIST) {
			people_inner(cell, out);
			continue;
		}
		shown = cell_shown(cell);
		buf_addf(out, "%s:", cell->label);
		add_blanks(out, width - utf8_width(cell->label) + 1);
		buf_addf(out, "%s\n", shown);
		str_free(&shown);
	}
}

static void add_json(const struct table *t, struct buf *out)
{
	json_t *json = json_of_table(t);
	char *text = json_dumps(json, t->line ? JSON_COMPACT : JSON_INDENT(2));

	if (!text)
		(void)json_checked(NULL);
	buf_addf(out, "%s\n", text);
	free(text);
	json_decref(json);
}

void table_add(struct table **t, struct buf *out)
{
	if ((*t)->json)
		add_json(*t, out);
	else if ((*t)->keys)
		people_list(*t, 0, out);
	else
		people_page(*t, out);
	table_free(t);
}

enum err table_print(struct table **t, FILE *out)
{
	struct buf text = BUF_INIT;
	enum err err = ERR_OK;

	table_add(t, &text);
	if ((text.len && fwrite(text.data, 1, text.len, out) != text.len) || fflush(out) != 0)
		err = err_fail(ERR_IO, "cannot write the output: %s", strerror(errno));
	buf_free(&text);
	return err;
}
