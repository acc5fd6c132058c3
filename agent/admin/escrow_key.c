#include "escrow_key.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/wire.h"
#include "confine/confine.h"
#include "enroll/deposit.h"
#include "keys/agent.h"
#include "keys/deposit.h"
#include "keys/keyring.h"

#define FRAME_BYTES_MAX (8u << 20)
#define GPG_SECONDS 60
#define MEMORY "/dev/shm" /* tmpfs, and nobody but us can rename what we make there */

enum task { TASK_OPEN, TASK_RELEASE, TASK_CHECK, TASK_RESEAL, TASK_MAKE };

/* ---- records between the two processes: a length, then that many bytes ---- */

static enum err send_record(int fd, const struct buf *record)
{
	uint32_t len = (uint32_t)record->len;
	enum err e = file_write_fd(fd, bytes_of(&len, sizeof len));

	return e ? e : file_write_fd(fd, buf_bytes(record));
}

/* False at the end, and when the peer is gone. */
static bool read_exactly(int fd, uint8_t *to, size_t len)
{
	while (len > 0) {
		ssize_t n = read(fd, to, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		to += n;
		len -= (size_t)n;
	}
	return true;
}

static bool receive_record(int fd, struct buf *out)
{
	uint32_t len = 0;

	buf_clear(out);
	if (!read_exactly(fd, (uint8_t *)&len, sizeof len) || len > FRAME_BYTES_MAX ||
	    !read_exactly(fd, buf_reserve(out, len), len))
		return false;
	out->len = len;
	return true;
}

/* ---- the process ---- */

struct keeper {
	struct escrow *escrow;
};

static enum err serve_open(struct keeper *k, struct wire *w, struct buf *out)
{
	char *home = wire_text(w), *fingerprint = wire_text(w);
	bool given = wire_u8(w);
	struct bytes passphrase = wire_bytes(w);
	enum err e = wire_end(w);

	(void)out;
	if (!e)
		e = escrow_open(home, MEMORY, fingerprint, given ? &passphrase : NULL, &k->escrow);
	str_free(&home);
	str_free(&fingerprint);
	return e;
}

static enum err serve_release(struct keeper *k, struct wire *w, struct buf *out)
{
	struct bytes sealed = wire_bytes(w), key = wire_bytes(w), associated = wire_bytes(w);
	struct buf clear = BUF_SECRET;
	enum err e = wire_end(w);

	if (!e && key.len != RECOVERY_KEY_BYTES)
		e = err_fail(ERR_SOFTWARE, "a recovery key has a wrong size");
	if (!e && !(e = escrow_unseal(k->escrow, sealed, &clear)))
		recovery_seal(key.data, associated, buf_bytes(&clear), out);
	buf_free(&clear);
	return e;
}

static enum err serve_check(struct keeper *k, struct wire *w, struct buf *out)
{
	struct bytes sealed = wire_bytes(w), key = wire_bytes(w);
	char *fingerprint = wire_text(w);
	struct buf clear = BUF_SECRET;
	struct refusal why = { 0 };
	enum err e = wire_end(w);

	(void)out;
	if (!e && !(e = escrow_unseal(k->escrow, sealed, &clear)) &&
	    !deposit_check(buf_bytes(&clear), key, fingerprint, &why))
		e = err_fail(ERR_DATA, "it is not what was certified: %s", why.detail);
	buf_free(&clear);
	str_free(&fingerprint);
	return e;
}

static enum err serve_reseal(struct keeper *k, struct wire *w, struct buf *out)
{
	struct bytes sealed = wire_bytes(w), key = wire_bytes(w);
	char *fingerprint = wire_text(w);
	enum err e = wire_end(w);

	if (!e)
		e = escrow_reseal(k->escrow, sealed, key, fingerprint, out);
	str_free(&fingerprint);
	return e;
}

static enum err make_key(const char *path, const char *user_id, struct bytes passphrase,
    char fingerprint_out[41], struct buf *public_out)
{
	struct keyhome *home = NULL;
	pid_t agent = -1;
	enum err e;

	if (!(e = agent_prepare(path)) && !(e = agent_start(path, &agent)) &&
	    !(e = keyhome_open(path, true, &home)) &&
	    !(e = keyring_create_escrow(home, user_id, passphrase, fingerprint_out)))
		e = keyhome_export(home, fingerprint_out, public_out);
	keyhome_close(&home);
	if (agent > 0) {
		authority_stop_agent(path);
		while (waitpid(agent, NULL, 0) < 0 && errno == EINTR)
			;
	}
	return e;
}

static enum err serve_make(struct keeper *k, struct wire *w, struct buf *out)
{
	char *path = wire_text(w), *user_id = wire_text(w), fingerprint[41] = "";
	struct bytes passphrase = wire_bytes(w);
	struct buf public_key = BUF_INIT;
	enum err e = wire_end(w);

	(void)k;
	if (!e && file_exists(path))
		e = err_fail(ERR_CREATE, "%s exists already; name a new directory", path);
	if (!e && !(e = file_make_dir(path, 0700)))
		e = make_key(path, user_id, passphrase, fingerprint, &public_key);
	if (!e) {
		wire_put_text(out, fingerprint);
		wire_put_bytes(out, buf_bytes(&public_key));
	}
	buf_free(&public_key);
	str_free(&path);
	str_free(&user_id);
	return e;
}

static enum err serve(struct keeper *k, struct bytes record, struct buf *out)
{
	static enum err (*const tasks[])(struct keeper *, struct wire *, struct buf *) = {
		[TASK_OPEN] = serve_open,
		[TASK_RELEASE] = serve_release,
		[TASK_CHECK] = serve_check,
		[TASK_RESEAL] = serve_reseal,
		[TASK_MAKE] = serve_make,
	};
	struct wire w = wire_open(record);
	uint8_t task = wire_u8(&w);

	if (task >= sizeof tasks / sizeof *tasks ||
	    (!k->escrow && task != TASK_OPEN && task != TASK_MAKE))
		return err_fail(ERR_SOFTWARE, "the escrow key is not open");
	return tasks[task](k, &w, out);
}

static void wake(int signal)
{
	(void)signal;
}

/* Ctrl-C is for the command; this process ends with it, and not before its key home is gone. What it starts gets signals as ever. */
static void outlive_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction action = { .sa_handler = wake, .sa_flags = SA_RESTART };

	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		sigaction(signals[i], &action, NULL);
}

