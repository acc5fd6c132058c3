/* gpg-agent: configured, started, unlocked, asked. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/proc.h"
#include "base/when.h"
#include "keys/agent.h"
#include "keys/internal.h"

#define PASSPHRASE_BYTES_MAX 400 /* its hexadecimal form fits an Assuan line */
#define GRIP_DIGITS 40
#define STOP_MS 3000
#define ANSWER_SECONDS 5

extern char **environ;

enum err agent_socket(const char *home, char **out)
{
	char *argv[] = { "gpgconf", "--homedir", str_dup(home), "--list-dirs", "agent-socket",
		NULL };
	struct buf text = BUF_INIT;
	struct bytes rest, line;
	enum err err;
	int status;

	*out = NULL;
	err = proc_run(argv, bytes_of(NULL, 0), engine_deadline(), &text, NULL, &status);
	rest = buf_bytes(&text);
	if (!err && (status || !bytes_line(&rest, &line) || line.len == 0 || line.data[0] != '/'))
		err = err_fail(
		    ERR_UNAVAILABLE, "gpgconf does not say where the agent of %s listens", home);
	if (!err && line.len >= sizeof((struct sockaddr_un *)NULL)->sun_path)
		err = err_fail(ERR_CONFIG,
		    "the path of %s is too long: the agent's socket must have at most %zu bytes",
		    home, sizeof((struct sockaddr_un *)NULL)->sun_path - 1);
	if (!err)
		*out = str_ndup((const char *)line.data, line.len);
	buf_free(&text);
	str_free(&argv[2]);
	return err;
}

void socket_remove(const char *home, const char *path)
{
	char *argv[] = { "gpgconf", "--homedir", str_dup(home), "--remove-socketdir", NULL };
	struct buf ignored = BUF_INIT;
	size_t len = strlen(home);
	enum err err = ERR_OK;
	int status;

	(void)unlink(path);
	if (!str_starts(path, home) || path[len] != '/')
		err = proc_run(argv, bytes_of(NULL, 0), engine_deadline(), NULL, &ignored, &status);
	(void)err; /* an empty directory of a session stays */
	buf_free(&ignored);
	str_free(&argv[2]);
}

static enum err talk(
    const char *home, bool may_start, unsigned seconds, const struct buf *lines, struct buf *answer)
{
	char *argv[] = { "gpg-connect-agent", "--homedir", str_dup(home),
		may_start ? NULL : "--no-autostart", NULL };
	struct buf errors = BUF_INIT;
	size_t before = answer->len;
	enum err err;
	int status;

	err = proc_run(argv, buf_bytes(lines), seconds, answer, &errors, &status);
	if (err == ERR_TEMPORARY)
		err = err_fail(ERR_TEMPORARY, "the gpg-agent of %s did not answer", home);
	else if (!err && answer->len == before)
		err = err_fail(ERR_UNAVAILABLE, "no gpg-agent runs for %s", home);
	buf_free(&errors);
	str_free(&argv[2]);
	return err;
}

enum err agent_talk(const char *home, bool may_start, const struct buf *lines, struct buf *answer)
{
	return talk(home, may_start, engine_deadline(), lines, answer);
}

static bool is_word(struct bytes line, const char *word)
{
	size_t len = strlen(word);

	return line.len >= len && memcmp(line.data, word, len) == 0 &&
	       (line.len == len || line.data[len] == ' ');
}

static gpgme_error_t error_of(struct bytes line)
{
	/* "ERR NUMBER TEXT"; the line is inside a buf, so a NUL or newline ends the number */
	gpgme_error_t error = (gpgme_error_t)strtoul((const char *)line.data + 3, NULL, 10);

	return error ? error : gpgme_error(GPG_ERR_GENERAL);
}

gpgme_error_t assuan_last(const struct buf *answer, struct bytes *text_out)
{
	struct bytes rest = buf_bytes(answer), line;
	gpgme_error_t error = gpgme_error(GPG_ERR_NO_DATA);

	while (bytes_line(&rest, &line)) {
		if (is_word(line, "ERR")) {
			error = error_of(line);
		} else if (is_word(line, "OK")) {
			error = 0;
			if (text_out)
				*text_out = line.len > 3 ? bytes_of(line.data + 3, line.len - 3)
							 : bytes_of(NULL, 0);
		}
	}
	return error;
}

enum err assuan_check(const struct buf *answer, const char *what)
{
	struct bytes rest = buf_bytes(answer), line;

