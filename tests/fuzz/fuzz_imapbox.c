/*
 * fuzz_imapbox: whatever an IMAP server answers, to a search, a fetch, the making of a folder, a move and
 * IDLE.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "mail/imapbox_internal.h"
#include "mail/server_link_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bytes left;

static ssize_t fake_read(mailstream_low *low, void *out, size_t len)
{
	(void)low;
	if (left.len == 0)
		return -1;
	len = len < left.len ? len : left.len;
	memcpy(out, left.data, len);
	left = bytes_of(left.data + len, left.len - len);
	return (ssize_t)len;
}

static ssize_t fake_write(mailstream_low *low, const void *in, size_t len)
{
	(void)low;
	(void)in;
	return (ssize_t)len;
}

static int fake_close(mailstream_low *low)
{
	(void)low;
	return 0;
}

static void fake_free(mailstream_low *low)
{
	free(low);
}

static mailstream_low_driver driver = { .mailstream_read = fake_read,
	.mailstream_write = fake_write,
	.mailstream_close = fake_close,
	.mailstream_free = fake_free };

static struct server *fake_server(void)
{
	struct server *server = mem_alloc(sizeof *server);

	server->name = str_dup("fuzz:143");
	server->link = mem_alloc(sizeof *server->link);
	server->link->fd = -1;
	server->stream = mailstream_new(mailstream_low_new(server, &driver), 64);
	return server;
}

/* Every mail that is given is no longer than was asked for, and no more are kept than fit. */
static void use(struct mailbox *mailbox)
{
	struct imapbox *box = mailbox->state;
	char **ids = NULL;
	size_t count = 0;
	int fd;
	int64_t within;
	bool news;

	if (driver_imap.list(mailbox, &ids, &count))
		return;
	for (size_t i = 0; i < count && i < 3; i++) {
		struct buf out = BUF_INIT;
		size_t whole = 0;
		if (!driver_imap.fetch(mailbox, ids[i], 100, &out, &whole))
			assert(out.len <= 100 && out.len <= whole);
		assert(box->ahead_count <= IMAPBOX_RANGE);
		buf_free(&out);
		(void)!driver_imap.settle(mailbox, ids[i], SETTLE_DONE);
	}
	if (!driver_imap.watch(mailbox, &fd, &within))
		(void)!driver_imap.drain(mailbox, &news);
	mailbox_list_free(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Nobody to connect to when the connection broke. */
	static const struct conf_mailbox conf = {
		.server = CONF_SERVER(""), .idle_seconds = 300, .timeout_seconds = 1
	};
	struct imapbox *box = mem_alloc(sizeof *box);
	struct mailbox mailbox = { .driver = &driver_imap, .conf = &conf, .state = box };

	left = bytes_of(data, size);
	*box = (struct imapbox){ .conf = &conf,
		.server = fake_server(),
		.validity = 1,
		.unsearched = true,
		.done = { "Done", NULL },
		.ignored = { "", NULL } };
	buf_add_text(&box->capabilities, size % 2 ? " IDLE MOVE NAMESPACE " : " UIDPLUS ");
	imapbox_renew_later(box);
	use(&mailbox);
	driver_imap.close(&mailbox);
	return 0;
}
