#include "client/reading.h"

#include <string.h>

#include "confine/confine.h"
#include "text/address.h"

static bool take_apart(struct bytes in, struct buf *out)
{
	const struct message_limits limits = {
		.mail_bytes = READING_BYTES_MAX, .header_bytes = 65536, .nesting = 20, .parts = 100
	};
	struct message message = { 0 };
	enum err e = message_parse(in, &limits, &message);

	if (e == ERR_OK)
		message_pack(&message, out);
	message_free(&message);
	return e == ERR_OK;
}

enum err reading_mail(struct bytes mail, struct message *out)
{
	const struct confine_limits limits = { .seconds = 10, .memory_bytes = (size_t)768 << 20 };
	struct buf packed = BUF_SECRET; /* a token may be in it */
	enum err e;

	memset(out, 0, sizeof(*out));
	e = confine_call(
	    take_apart, message_preload, mail, &limits, (size_t)4 * READING_BYTES_MAX, &packed);
	if (e == ERR_OK)
		e = message_unpack(buf_bytes(&packed), out);
	else if (e == ERR_DATA)
		e = err_fail(e, "this is no mail that can be understood");
	buf_free(&packed);
	return e;
}

char *reading_recipient(const struct message *message)
{
	struct bytes rest = buf_bytes(&message->headers), line;
	char *value, *address = NULL, *name = NULL;

	while (bytes_line(&rest, &line)) {
		if (line.len < 4 || !str_starts_case((const char *)line.data, "To:"))
			continue;
		value = str_ndup((const char *)line.data + 3, line.len - 3);
		if (user_id_split(value + strspn(value, " \t"), &name, &address) != ERR_OK)
			address = NULL;
		str_free(&name);
		str_free(&value);
		return address;
	}
	return NULL;
}
