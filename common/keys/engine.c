/* The engine: gpg found and judged, the deadline, and the ends of its processes. */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/when.h"
#include "keys/internal.h"

#define CHILDREN_MAX 256
#define KILL_AGAIN_MS 20

/*
 * GPGME forks twice, so that gpg becomes an orphan: ours, as we are a subreaper. So we can find it, kill it, and learn how it ended.
 */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pid_t pid;                                /* whose thread runs; 0: none */
	unsigned deadline_seconds, armed_seconds; /* of all operations, of the one that runs */
	bool busy, overrun;
	int64_t due_ms;
	char version[32];
} engine = { .lock = PTHREAD_MUTEX_INITIALIZER };

unsigned engine_deadline(void)
{
	return engine.deadline_seconds;
}

const char *keyhome_engine_version(void)
{
	return engine.version;
}

const char *default_home(void)
{
	const char *home = getenv("GNUPGHOME");

	return home && *home ? home : gpgme_get_dirinfo("homedir");
}

static bool is_gpg(pid_t pid)
{
	char path[64], name[17] = "";
	ssize_t got;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return false;
	got = read(fd, name, sizeof name - 1);
	close(fd);
	return got == 4 && memcmp(name, "gpg\n", 4) == 0;
}

static size_t thread_children(const char *thread, pid_t *out, size_t max)
{
	char path[64];
	size_t count = 0;
	FILE *file;
	int pid;

	snprintf(path, sizeof path, "/proc/self/task/%.20s/children", thread);
	if (!(file = fopen(path, "re")))
		return 0;
	while (count < max && fscanf(file, "%d", &pid) == 1)
		if (is_gpg(pid))
			out[count++] = pid;
	fclose(file);
	return count;
}

/* Children of this process that are gpg, dead ones that nobody waited for included. */
static size_t gpg_children(pid_t out[CHILDREN_MAX])
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *entry;
	size_t count = 0;

	while (tasks && (entry = readdir(tasks)))
		if (entry->d_name[0] != '.')
			count += thread_children(entry->d_name, out + count, CHILDREN_MAX - count);
	if (tasks)
		closedir(tasks);
	return count;
}

static void wait_until(int64_t ms)
{
	struct timespec at = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	(void)pthread_cond_timedwait(&engine.changed, &engine.lock, &at);
}

/* With the lock held no child is waited for, so that no pid can have become somebody else's. */
static void kill_all_gpg(void)
{
	pid_t pids[CHILDREN_MAX];
	size_t count = gpg_children(pids);

	for (size_t i = 0; i < count; i++)
		(void)kill(pids[i], SIGKILL);
}

static void *watch(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&engine.lock);
	for (;;) {
		if (!engine.busy) {
			pthread_cond_wait(&engine.changed, &engine.lock);
		} else if (when_monotonic_ms() < engine.due_ms) {
			wait_until(engine.due_ms);
		} else {
			engine.overrun = true;
			kill_all_gpg();
			wait_until(when_monotonic_ms() + KILL_AGAIN_MS);
		}
	}
	return NULL;
}

static enum err watch_start(void)
{
	pthread_condattr_t attributes;
	sigset_t all, before;
	pthread_t thread;
	int fault;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&engine.changed, &attributes);
	pthread_condattr_destroy(&attributes);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	fault = pthread_create(&thread, NULL, watch, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (fault)
		return err_fail(ERR_SYSTEM, "cannot start a thread: %s", strerror(fault));
	pthread_detach(thread);
	engine.pid = getpid();
	return ERR_OK;
}

static enum err engine_find(void)
{
	gpgme_engine_info_t info;
	gpgme_error_t error;

	if (!gpgme_check_version("1.18.0"))
		return err_fail(ERR_UNAVAILABLE, "GPGME is older than 1.18.0");
	gpgme_set_locale(NULL, LC_CTYPE, setlocale(LC_CTYPE, NULL));
	gpgme_set_locale(NULL, LC_MESSAGES, setlocale(LC_MESSAGES, NULL));
	if ((error = gpgme_engine_check_version(GPGME_PROTOCOL_OpenPGP)) ||
	    (error = gpgme_get_engine_info(&info)))
		return err_fail(ERR_UNAVAILABLE, "gpg can't be used: %s", gpgme_strerror(error));
	while (info && info->protocol != GPGME_PROTOCOL_OpenPGP)
		info = info->next;
	snprintf(engine.version, sizeof engine.version, "%s", info ? info->version : "");
	return ERR_OK;
}

enum err keyhome_start(unsigned deadline_seconds)
{
	struct sigaction child;
	enum err err;