	while (bytes_line(&rest, &line))
		if (is_word(line, "ERR"))
			return err_fail(
			    ERR_UNAVAILABLE, "cannot %s: %s", what, gpgme_strerror(error_of(line)));
	return ERR_OK;
}

void assuan_add_escaped(struct buf *out, const char *text)
{
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (*c == ' ')
			buf_add_byte(out, '+');
		else if (*c < ' ' || strchr("%+\"", *c) || *c == 0x7f)
			buf_addf(out, "%%%02X", *c);
		else
			buf_add_byte(out, *c);
	}
}

static const char agent_conf[] = "# Nothing here ever asks a person.\n"
				 "pinentry-program /bin/false\n"
				 "allow-preset-passphrase\n"
				 "default-cache-ttl 2000000000\n"
				 "max-cache-ttl 2000000000\n"
				 "no-allow-external-cache\n";

/* Otherwise each use of a key whose passphrase is cached takes as long as one guess: a third of a second. */
static const char agent_daily_conf[] = "s2k-count 1048576\n";

static const char gpg_conf[] = "no-autostart\n"
			       "charset utf-8\n"
			       "disable-dirmngr\n"
			       "no-auto-key-retrieve\n"
			       "no-auto-key-locate\n"
			       "cert-digest-algo SHA512\n"
			       "personal-digest-preferences SHA512 SHA384 SHA256\n";

static enum err agent_conf_write(const char *home, bool daily)
{
	struct buf conf = BUF_INIT;
	enum err err;

	buf_addf(&conf, "%s%s", agent_conf, daily ? agent_daily_conf : "");
	err = home_write(home, "gpg-agent.conf", buf_bytes(&conf));
	buf_free(&conf);
	return err;
}

enum err agent_prepare(const char *home)
{
	char *socket_path = NULL;
	enum err err;

	if ((err = file_make_dir(home, 0700)) || (err = agent_socket(home, &socket_path)) ||
	    (err = home_clear_locks(home)) || (err = agent_conf_write(home, true)))
		goto out;
	err = home_write(home, "gpg.conf", bytes_of_text(gpg_conf));
out:
	str_free(&socket_path);
	return err;
}

enum err agent_harden(const char *home)
{
	enum err err = agent_conf_write(home, false);

	return err ? err : agent_reload(home);
}

/* The agent's pid, or 0. */
static pid_t agent_pid(const char *home)
{
	struct buf lines = BUF_INIT, answer = BUF_INIT;
	int64_t pid = 0;

	buf_add_text(&lines, "GETINFO pid\n");
	if (agent_talk(home, false, &lines, &answer) || !str_starts(buf_text(&answer), "D "))
		pid = 0;
	else
		pid = strtol(buf_text(&answer) + 2, NULL, 10);
	buf_free(&lines);
	buf_free(&answer);
	return pid > 1 ? (pid_t)pid : 0;
}

bool agent_running(const char *home)
{
	return agent_pid(home) != 0;
}

static enum err listen_at(const char *path, int *fd_out)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	mode_t mask = umask(0077);
	enum err err = ERR_OK;

	memcpy(address.sun_path, path, strlen(path)); /* agent_socket saw to its length */
	(void)unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
	    listen(fd, SOMAXCONN) < 0)
		err = err_fail(ERR_UNAVAILABLE, "cannot listen at %s: %s", path, strerror(errno));
	(void)umask(mask);
	if (err && fd >= 0)
		close(fd);
	*fd_out = err ? -1 : fd;
	return err;
}

/* The environment of the child, made before the fork; the last digits are filled in after it. */
struct child_env {
	char **list;
	char pid[32];
};

static void child_env_make(struct child_env *env)
{
	static char fds[] = "LISTEN_FDS=1", names[] = "LISTEN_FDNAMES=std";
	size_t count = 0;

	while (environ[count])
		count++;
	env->list = mem_array(NULL, count + 4, sizeof *env->list);
	count = 0;
	for (char **e = environ; *e; e++)
		if (!str_starts(*e, "LISTEN_"))
			env->list[count++] = *e;
	env->list[count++] = fds;
	env->list[count++] = names;
	env->list[count++] = env->pid;
	env->list[count] = NULL;
}

static void pid_write(char out[32], pid_t pid)
{
	static const char name[] = "LISTEN_PID=";
	char digits[12];
	size_t count = 0, at = sizeof name - 1;

	for (; pid > 0; pid /= 10)
		digits[count++] = (char)('0' + pid % 10);
	memcpy(out, name, at);
	while (count > 0)
		out[at++] = digits[--count];
	out[at] = '\0';
}

