#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

enum err sink_open(struct sink *sink, const char *path)
{
	sink->path = path;
	sink->made = path;
	sink->fd = path ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : STDOUT_FILENO;
	return sink->fd >= 0 ? ERR_OK
			     : err_fail(ERR_CREATE, "cannot make %s: %s", path, strerror(errno));
}

enum err sink_step(struct sink *sink)
{
	enum err e;

	if (sink->fd < 0 || !sink->waiting.len)
		return ERR_OK;
	sink->kept = sink->made ? lseek(sink->fd, 0, SEEK_CUR) : -1;
	e = file_write_fd(sink->fd, buf_bytes(&sink->waiting));
	buf_clear(&sink->waiting);
	if (!e && sink->made && fdatasync(sink->fd))
		e = err_fail(ERR_IO, "cannot write %s: %s", sink->path, strerror(errno));
	return e;
}

bool sink_undo(struct sink *sink)
{
	if (sink->fd < 0)
		return true;
	return sink->kept >= 0 && !ftruncate(sink->fd, sink->kept) &&
	       lseek(sink->fd, sink->kept, SEEK_SET) == sink->kept;
}

void sink_close(struct sink *sink)
{
	struct stat st;

	if (sink->fd >= 0 && sink->made) {
		if (!fstat(sink->fd, &st) && st.st_size == 0)
			(void)unlink(sink->path);
		close(sink->fd);
	}
	sink->fd = -1;
	buf_free(&sink->waiting);
}
