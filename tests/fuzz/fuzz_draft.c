/*
 * Drafts quote strangers. Whatever the bytes: filling without words changes nothing but Bcc and the
 * like, and doing it twice changes nothing more; filling with words puts the attachment in.
 */
#include <stdlib.h>
#include <string.h>

#include "mail/draft.h"
#include "secret/secret.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds) {
		abort();
	}
}

static void fill_twice(struct bytes draft)
{
	struct buf once = BUF_INIT, twice = BUF_INIT;
	struct bytes none = bytes_of(NULL, 0);
	must(draft_fill(draft, NULL, 0, none, &once) == ERR_OK);
	must(once.len <= draft.len + strlen("\r\nMIME-Version: 1.0\r\n\r\n"));
	/* Not where only Bcc made it a mail, or the header ends in the middle of a line. */
	bool whole = draft.data[draft.len - 1] == '\n';
	if (whole && draft_fill(buf_bytes(&once), NULL, 0, none, &twice) == ERR_OK) {
		must(bytes_equal(buf_bytes(&once), buf_bytes(&twice)));
	}
	buf_free(&twice);
	buf_free(&once);
}

static void fill_words(struct bytes draft)
{
	static const struct draft_word words[] = { { "TOKEN", "7K2QX-9MDTR-4WPZC-HN3VA-6B8YE" },
		{ "ADDRESS", "alice@example.org" } };
	static const char card[] = "Content-Type: application/pgp-keys\r\n\r\nunlikely-enough\r\n";
	struct buf out = BUF_INIT;
	must(draft_fill(draft, words, 2, bytes_of_text(card), &out) == ERR_OK);
	must(bytes_find(buf_bytes(&out), bytes_of_text("unlikely-enough")) != NULL);
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool started;
	struct draft_facts facts;
	struct bytes draft = bytes_of(data, size);
	if (!started) {
		secret_start();
		started = true;
	}
	if (draft_inspect(draft, &facts) == ERR_OK) {
		fill_twice(draft);
		fill_words(draft);
	}
	draft_facts_free(&facts);
	return 0;
}
