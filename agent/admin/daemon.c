#include "daemon.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"

#define STATUS_BYTES_MAX (1u << 20)
#define FIELDS 8

static enum err read_line(char *line, struct daemon_line *out)
{
	char *fields[FIELDS] = { NULL };
	size_t count = 0;
	int64_t *numbers[FIELDS] = {
		[1] = &out->number, [3] = &out->since, [4] = &out->next_try, [5] = &out->waiting
	};
	enum err e = ERR_OK;

	for (char *field; count < FIELDS && (field = strsep(&line, "\t"));)
		fields[count++] = field;
	for (size_t i = 0; i < FIELDS && count == FIELDS && !e; i++)
		if (numbers[i])
			e = str_to_int(fields[i], INT64_MIN, INT64_MAX, numbers[i]);
	if (e || count < FIELDS)
		return err_fail(
		    ERR_DATA, "countersignd is of another version than this command; restart it");
	out->role = fields[0];
	out->state = fields[2];
	out->server = fields[6];
	out->why = fields[7];
	return ERR_OK;
}

enum err daemon_status_read(const struct conf *conf, struct daemon_status *out)
{
	char *path = path_join(conf->authority.runtime_directory, "status"), *rest, *line;
	struct buf text = BUF_INIT;
	enum err e = ERR_OK;

	*out = (struct daemon_status){ 0 };
	if (!file_exists(path))
		goto out;
	if ((e = file_read(path, STATUS_BYTES_MAX, &text)))
		goto out;
	rest = out->text = buf_take_text(&text);
	out->summary = strsep(&rest, "\n");
	while (!e && (line = strsep(&rest, "\n")) && *line) {
		out->lines = mem_array(out->lines, out->count + 1, sizeof *out->lines);
		e = read_line(line, &out->lines[out->count++]);
	}
out:
	buf_free(&text);
	str_free(&path);
	return e;
}

void daemon_status_free(struct daemon_status *status)
{
	str_free(&status->text);
	free(status->lines);
	*status = (struct daemon_status){ 0 };
}

const struct daemon_line *daemon_status_of(
    const struct daemon_status *status, const char *mailbox_url)
{
	const char *role = mailbox_url ? "intake" : "sender";

	for (size_t i = 0; i < status->count; i++)
		if (str_equal(status->lines[i].role, role) &&
		    (!mailbox_url || str_equal(status->lines[i].server, mailbox_url)))
			return &status->lines[i];
	return NULL;
}
