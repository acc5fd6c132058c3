#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "mail/imapbox_internal.h"
#include "text/utf8.h"

#define REPLY_KEPT_BYTES ((size_t)64 << 10) /* what `reply` may hold on to between commands */
#define WORDS_BYTES_MOST 200

bool imapbox_is(struct bytes word, const char *expect)
{
	return word.len == strlen(expect) &&
	       strncasecmp((const char *)word.data, expect, word.len) == 0;
}

bool imapbox_can(const struct imapbox *box, const char *capability)
{
	char *word = str_printf(" %s ", capability);
	bool can = strstr(buf_text(&box->capabilities), word) != NULL;

	str_free(&word);
	return can;
}

/* The server's words for a sentence: one clean line of moderate length; malloc'ed. */
static char *words_of(struct bytes text)
{
	while (text.len > 0 && text.data[text.len - 1] == '.') /* ours goes on behind them */
		text.len--;
	while (text.len > 0 && text.data[0] == ' ')
		text = bytes_of(text.data + 1, text.len - 1);
	bool cut = text.len > WORDS_BYTES_MOST;
	struct buf clean = BUF_INIT;
	utf8_convert(bytes_of(text.data, cut ? WORDS_BYTES_MOST : text.len), NULL, &clean);
	if (cut)
		buf_add_text(&clean, "...");
	char *words = utf8_printable(clean.len ? buf_text(&clean) : "no reason given", false);
	buf_free(&clean);
	return words;
}

enum err imapbox_lose(struct imapbox *box, enum err err)
{
	server_close(&box->server);
	box->idling = false;
	imapbox_ahead_clear(box);
	return err;
}

enum err imapbox_connected(const struct imapbox *box)
{
	return box->server ? ERR_OK : err_fail(ERR_UNAVAILABLE, "the connection is lost");
}

static enum err broken(struct imapbox *box)
{
	box->ended = server_has_closed(box->server);
	return imapbox_lose(box, server_fault(box->server));
}

/* ---- reading ---- */

static enum err odd(struct imapbox *box)
{
	return imapbox_lose(
	    box, err_fail(ERR_UNAVAILABLE, "%s sent what is not IMAP", box->server->name));
}

/* Appends exactly `len` bytes that the server sends. */
static enum err read_bytes(struct imapbox *box, size_t len)
{
	while (len > 0) {
		size_t want = len < REPLY_KEPT_BYTES ? len : REPLY_KEPT_BYTES;
		ssize_t got =
		    mailstream_read(box->server->stream, buf_reserve(&box->reply, want), want);
		if (got <= 0)
			return broken(box);
		box->reply.len += (size_t)got;
		len -= (size_t)got;
	}
	return ERR_OK;
}

/* Appends up to the next line end, and that too. */
static enum err read_line(struct imapbox *box)
{
	const mailstream *stream = box->server->stream;

	for (;;) {
		if (stream->read_buffer_len == 0 &&
		    mailstream_feed_read_buffer(box->server->stream) <= 0)
			return broken(box);
		const char *end = memchr(stream->read_buffer, '\n', stream->read_buffer_len);
		enum err err = read_bytes(
		    box, end ? (size_t)(end - stream->read_buffer) + 1 : stream->read_buffer_len);
		if (err || end)
			return err;
	}
}

/* Whether the line just read announces a literal ("… {123}"), and of how many bytes. */
static bool announces_literal(struct bytes line, size_t *len_out)
{
	size_t len = 0, unit = 1, i = line.len;

	if (i < 3 || line.data[--i] != '}')
		return false;
	for (; i > 0 && isdigit(line.data[i - 1]); i--) {
		size_t digit = (size_t)(line.data[i - 1] - '0');
		len = digit > (SIZE_MAX / 2 - len) / unit ? SIZE_MAX / 2 : len + digit * unit;
		unit = unit > SIZE_MAX / 20 ? unit : unit * 10;
	}
	*len_out = len;
	return i > 0 && line.data[i - 1] == '{' && line.data[i] != '}';
}

static struct bytes without_end(struct bytes line)
{
	if (line.len > 0 && line.data[line.len - 1] == '\n')
		line.len--;
	if (line.len > 0 && line.data[line.len - 1] == '\r')
		line.len--;
	return line;
}

/* What a person wrote may end in "{1}" and announce nothing. */
static bool is_status(struct bytes word)
{
	return imapbox_is(word, "OK") || imapbox_is(word, "NO") || imapbox_is(word, "BAD") ||
	       imapbox_is(word, "BYE") || imapbox_is(word, "PREAUTH");
}