/* Only async-signal-safe calls from here to exec. It dies with us, and ^C at our terminal is not for it. */
_Noreturn static void child_start(
    char *const argv[], struct child_env *env, int socket_fd, pid_t parent)
{
	sigset_t none;
	int null;

	(void)setsid();
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a stopped one too; its keys are on disk */
	if (getppid() != parent)
		_exit(1);
	socket_fd = fcntl(socket_fd, F_DUPFD, 3);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 ||
	    (socket_fd != 3 && dup2(socket_fd, 3) < 0) || close_range(4, UINT_MAX, 0) < 0)
		_exit(1);
	for (int number = 1; number < NSIG; number++)
		(void)signal(number, SIG_DFL);
	/* Supervised it forgets this itself, and a client that is gone would end it. */
	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	pid_write(env->pid, getpid());
	execvpe(argv[0], argv, env->list);
	_exit(127);
}

static enum err spawn(const char *home, int socket_fd, pid_t *pid_out)
{
	char *argv[] = { "gpg-agent", "--homedir", str_dup(home), "--supervised", NULL };
	struct child_env env;
	pid_t parent = getpid(), pid;

	child_env_make(&env);
	pid = fork();
	if (pid == 0)
		child_start(argv, &env, socket_fd, parent);
	free(env.list);
	str_free(&argv[2]);
	if (pid < 0)
		return err_fail(ERR_SYSTEM, "cannot start gpg-agent: %s", strerror(errno));
	*pid_out = pid;
	return ERR_OK;
}

/* "--supervised" is its only way to stay in the foreground; it then takes the listening socket from us. */
enum err agent_spawn(const char *home, char **socket_out, pid_t *pid_out)
{
	int socket_fd = -1;
	pid_t pid = 0;
	enum err err;

	*pid_out = 0;
	if ((err = agent_socket(home, socket_out)) || (err = listen_at(*socket_out, &socket_fd)))
		return err;
	err = spawn(home, socket_fd, &pid);
	close(socket_fd);
	if (!err && agent_pid(home) != pid) {
		err = err_fail(ERR_UNAVAILABLE, "gpg-agent for %s did not start", home);
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
	}
	if (!err)
		*pid_out = pid;
	return err;
}

enum err agent_start(const char *home, pid_t *pid_out)
{
	char *path = NULL;
	enum err err;

	*pid_out = 0;
	if (agent_running(home))
		return err_fail(ERR_UNAVAILABLE, "a gpg-agent for %s runs already", home);
	err = agent_spawn(home, &path, pid_out);
	str_free(&path);
	return err;
}

void agent_stop(const char *home)
{
	struct buf lines = BUF_INIT, answer = BUF_INIT;
	int64_t until = when_monotonic_ms() + STOP_MS;
	pid_t pid = agent_pid(home);
	char *path = NULL;
	enum err err = ERR_OK;

	if (!pid)
		return;
	buf_add_text(&lines, "KILLAGENT\n");
	err = agent_talk(home, false, &lines, &answer);
	while (agent_running(home) && when_monotonic_ms() < until)
		(void)usleep(10000);
	if (err || when_monotonic_ms() >= until)
		(void)kill(pid, SIGKILL);
	if (!(err = agent_socket(home, &path)))
		socket_remove(home, path);
	str_free(&path);
	buf_free(&lines);
	buf_free(&answer);
}

enum err agent_reload(const char *home)
{
	struct buf lines = BUF_INIT, answer = BUF_INIT;
	enum err err = ERR_OK;

	buf_add_text(&lines, "RELOADAGENT\n");
	if (agent_running(home) && !(err = agent_talk(home, false, &lines, &answer)))
		err = assuan_check(&answer, "make gpg-agent read its configuration");
	buf_free(&lines);
	buf_free(&answer);
	return err;
}

/* One line of KEYINFO: "S KEYINFO GRIP TYPE SERIAL ID CACHED PROTECTION …". */
struct key_line {
	char grip[GRIP_DIGITS + 1];
	bool cached, clear, protected;
};

static bool key_line_read(struct bytes line, struct key_line *out)
{
	char type[4], serial[64], id[64], cached[4], protection[4];
	char *text = str_ndup((const char *)line.data, line.len);
	int fields = sscanf(text, "S KEYINFO %40s %3s %63s %63s %3s %3s", out->grip, type, serial,
	    id, cached, protection);

	str_free(&text);
	if (fields != 6)
		return false;
	out->cached = str_equal(cached, "1");
	out->clear = str_equal(protection, "C") || str_equal(type, "T");
	out->protected = str_equal(protection, "P");
	return true;
}

