/* The security level (P7.2): cache times in a home's gpg-agent.conf, and the user's own kept for later. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "keys/keyring.h"

#define CONF_BYTES_MAX ((size_t)1 << 20)

static const char begin_mark[] =
    "# countersign: begin (change the level with \"countersign password\")";
static const char end_mark[] = "# countersign: end";
static const char kept_mark[] = "# before: ";

static bool is_option(struct bytes line, const char *option)
{
	size_t len = strlen(option);

	while (line.len && (*line.data == ' ' || *line.data == '\t'))
		line = bytes_of(line.data + 1, line.len - 1);
	return line.len > len && memcmp(line.data, option, len) == 0 &&
	       (line.data[len] == ' ' || line.data[len] == '\t');
}

static bool is_cache_time(struct bytes line)
{
	return is_option(line, "default-cache-ttl") || is_option(line, "max-cache-ttl");
}

static void add_line(struct buf *out, struct bytes line)
{
	buf_add(out, line.data, line.len);
	buf_add_byte(out, '\n');
}

/* The user's own file: without our lines, and with what they replaced put back. */
static void restore(struct bytes conf, struct buf *out)
{
	size_t kept_len = sizeof kept_mark - 1;
	struct bytes line;
	bool ours = false;

	while (bytes_line(&conf, &line)) {
		if (bytes_equal(line, bytes_of_text(begin_mark)))
			ours = true;
		else if (ours && bytes_equal(line, bytes_of_text(end_mark)))
			ours = false;
		else if (!ours)
			add_line(out, line);
		else if (line.len > kept_len && memcmp(line.data, kept_mark, kept_len) == 0)
			add_line(out, bytes_of(line.data + kept_len, line.len - kept_len));
	}
}

static void replace(struct bytes conf, int64_t default_ttl, int64_t max_ttl, struct buf *out)
{
	struct buf kept = BUF_INIT;
	struct bytes line;

	while (bytes_line(&conf, &line)) {
		if (is_cache_time(line)) {
			buf_add_text(&kept, kept_mark);
			add_line(&kept, line);
		} else {
			add_line(out, line);
		}
	}
	buf_addf(out, "%s\n%sdefault-cache-ttl %lld\nmax-cache-ttl %lld\n%s\n", begin_mark,
	    buf_text(&kept), (long long)default_ttl, (long long)max_ttl, end_mark);
	buf_free(&kept);
}

/* Behind a link of the user's making: the file that it names is changed. */
static char *conf_path_of(const char *home, mode_t *mode_out)
{
	char *path = path_join(home, "gpg-agent.conf"), *real = realpath(path, NULL);
	struct stat st;

	*mode_out = 0600;
	if (!real)
		return path;
	if (stat(real, &st) == 0)
		*mode_out = st.st_mode & 0777;
	str_free(&path);
	return real;
}

static enum err change(const char *home, const int64_t ttl[2])
{
	struct buf conf = BUF_INIT, own = BUF_INIT, changed = BUF_INIT;
	mode_t mode;
	char *path = conf_path_of(home, &mode);
	enum err err = ERR_OK;

	if (file_exists(path) && (err = file_read(path, CONF_BYTES_MAX, &conf)))
		goto out;
	restore(buf_bytes(&conf), &own);
	if (ttl)
		replace(buf_bytes(&own), ttl[0], ttl[1], &changed);
	else
		buf_add(&changed, own.data, own.len);
	if (!bytes_equal(buf_bytes(&changed), buf_bytes(&conf)))
		err = file_write(path, mode, buf_bytes(&changed));
out:
	buf_free(&conf);
	buf_free(&own);
	buf_free(&changed);
	str_free(&path);
	return err;
}

enum err level_write(const char *home, int64_t default_ttl_seconds, int64_t max_ttl_seconds)
{
	return change(home, (const int64_t[]){ default_ttl_seconds, max_ttl_seconds });
}

enum err level_clear(const char *home)
{
	return change(home, NULL);
}
