#include "text/csv.h"

#include <stdlib.h>
#include <string.h>

#include "text/utf8.h"

struct reader {
	struct bytes rest;
	size_t line;
	int separator;
};

static int peek(const struct reader *r)
{
	return r->rest.len ? r->rest.data[0] : -1;
}

static int take(struct reader *r)
{
	int c = peek(r);

	if (c >= 0) {
		r->rest.data++;
		r->rest.len--;
	}
	r->line += c == '\n';
	return c;
}

static bool at_end_of_cell(const struct reader *r)
{
	int c = peek(r);

	return c < 0 || c == r->separator || c == '\n' || c == '\r';
}

static void skip_blanks(struct reader *r)
{
	while ((peek(r) == ' ' || peek(r) == '\t') && peek(r) != r->separator)
		take(r);
}

static enum err read_quoted(struct reader *r, struct buf *out)
{
	size_t began = r->line;

	take(r);
	for (;;) {
		int c = take(r);

		if (c < 0)
			return err_fail(
			    ERR_DATA, "line %zu: a quotation mark is never closed", began);
		if (c == '"' && peek(r) != '"')
			break;
		if (c == '"')
			take(r);
		buf_add_byte(out, c);
	}
	skip_blanks(r);
	if (at_end_of_cell(r))
		return ERR_OK;
	return err_fail(ERR_DATA,
	    "line %zu: there is text behind a closing quotation mark; write \"\" for one inside",
	    r->line);
}

static void read_bare(struct reader *r, struct buf *out)
{
	while (!at_end_of_cell(r))
		buf_add_byte(out, take(r));
	while (out->len && strchr(" \t", out->data[out->len - 1]))
		out->data[--out->len] = '\0';
}

static enum err read_cell(struct reader *r, struct csv_row *row)
{
	struct buf text = BUF_INIT;
	enum err e = ERR_OK;

	skip_blanks(r);
	if (peek(r) == '"')
		e = read_quoted(r, &text);
	else
		read_bare(r, &text);
	row->cells = mem_array(row->cells, row->count + 1, sizeof *row->cells);
	row->cells[row->count++] = buf_take_text(&text);
	buf_free(&text);
	return e;
}

static void row_free(struct csv_row *row)
{
	for (size_t i = 0; i < row->count; i++)
		str_free(&row->cells[i]);
	free(row->cells);
	*row = (struct csv_row){ 0 };
}

static bool is_empty(const struct csv_row *row)
{
	for (size_t i = 0; i < row->count; i++)
		if (row->cells[i][0])
			return false;
	return true;
}

static enum err read_row(struct reader *r, struct csv_row *row)
{
	enum err e;

	row->line = r->line;
	while (!(e = read_cell(r, row)) && peek(r) == r->separator)
		take(r);
	if (peek(r) == '\r')
		take(r);
	if (peek(r) == '\n')
		take(r);
	return e;
}

/* What the first line has more of, outside of quotes. */
static int find_separator(struct bytes text)
{
	size_t commas = 0, semicolons = 0, tabs = 0;
	bool quoted = false;

	for (size_t i = 0; i < text.len && (quoted || text.data[i] != '\n'); i++) {
		quoted ^= text.data[i] == '"';
		commas += !quoted && text.data[i] == ',';
		semicolons += !quoted && text.data[i] == ';';
		tabs += !quoted && text.data[i] == '\t';
	}
	if (tabs > commas && tabs > semicolons)
		return '\t';
	return semicolons > commas ? ';' : ',';
}

static enum err check_text(struct bytes text)
{
	struct bytes rest = text, line;
	size_t number = 0;

	while (bytes_line(&rest, &line)) {
		number++;
		if (!utf8_valid(line))
			return err_fail(ERR_DATA,
			    "line %zu is not UTF-8; save the table as \"CSV UTF-8\"", number);
		for (size_t i = 0; i < line.len; i++)
			if ((line.data[i] < ' ' && line.data[i] != '\t' && line.data[i] != '\r') ||
			    line.data[i] == 127)
				return err_fail(
				    ERR_DATA, "line %zu holds control characters", number);
	}
	return ERR_OK;
}

enum err csv_read(struct bytes text, struct csv *out)
{
	struct reader r = { .rest = text, .line = 1 };
	struct csv_row row = { 0 };
	enum err e;

	*out = (struct csv){ 0 };
	if (text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0)
		r.rest = bytes_of(text.data + 3, text.len - 3);
	r.separator = find_separator(r.rest);
	e = check_text(r.rest);
	while (!e && r.rest.len) {
		e = read_row(&r, &row);
		if (!e && !is_empty(&row)) {
			out->rows = mem_array(out->rows, out->count + 1, sizeof *out->rows);
			out->rows[out->count++] = row;
			row = (struct csv_row){ 0 };
		}
		row_free(&row);
	}
	if (e)
		csv_free(out);
	return e;
}

void csv_free(struct csv *csv)
{
	for (size_t i = 0; i < csv->count; i++)
		row_free(&csv->rows[i]);
	free(csv->rows);
	*csv = (struct csv){ 0 };
}

const char *csv_cell(const struct csv_row *row, size_t column)
{
	return column < row->count ? row->cells[column] : "";
}

static void add_cell(struct buf *out, const char *text)
{
	bool blank_edge =
	    *text && (strchr(" \t", text[0]) || strchr(" \t", text[strlen(text) - 1]));

	if (!blank_edge && !strpbrk(text, "\",;\t\r\n")) {
		buf_add_text(out, text);
		return;
	}
	buf_add_byte(out, '"');
	for (; *text; text++) {
		if (*text == '"')
			buf_add_byte(out, '"');
		buf_add_byte(out, *text);
	}
	buf_add_byte(out, '"');
}

void csv_add(struct buf *out, const char *const *cells, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (i)
			buf_add_byte(out, ',');
		add_cell(out, cells[i] ? cells[i] : "");
	}
	buf_add_byte(out, '\n');
}
