/* gpg's own dialogue about a key (--edit-key), for what no other call of GPGME does. */
#include <string.h>

#include "keys/internal.h"

#define ANSWERS_MAX 32

struct dialogue {
	const char *command;
	const struct edit_answer *answers;
	bool ordered;
	bool used[ANSWERS_MAX];
};

/* The first answer to this question that was not given yet, else the last one. */
static const char *next_answer(struct dialogue *d, const char *question)
{
	const char *answer = NULL;

	for (size_t i = 0; i < ANSWERS_MAX && d->answers[i].question; i++) {
		if (!str_equal(question, d->answers[i].question))
			continue;
		answer = d->answers[i].answer;
		if (!d->used[i]) {
			d->used[i] = true;
			break;
		}
	}
	return answer;
}

static const char *answer_to(struct dialogue *d, const char *question)
{
	if (!str_equal(question, "keyedit.prompt"))
		return next_answer(d, question);
	if (d->ordered)
		return "save";
	d->ordered = true;
	return d->command;
}

static gpgme_error_t converse(void *hook, const char *keyword, const char *args, int fd)
{
	const char *answer;

	if (fd < 0 || !str_starts(keyword, "GET_"))
		return 0;
	answer = answer_to(hook, args);
	if (!answer || gpgme_io_writen(fd, answer, strlen(answer)) < 0 ||
	    gpgme_io_writen(fd, "\n", 1) < 0)
		return gpgme_error(GPG_ERR_GENERAL);
	return 0;
}

enum err key_edit(struct keyhome *home, const char *signer, gpgme_key_t key, const char *command,
    const struct edit_answer *answers, const char *what)
{
	struct dialogue dialogue = { .command = command, .answers = answers };
	struct buf transcript = BUF_INIT;
	struct sink sink = { .out = &transcript, .max = SIZE_MAX };
	gpgme_data_t data = NULL;
	struct op op;
	enum err err;

	if ((err = signer_find(home, signer)))
		return err;
	op_open(&op, home);
	if ((err = op_sign_by(&op)) || (err = data_into(&sink, &data)))
		goto out;
	op_arm();
	err = op_done(&op, gpgme_op_interact(op.ctx, key, 0, converse, &dialogue, data), what,
	    ERR_UNAVAILABLE);
out:
	gpgme_data_release(data);
	buf_free(&transcript);
	op_close(&op);
	return err;
}