/* Quick work for an agent that can work. */
static enum err key_lines(const char *home, struct buf *answer)
{
	unsigned most = engine_deadline();
	struct buf lines = BUF_INIT;
	enum err err;

	buf_add_text(&lines, "KEYINFO --list\n");
	if (!(err = talk(
		  home, false, most < ANSWER_SECONDS ? most : ANSWER_SECONDS, &lines, answer)))
		err = assuan_check(answer, "list the agent's keys");
	buf_free(&lines);
	return err;
}

enum err agent_check(const char *home)
{
	struct buf answer = BUF_INIT;
	struct bytes rest, line;
	struct key_line key;
	size_t count = 0;
	enum err err = key_lines(home, &answer);

	rest = buf_bytes(&answer);
	while (!err && bytes_line(&rest, &line))
		if (key_line_read(line, &key)) {
			count++;
			if (!key.clear && !key.cached)
				err = err_fail(ERR_UNAVAILABLE,
				    "the keys in %s wait for their passphrase", home);
		}
	if (!err && count == 0)
		err = err_fail(ERR_UNAVAILABLE, "there is no secret key in %s", home);
	buf_free(&answer);
	return err;
}

enum err agent_protected(const char *home)
{
	struct buf answer = BUF_INIT;
	struct bytes rest, line;
	struct key_line key;
	size_t count = 0;
	enum err err = key_lines(home, &answer);

	rest = buf_bytes(&answer);
	while (!err && bytes_line(&rest, &line))
		if (key_line_read(line, &key)) {
			count++;
			if (!key.protected)
				err = err_fail(ERR_DENIED,
				    "a secret key in %s is not protected by a passphrase", home);
		}
	if (!err && count == 0)
		err = err_fail(ERR_DENIED, "there is no secret key in %s", home);
	buf_free(&answer);
	return err;
}

/* Asked for one by one: "--list" gives up at the first file that is corrupt. What is not there has no line. */
static enum err check_protection(const char *home, const struct buf *lines, bool wanted)
{
	struct buf answer = BUF_INIT;
	struct bytes rest, line;
	struct key_line info;
	enum err err = agent_talk(home, true, lines, &answer);

	rest = buf_bytes(&answer);
	while (!err && bytes_line(&rest, &line))
		if (key_line_read(line, &info) && info.protected != wanted)
			err = err_fail(ERR_SOFTWARE, "a secret key in %s is %s", home,
			    wanted ? "not protected by the password" : "still protected");
	buf_free(&answer);
	return err;
}

enum err agent_check_protection(const char *home, const char *keygrip, bool wanted)
{
	struct buf lines = BUF_INIT;
	enum err err;

	buf_addf(&lines, "KEYINFO %s\n", keygrip);
	err = check_protection(home, &lines, wanted);
	buf_free(&lines);
	return err;
}

enum err agent_check_protected(const char *home, gpgme_key_t key, bool wanted)
{
	struct buf lines = BUF_INIT;
	enum err err;

	for (gpgme_subkey_t s = key->subkeys; s; s = s->next)
		buf_addf(&lines, "KEYINFO %s\n", s->keygrip);
	err = check_protection(home, &lines, wanted);
	buf_free(&lines);
	return err;
}

enum err agent_forget_key(const char *home, const char *keygrip)
{
	struct buf lines = BUF_INIT, answer = BUF_INIT;
	enum err err;

	buf_addf(&lines, "DELETE_KEY --force %s\n", keygrip);
	err = agent_talk(home, true, &lines, &answer);
	if (!err && gpgme_err_code(assuan_last(&answer, NULL)) != GPG_ERR_NO_SECKEY)
		err = assuan_check(&answer, "replace a secret key");
	buf_free(&lines);
	buf_free(&answer);
	return err;
}

enum err agent_preset(const char *home, const char *keygrip, struct bytes password)
{
	struct buf lines = BUF_SECRET, answer = BUF_INIT;
	enum err err;

	buf_addf(&lines, "PRESET_PASSPHRASE %s -1 ", keygrip);
	hex_add(&lines, password);
	buf_add_byte(&lines, '\n');
	if (!(err = agent_talk(home, false, &lines, &answer)))
		err = assuan_check(&answer, "give the passphrase to gpg-agent");
	buf_free(&lines);
	buf_free(&answer);
	return err;
}