	engine.deadline_seconds = deadline_seconds;
	if (engine.pid == getpid())
		return ERR_OK;
	if ((err = engine_find()))
		return err;
	if (access("/proc/thread-self/children", R_OK) < 0)
		return err_fail(ERR_UNAVAILABLE,
		    "the children of a process can't be read from /proc: a gpg that hangs could not be ended");
	/* Inherited "ignore" would hide from us how gpg ended. */
	if (sigaction(SIGCHLD, NULL, &child) == 0 && child.sa_handler == SIG_IGN)
		(void)signal(SIGCHLD, SIG_DFL);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return err_fail(ERR_SYSTEM, "cannot become a subreaper: %s", strerror(errno));
	return watch_start();
}

static gpgme_error_t status_seen(void *hook, const char *keyword, const char *args)
{
	enum { STATUS_BYTES_MAX = 1 << 20 }; /* what is cut proves nothing */
	struct op *op = hook;

	if (keyword[0] && op->status.len < STATUS_BYTES_MAX)
		buf_addf(&op->status, "%s %s\n", keyword, args);
	return 0;
}

static gpgme_error_t password_wanted(
    void *hook, const char *uid_hint, const char *info, int was_bad, int fd)
{
	struct op *op = hook;
	struct bytes password = { 0 };

	(void)uid_hint;
	(void)info;
	if (was_bad)
		return gpgme_error(GPG_ERR_BAD_PASSPHRASE);
	if (op->password_count == 0)
		return gpgme_error(GPG_ERR_CANCELED);
	password =
	    op->passwords[op->asked < op->password_count ? op->asked : op->password_count - 1];
	op->asked++;
	if ((password.len && gpgme_io_writen(fd, password.data, password.len) < 0) ||
	    gpgme_io_writen(fd, "\n", 1) < 0)
		return gpgme_error_from_syserror();
	return 0;
}

static void op_use_loopback(struct op *op)
{
	gpgme_set_pinentry_mode(op->ctx, GPGME_PINENTRY_MODE_LOOPBACK);
	gpgme_set_passphrase_cb(op->ctx, password_wanted, op);
}

void op_use_pinentry(struct op *op)
{
	gpgme_set_pinentry_mode(op->ctx, GPGME_PINENTRY_MODE_DEFAULT);
	gpgme_set_passphrase_cb(op->ctx, NULL, NULL);
}

void op_use_password(struct op *op, struct bytes password)
{
	op->passwords[op->password_count++] = password;
	op_use_loopback(op);
}

enum err ctx_make(const char *path, gpgme_ctx_t *out)
{
	gpgme_error_t error;

	*out = NULL;
	if ((error = gpgme_new(out)) ||
	    (error = gpgme_ctx_set_engine_info(*out, GPGME_PROTOCOL_OpenPGP, NULL, path)) ||
	    (error = gpgme_set_ctx_flag(*out, "full-status", "1")) ||
	    (error = gpgme_set_ctx_flag(*out, "no-symkey-cache", "1")))
		return err_fail(ERR_SYSTEM, "GPGME can't be used: %s", gpgme_strerror(error));
	gpgme_set_offline(*out, 1);
	return ERR_OK;
}

void op_open(struct op *op, struct keyhome *home)
{
	assert(engine.pid == getpid() && !home->busy);
	*op = (struct op){ .ctx = home->ctx, .home = home };
	home->busy = true;
	gpgme_set_status_cb(op->ctx, status_seen, op);
	gpgme_signers_clear(op->ctx);
	gpgme_set_armor(op->ctx, 0);
	if (home->loopback)
		op_use_loopback(op);
	else
		op_use_pinentry(op);
	if (home->throw_away)
		gpgme_set_pinentry_mode(op->ctx, GPGME_PINENTRY_MODE_ERROR);
}

void op_close(struct op *op)
{
	gpgme_set_status_cb(op->ctx, NULL, NULL);
	gpgme_set_passphrase_cb(op->ctx, NULL, NULL);
	op->home->busy = false;
	buf_free(&op->status);
	*op = (struct op){ 0 };
}

void op_arm_for(unsigned most_seconds)
{
	pthread_mutex_lock(&engine.lock);
	engine.busy = true;
	engine.overrun = false;
	engine.armed_seconds =
	    most_seconds < engine.deadline_seconds ? most_seconds : engine.deadline_seconds;
	engine.due_ms = when_monotonic_ms() + (int64_t)engine.armed_seconds * 1000;
	pthread_cond_signal(&engine.changed);
	pthread_mutex_unlock(&engine.lock);
}

void op_arm(void)
{
	op_arm_for(engine.deadline_seconds);
}