_Noreturn static void keep(int fd)
{
	struct keeper k = { 0 };
	struct buf record = BUF_SECRET, out = BUF_SECRET, answer = BUF_SECRET;
	enum err start;

	outlive_signals();
	confine_descriptors(&fd, 1);
	start = keyhome_start(GPG_SECONDS);
	while (receive_record(fd, &record)) {
		enum err e = start ? start : serve(&k, buf_bytes(&record), &out);

		buf_clear(&answer);
		wire_put_u8(&answer, (uint8_t)e);
		wire_put_text(&answer, e ? err_text() : NULL);
		wire_put_bytes(&answer, buf_bytes(&out));
		buf_clear(&out);
		if (send_record(fd, &answer))
			break;
	}
	escrow_close(&k.escrow);
	_exit(0);
}

/* ---- who asks it ---- */

struct escrow_key {
	int fd;
	pid_t pid;
	const char *home;
	bool given, open;
	struct buf passphrase;
};

static enum err start_process(struct escrow_key *key)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return err_fail(ERR_SYSTEM, "cannot make a socket: %s", strerror(errno));
	key->pid = fork();
	if (key->pid == 0)
		keep(ends[1]);
	close(ends[1]);
	key->fd = ends[0];
	return key->pid > 0 ? ERR_OK
			    : err_fail(ERR_SYSTEM, "cannot start a process: %s", strerror(errno));
}

enum err escrow_key_start(const struct escrow_options *options, struct escrow_key **out)
{
	struct escrow_key *key = mem_alloc(sizeof *key);
	enum err e = ERR_OK;

	*key = (struct escrow_key){ .fd = -1,
		.home = options->home,
		.given = options->passphrase_file,
		.passphrase = BUF_SECRET };
	if (key->given)
		e = file_read_secret(options->passphrase_file, &key->passphrase);
	if (!e)
		e = start_process(key);
	if (e)
		escrow_key_stop(&key);
	*out = key;
	return e;
}

static enum err judge(const struct buf *answer, struct buf *out)
{
	struct wire w = wire_open(buf_bytes(answer));
	enum err e = (enum err)wire_u8(&w);
	char *text = wire_text(&w);
	struct bytes result = wire_bytes(&w);