/* The next word of a line; advances *rest past the blank behind it. */
static struct bytes take_word(struct bytes *rest)
{
	const uint8_t *blank = rest->len > 0 ? memchr(rest->data, ' ', rest->len) : NULL;
	struct bytes word = bytes_of(rest->data, blank ? (size_t)(blank - rest->data) : rest->len);
	size_t step = word.len + (blank ? 1 : 0);

	if (step > 0)
		*rest = bytes_of(rest->data + step, rest->len - step);
	return word;
}

/* "* 12 EXISTS", "* OK …", "a1 NO …", "+ …"; false for what is none of them. */
static bool read_head(struct bytes line, struct imapbox_answer *out)
{
	*out = (struct imapbox_answer){ .rest = line };
	struct bytes first = take_word(&out->rest);
	out->kind = imapbox_is(first, "*")   ? IMAPBOX_UNTAGGED
		    : imapbox_is(first, "+") ? IMAPBOX_CONTINUE
					     : IMAPBOX_TAGGED;
	if (out->kind == IMAPBOX_CONTINUE)
		return true;
	out->word = take_word(&out->rest);
	if (out->kind == IMAPBOX_UNTAGGED && out->word.len > 0 && isdigit(out->word.data[0])) {
		out->number = imapbox_number(out->word);
		out->word = take_word(&out->rest);
	}
	return first.len > 0 && out->word.len > 0;
}

static enum err read_literals(struct imapbox *box)
{
	size_t len, start = 0;

	for (;;) {
		struct bytes line = bytes_of(box->reply.data + start, box->reply.len - start);
		if (!announces_literal(without_end(line), &len))
			return ERR_OK;
		if (len > box->literal_most)
			return imapbox_lose(
			    box, err_fail(ERR_UNAVAILABLE,
				     "%s would send %zu bytes where at most %zu were asked for",
				     box->server->name, len, box->literal_most));
		enum err err = read_bytes(box, len);
		start = box->reply.len;
		if (!err)
			err = read_line(box);
		if (err)
			return err;
	}
}

/* ---- what any answer may bring ---- */

/* The code in "[UIDVALIDITY 7] text"; the text behind it is left in *rest. */
static struct bytes take_code(struct bytes *rest)
{
	const uint8_t *end =
	    rest->len > 0 && rest->data[0] == '[' ? memchr(rest->data, ']', rest->len) : NULL;
	if (!end)
		return bytes_of(NULL, 0);
	size_t len = (size_t)(end - rest->data);
	struct bytes code = bytes_of(rest->data + 1, len - 1);
	*rest = bytes_of(end + 1, rest->len - len - 1);
	return code;
}

static void learn_capabilities(struct imapbox *box, struct bytes words)
{
	buf_clear(&box->capabilities);
	buf_add_byte(&box->capabilities, ' ');
	for (size_t i = 0; i < words.len; i++)
		buf_add_byte(&box->capabilities, toupper(words.data[i]));
	buf_add_byte(&box->capabilities, ' ');
}

/* RFC 3501 2.3.1.1: it is another folder now, and our numbers are of nothing. */
static enum err learn_validity(struct imapbox *box, uint32_t validity)
{
	if (box->validity && validity != box->validity)
		return imapbox_lose(
		    box, err_fail(ERR_UNAVAILABLE, "%s replaced the folder by another",
			     box->server->name));
	box->validity = validity;
	return ERR_OK;
}

static enum err learn_code(struct imapbox *box, struct bytes rest)
{
	struct bytes code = take_code(&rest), name = take_word(&code);

	if (imapbox_is(name, "CAPABILITY"))
		learn_capabilities(box, code);
	else if (imapbox_is(name, "UIDVALIDITY"))
		return learn_validity(box, imapbox_number(code));
	return ERR_OK;
}

/* The name of the code, in capitals; "" where there is none. */
static void keep_code(struct imapbox *box, struct bytes rest)
{
	struct bytes code = take_code(&rest), name = take_word(&code);

	box->code[0] = '\0';
	for (size_t i = 0; i < name.len && i + 1 < sizeof box->code; i++) {
		box->code[i] = (char)toupper(name.data[i]);
		box->code[i + 1] = '\0';
	}
}

