#include "text/csv.h"

#include <stdlib.h>
#include <string.h>

#include "text/utf8.h"

#define ROW_BYTES_MAX 65536

static int peek(const struct csv_reader *r)
{
	return r->rest.len ? r->rest.data[0] : -1;
}

static int take(struct csv_reader *r)
{
	int c = peek(r);

	if (c >= 0) {
		r->rest.data++;
		r->rest.len--;
	}
	r->line += c == '\n';
	return c;
}

static bool at_end_of_cell(const struct csv_reader *r)
{
	int c = peek(r);

	return c < 0 || c == r->separator || c == '\n' || c == '\r';
}

static void skip_blanks(struct csv_reader *r)
{
	while ((peek(r) == ' ' || peek(r) == '\t') && peek(r) != r->separator)
		take(r);
}

static enum err read_quoted(struct csv_reader *r, struct buf *out)
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

static void read_bare(struct csv_reader *r, struct buf *out)
{
	while (!at_end_of_cell(r))
		buf_add_byte(out, take(r));
	while (out->len && strchr(" \t", out->data[out->len - 1]))
		out->data[--out->len] = '\0';
}

static enum err read_cell(struct csv_reader *r, struct csv_row *row)
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

void csv_row_clear(struct csv_row *row)
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

static enum err read_row(struct csv_reader *r, struct csv_row *row)
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

static enum err check_row(struct bytes text, size_t line)
{
	if (!utf8_valid(text))
		return err_fail(
		    ERR_DATA, "line %zu is not UTF-8; save the table as \"CSV UTF-8\"", line);
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];

		if ((c < ' ' && c != '\t' && c != '\r' && c != '\n') || c == 127)
			return err_fail(ERR_DATA, "line %zu holds control characters", line);
	}
	return ERR_OK;
}

void csv_start(struct bytes text, struct csv_reader *out)
{
	*out = (struct csv_reader){ .rest = text, .line = 1 };
	if (text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0)
		out->rest = bytes_of(text.data + 3, text.len - 3);
	out->separator = find_separator(out->rest);
}

/* A row of at most ROW_BYTES_MAX; after a bad one the reader is behind the line where it began. */
static enum err next_row(struct csv_reader *r, struct csv_row *row)
{
	struct csv_reader began = *r, here = *r;
	struct bytes line;
	size_t used;
	bool cut = r->rest.len > ROW_BYTES_MAX;
	enum err e;

	if (cut)
		here.rest.len = ROW_BYTES_MAX;
	e = read_row(&here, row);
	used = (size_t)(here.rest.data - began.rest.data);
	if (cut && !here.rest.len)
		e = err_fail(ERR_DATA,
		    "line %zu: it is too long, or a quotation mark is never closed", began.line);
	if (!e)
		e = check_row(bytes_of(began.rest.data, used), began.line);
	row->line = began.line;
	if (e) {
		(void)bytes_line(&r->rest, &line);
		r->line++;
		return e;
	}
	*r = here;
	r->rest.len = began.rest.len - used;
	return ERR_OK;
}

enum err csv_next(struct csv_reader *reader, struct csv_row *row, bool *more_out)
{
	enum err e = ERR_OK;

	*row = (struct csv_row){ 0 };
	while (!e && reader->rest.len) {
		csv_row_clear(row);
		e = next_row(reader, row);
		*more_out = true;
		if (e || !is_empty(row))
			return e;
	}
	*more_out = false;
	return ERR_OK;
}

enum err csv_read(struct bytes text, struct csv *out)
{
	struct csv_reader r;
	struct csv_row row;
	bool more;
	enum err e;

	*out = (struct csv){ 0 };
	csv_start(text, &r);
	while (!(e = csv_next(&r, &row, &more)) && more) {
		out->rows = mem_array(out->rows, out->count + 1, sizeof *out->rows);
		out->rows[out->count++] = row;
	}
	if (e)
		csv_free(out);
	csv_row_clear(&row);
	return e;
}

void csv_free(struct csv *csv)
{
	for (size_t i = 0; i < csv->count; i++)
		csv_row_clear(&csv->rows[i]);
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