	if (wire_end(&w))
		e = err_fail(ERR_SOFTWARE, "the process with the escrow key gave no answer");
	else if (e)
		e = err_fail(e, "%s", text ? text : "the escrow key can't be used");
	else
		buf_add(out, result.data, result.len);
	str_free(&text);
	return e;
}

/* Sends `record` and frees it. */
static enum err ask(struct escrow_key *key, struct buf *record, struct buf *out)
{
	struct buf answer = BUF_SECRET;
	enum err e = send_record(key->fd, record);

	if (!e && !receive_record(key->fd, &answer))
		e = err_fail(ERR_UNAVAILABLE, "the process with the escrow key is gone");
	if (!e)
		e = judge(&answer, out);
	buf_free(&answer);
	buf_free(record);
	return e;
}

enum err escrow_key_open(struct escrow_key *key, const char *configured, const char *fingerprint)
{
	struct buf record = BUF_SECRET, nothing = BUF_INIT;
	enum err e;

	if (key->open)
		return ERR_OK;
	wire_put_u8(&record, TASK_OPEN);
	wire_put_text(&record, key->home ? key->home : configured);
	wire_put_text(&record, fingerprint);
	wire_put_u8(&record, key->given);
	wire_put_bytes(&record, buf_bytes(&key->passphrase));
	e = ask(key, &record, &nothing);
	key->open = !e;
	if (key->open)
		buf_clear(&key->passphrase);
	buf_free(&nothing);
	return e;
}

enum err escrow_key_release(struct escrow_key *key, struct bytes sealed,
    const uint8_t recovery_key[RECOVERY_KEY_BYTES], struct bytes associated, struct buf *out)
{
	struct buf record = BUF_SECRET;

	wire_put_u8(&record, TASK_RELEASE);
	wire_put_bytes(&record, sealed);
	wire_put_bytes(&record, bytes_of(recovery_key, RECOVERY_KEY_BYTES));
	wire_put_bytes(&record, associated);
	return ask(key, &record, out);
}

enum err escrow_key_check(struct escrow_key *key, struct bytes sealed, struct bytes public_key,
    const char *encryption_fingerprint)
{
	struct buf record = BUF_INIT, nothing = BUF_INIT;
	enum err e;

	wire_put_u8(&record, TASK_CHECK);
	wire_put_bytes(&record, sealed);
	wire_put_bytes(&record, public_key);
	wire_put_text(&record, encryption_fingerprint);
	e = ask(key, &record, &nothing);
	buf_free(&nothing);
	return e;
}

enum err escrow_key_reseal(struct escrow_key *key, struct bytes sealed, struct bytes new_key,
    const char *new_fingerprint, struct buf *out)
{
	struct buf record = BUF_INIT;

	wire_put_u8(&record, TASK_RESEAL);
	wire_put_bytes(&record, sealed);
	wire_put_bytes(&record, new_key);
	wire_put_text(&record, new_fingerprint);
	return ask(key, &record, out);
}

enum err escrow_key_make(struct escrow_key *key, const char *home, const char *user_id,
    struct bytes passphrase, char fingerprint_out[41], struct buf *public_out)
{
	struct buf record = BUF_SECRET, out = BUF_INIT;
	char *fingerprint = NULL;
	enum err e;

	wire_put_u8(&record, TASK_MAKE);
	wire_put_text(&record, home);
	wire_put_text(&record, user_id);
	wire_put_bytes(&record, passphrase);
	if (!(e = ask(key, &record, &out))) {
		struct wire w = wire_open(buf_bytes(&out));
		struct bytes public_key;

		fingerprint = wire_text(&w);
		public_key = wire_bytes(&w);
		if (!(e = wire_end(&w)) && fingerprint && strlen(fingerprint) == 40) {
			memcpy(fingerprint_out, fingerprint, 41);
			buf_add(public_out, public_key.data, public_key.len);
		}
	}
	str_free(&fingerprint);
	buf_free(&out);
	return e;
}

void escrow_key_stop(struct escrow_key **key)
{
	struct escrow_key *k = *key;

	if (!k)
		return;
	if (k->fd >= 0)
		close(k->fd);
	while (k->pid > 0 && waitpid(k->pid, NULL, 0) < 0 && errno == EINTR)
		;
	buf_free(&k->passphrase);
	free(k);
	*key = NULL;
}