/* The deadline still holds while gpg ends; it is seen dead first and waited for under the lock. */
static bool children_end(void)
{
	pid_t pids[CHILDREN_MAX];
	size_t count = gpg_children(pids);
	bool killed = false;

	for (size_t i = 0; i < count; i++) {
		siginfo_t info;
		int status = 0;

		while (waitid(P_PID, (id_t)pids[i], &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
			;
		pthread_mutex_lock(&engine.lock);
		if (waitpid(pids[i], &status, WNOHANG) == pids[i] && WIFSIGNALED(status))
			killed = true;
		pthread_mutex_unlock(&engine.lock);
	}
	return killed;
}

static bool op_disarm(struct op *op)
{
	bool overrun;

	op->killed = children_end();
	pthread_mutex_lock(&engine.lock);
	engine.busy = false;
	overrun = engine.overrun;
	pthread_mutex_unlock(&engine.lock);
	return overrun;
}

bool op_status(const struct op *op, const char *keyword, struct bytes *rest, struct bytes *args_out)
{
	struct bytes all = buf_bytes(&op->status), line;
	size_t len = strlen(keyword);

	if (!rest)
		rest = &all;
	while (bytes_line(rest, &line))
		if (line.len > len && memcmp(line.data, keyword, len) == 0 &&
		    line.data[len] == ' ') {
			*args_out = bytes_of(line.data + len + 1, line.len - len - 1);
			return true;
		}
	return false;
}

bool op_saw(const struct op *op, const char *keyword)
{
	struct bytes args;

	return op_status(op, keyword, NULL, &args);
}

enum err op_unproved(const char *what)
{
	return err_fail(ERR_TEMPORARY, "cannot %s: gpg did not finish it", what);
}

static enum err judge(const struct op *op, gpgme_error_t error, enum err otherwise)
{
	switch (gpgme_err_code(error)) {
	case GPG_ERR_NO_AGENT:
	case GPG_ERR_AGENT:
	case GPG_ERR_NO_PIN_ENTRY:
	case GPG_ERR_PIN_ENTRY:
	case GPG_ERR_ASS_CONNECT_FAILED:
	case GPG_ERR_ECONNREFUSED:
	case GPG_ERR_INV_ENGINE:
		return ERR_UNAVAILABLE;
	case GPG_ERR_UNUSABLE_PUBKEY:
		return ERR_DATA;
	case GPG_ERR_CANCELED:
	case GPG_ERR_FULLY_CANCELED:
	case GPG_ERR_BAD_PASSPHRASE:
	case GPG_ERR_NO_PASSPHRASE:
		return op->home->throw_away ? ERR_UNAVAILABLE : ERR_DENIED;
	case GPG_ERR_ENOSPC:
	case GPG_ERR_EDQUOT:
	case GPG_ERR_EAGAIN:
	case GPG_ERR_TIMEOUT:
		return ERR_TEMPORARY;
	case GPG_ERR_ENOMEM:
	case GPG_ERR_EMFILE:
	case GPG_ERR_ENFILE:
		return ERR_SYSTEM;
	default:
		return otherwise;
	}
}

/* What happens to people, in their words. */
static const char *reason_text(gpgme_error_t error, char *text, size_t size)
{
	switch (gpgme_err_code(error)) {
	case GPG_ERR_CANCELED:
	case GPG_ERR_FULLY_CANCELED:
		return "cancelled";
	case GPG_ERR_BAD_PASSPHRASE:
		return "the password is wrong";
	case GPG_ERR_NO_PASSPHRASE:
		return "no password was given";
	default:
		(void)gpgme_strerror_r(error, text, size);
		return text;
	}
}

enum err op_done(struct op *op, gpgme_error_t error, const char *what, enum err otherwise)
{
	char text[160];

	if (op_disarm(op))
		return err_fail(ERR_TEMPORARY, "cannot %s: gpg was not done after %u seconds", what,
		    engine.armed_seconds);
	if (op->killed)
		return err_fail(ERR_TEMPORARY, "cannot %s: gpg was killed", what);
	if (!error)
		return ERR_OK;
	return err_fail(judge(op, error, otherwise), "cannot %s: %s", what,
	    reason_text(error, text, sizeof text));
}

enum err data_from(struct bytes content, gpgme_data_t *out)
{
	const char *data = content.len ? (const char *)content.data : "";
	gpgme_error_t error = gpgme_data_new_from_mem(out, data, content.len, 0);

	return error ? err_fail(ERR_SYSTEM, "GPGME: %s", gpgme_strerror(error)) : ERR_OK;
}

static ssize_t sink_write(void *handle, const void *data, size_t size)
{
	struct sink *sink = handle;

	if (size > sink->max - sink->out->len) {
		sink->full = true;
		errno = EFBIG;
		return -1;
	}
	buf_add(sink->out, data, size);
	return (ssize_t)size;
}

enum err data_into(struct sink *sink, gpgme_data_t *out)
{
	static struct gpgme_data_cbs callbacks = { .write = sink_write };
	gpgme_error_t error = gpgme_data_new_from_cbs(out, &callbacks, sink);

	return error ? err_fail(ERR_SYSTEM, "GPGME: %s", gpgme_strerror(error)) : ERR_OK;
}