/* The same command for each key; `argument` may be NULL. */
static enum err for_each_key(
    const char *home, const char *command, const struct buf *argument, const char *what)
{
	struct buf keys = BUF_INIT, lines = BUF_SECRET, answer = BUF_INIT;
	struct bytes rest, line;
	struct key_line key;
	enum err err;

	if ((err = key_lines(home, &keys)))
		goto out;
	rest = buf_bytes(&keys);
	while (bytes_line(&rest, &line))
		if (key_line_read(line, &key))
			buf_addf(&lines, "%s %s%s%s\n", command, key.grip, argument ? " -1 " : "",
			    argument ? buf_text(argument) : "");
	if (lines.len == 0)
		err = err_fail(ERR_UNAVAILABLE, "there is no secret key in %s", home);
	else if (!(err = agent_talk(home, false, &lines, &answer)))
		err = assuan_check(&answer, what);
out:
	buf_free(&keys);
	buf_free(&lines);
	buf_free(&answer);
	return err;
}

/* The agent signs by the bare key, so that a primary that only certifies is proved as well. */
static enum err prove_signing(const char *home, gpgme_subkey_t subkey)
{
	struct buf lines = BUF_INIT, answer = BUF_SECRET;
	enum err err;

	buf_addf(&lines, "SIGKEY %s\nSETHASH 8 %064d\nPKSIGN\n", subkey->keygrip, 0);
	if (!(err = agent_talk(home, false, &lines, &answer)))
		err = assuan_check(&answer, "sign");
	buf_free(&lines);
	buf_free(&answer);
	return err;
}

static enum err prove_decrypting(struct keyhome *home, const char *fingerprint)
{
	static const char text[] = "proof";
	struct buf sealed = BUF_INIT, opened = BUF_SECRET;
	struct signatures none;
	enum err err;

	if (!(err = keyhome_encrypt(home, fingerprint, bytes_of_text(text), &sealed)))
		err = keyhome_decrypt(home, buf_bytes(&sealed), &opened, &none);
	if (!err && !str_equal(buf_text(&opened), text))
		err = err_fail(ERR_SOFTWARE, "what was decrypted is not what was encrypted");
	buf_free(&sealed);
	buf_free(&opened);
	return err;
}

static enum err prove_key(struct keyhome *home, gpgme_key_t key)
{
	bool encrypts = false;
	enum err err = ERR_OK;

	for (gpgme_subkey_t s = key->subkeys; s && !err; s = s->next) {
		if (!s->secret || s->revoked || s->expired)
			continue;
		if (s->can_encrypt)
			encrypts = true;
		else
			err = prove_signing(home->path, s);
	}
	return err || !encrypts ? err : prove_decrypting(home, key->fpr);
}

static enum err prove_all(const char *path)
{
	struct keyhome *home = NULL;
	struct key_list list = { 0 };
	enum err err;

	if ((err = keyhome_open(path, false, &home)) ||
	    (err = key_list_read(home, NULL,
		 GPGME_KEYLIST_MODE_WITH_SECRET | GPGME_KEYLIST_MODE_WITH_KEYGRIP, &list)))
		goto out;
	for (size_t i = 0; i < list.count && !err; i++)
		if (list.keys[i]->secret)
			err = prove_key(home, list.keys[i]);
out:
	key_list_free(&list);
	keyhome_close(&home);
	return err;
}

enum err agent_unlock(const char *home, struct bytes passphrase)
{
	struct buf hex = BUF_SECRET;
	enum err err = ERR_OK;

	if (passphrase.len > PASSPHRASE_BYTES_MAX)
		return err_fail(
		    ERR_DENIED, "a passphrase has at most %d bytes", PASSPHRASE_BYTES_MAX);
	hex_add(&hex, passphrase);
	if ((err = hex.len ? for_each_key(home, "PRESET_PASSPHRASE", &hex,
				 "give the passphrase to gpg-agent")
			   : for_each_key(home, "HAVEKEY", NULL, "find the agent's keys")))
		goto out;
	if ((err = prove_all(home)) == ERR_OK || err == ERR_TEMPORARY || agent_pid(home) == 0)
		goto out;
	if (hex.len)
		err = for_each_key(
		    home, "CLEAR_PASSPHRASE --mode=normal", NULL, "forget the passphrase");
	err = err_fail(ERR_DENIED,
	    hex.len ? "the passphrase of the keys in %s is wrong"
		    : "the keys in %s have a passphrase",
	    home);
out:
	buf_free(&hex);
	return err;
}