static enum err said_bye(struct imapbox *box, struct bytes rest)
{
	char *words = words_of(rest);
	enum err err =
	    err_fail(ERR_UNAVAILABLE, "%s ended the session: %s", box->server->name, words);

	keep_code(box, rest);
	box->ended = true;
	str_free(&words);
	return imapbox_lose(box, err);
}

static enum err learn(struct imapbox *box, const struct imapbox_answer *answer)
{
	if (imapbox_is(answer->word, "EXISTS")) {
		box->unsearched = box->unsearched || answer->number > box->exists;
		box->exists = answer->number;
	} else if (imapbox_is(answer->word, "EXPUNGE")) {
		box->exists -= box->exists > 0;
	} else if (imapbox_is(answer->word, "CAPABILITY")) {
		learn_capabilities(box, answer->rest);
	} else if (imapbox_is(answer->word, "OK")) {
		return learn_code(box, answer->rest);
	} else if (imapbox_is(answer->word, "BYE")) {
		return said_bye(box, answer->rest);
	}
	return ERR_OK;
}

enum err imapbox_take(struct imapbox *box, struct imapbox_answer *out)
{
	enum err err;

	buf_clear(&box->reply);
	err = read_line(box);
	if (err)
		return err;
	if (!read_head(without_end(buf_bytes(&box->reply)), out))
		return odd(box);
	if (out->kind != IMAPBOX_UNTAGGED)
		return ERR_OK;
	if (!is_status(out->word)) {
		err = read_literals(box);
		if (err)
			return err;
		(void)read_head(without_end(buf_bytes(&box->reply)), out); /* it may have moved */
	}
	return learn(box, out);
}

/* ---- commands ---- */

enum err imapbox_put(struct imapbox *box, struct bytes text)
{
	mailstream *stream = box->server->stream;
	bool put =
	    mailstream_write(stream, text.data, text.len) >= 0 && mailstream_flush(stream) >= 0;

	mem_wipe(stream->write_buffer, stream->buffer_max_size); /* it may have been a password */
	return put ? ERR_OK : broken(box);
}

static enum err PRINTF_LIKE(3, 0)
    send_formatted(struct imapbox *box, size_t bytes, const char *format, va_list ap)
{
	struct buf line = BUF_SECRET;
	enum err err = imapbox_connected(box);

	if (err)
		return err;
	server_begin(box->server, 0, bytes);
	box->literal_most = REPLY_KEPT_BYTES;
	buf_addf(&line, "a%u ", ++box->tag);
	buf_vaddf(&line, format, ap);
	buf_add_text(&line, "\r\n");
	err = imapbox_put(box, buf_bytes(&line));
	buf_free(&line);
	return err;
}

enum err imapbox_send(struct imapbox *box, size_t bytes, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	enum err err = send_formatted(box, bytes, format, ap);
	va_end(ap);
	return err;
}

static bool has_our_tag(const struct imapbox *box)
{
	char tag[16];

	(void)snprintf(tag, sizeof tag, "a%u ", box->tag);
	return strncasecmp(buf_text(&box->reply), tag, strlen(tag)) == 0;
}

enum err imapbox_conclude(struct imapbox *box, const struct imapbox_answer *answer)
{
	if (!has_our_tag(box))
		return odd(box);
	keep_code(box, answer->rest);
	if (imapbox_is(answer->word, "OK"))
		return learn_code(box, answer->rest);
	if (!imapbox_is(answer->word, "NO") && !imapbox_is(answer->word, "BAD"))
		return odd(box);
	char *words = words_of(answer->rest);
	enum err err = err_fail(ERR_TEMPORARY, "%s: %s", box->server->name, words);
	str_free(&words);
	return err;
}

enum err imapbox_finish(struct imapbox *box, imapbox_handler *handler, void *argument)
{
	struct imapbox_answer answer;
	enum err err;

	do {
		err = imapbox_take(box, &answer);
		if (!err && answer.kind != IMAPBOX_TAGGED && handler)
			err = handler(box, &answer, argument);
	} while (!err && answer.kind != IMAPBOX_TAGGED);
	if (!err)
		err = imapbox_conclude(box, &answer);
	if (box->reply.cap > REPLY_KEPT_BYTES)
		buf_free(&box->reply);
	return err;
}

enum err imapbox_command(struct imapbox *box, size_t bytes, imapbox_handler *handler,
    void *argument, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	enum err err = send_formatted(box, bytes, format, ap);
	va_end(ap);
	return err ? err : imapbox_finish(box, handler, argument);
}
