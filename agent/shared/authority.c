#include "shared/authority.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/when.h"
#include "confine/confine.h"
#include "enroll/deposit.h"
#include "enroll/packets.h"
#include "enroll/reply.h"
#include "keys/agent.h"
#include "text/address.h"

#define AGENT_AWAIT_MS 10000
#define TURN_AWAIT_MS 30000

static char *below_state(const struct conf *conf, const char *name)
{
	return path_join(conf->authority.state_directory, name);
}

char *authority_store_path(const struct conf *conf)
{
	return below_state(conf, "countersign.db");
}

char *authority_lock_path(const struct conf *conf)
{
	return below_state(conf, "lock");
}

static bool is_set(const char *text)
{
	return text && *text;
}

char *authority_key_home(const struct conf *conf)
{
	return is_set(conf->authority.key_home) ? str_dup(conf->authority.key_home)
						: below_state(conf, "keys");
}

char *authority_escrow_home(const struct conf *conf)
{
	return is_set(conf->authority.escrow_home) ? str_dup(conf->authority.escrow_home)
						   : below_state(conf, "escrow");
}

char *authority_fingerprint_text(const char *fingerprint)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; fingerprint[i]; i++) {
		if (i && i % 4 == 0)
			buf_add_byte(&b, ' ');
		buf_add_byte(&b, fingerprint[i]);
	}
	return buf_take_text(&b);
}

/* LoadCredential=authority-passphrase:… in the service unit. */
static char *passphrase_path(const struct conf *conf)
{
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	char *path;

	if (is_set(conf->authority.passphrase_file))
		return str_dup(conf->authority.passphrase_file);
	path = credentials ? path_join(credentials, AUTHORITY_CREDENTIAL) : NULL;
	if (path && !file_exists(path))
		str_free(&path);
	return path;
}

enum err authority_passphrase(const struct conf *conf, struct buf *out)
{
	char *path = passphrase_path(conf);
	enum err e = path ? file_read_secret(path, out) : ERR_OK;

	str_free(&path);
	return e;
}

/* What is not there yet will be on the file system of what is above it. */
static bool will_be_tmpfs(const char *path)
{
	char *there = str_dup(path), *slash;
	bool yes;

	while (!file_exists(there) && (slash = strrchr(there, '/')) && slash > there)
		*slash = '\0';
	yes = file_is_tmpfs(there);
	str_free(&there);
	return yes;
}

/* Below /dev/shm anybody can be there first, so what exists must be ours. */
enum err authority_prepare_runtime(const char *runtime_directory, const char *state_directory)
{
	struct stat runtime, state;
	enum err e;

	if (!will_be_tmpfs(runtime_directory))
		return err_fail(ERR_CONFIG,
		    "the runtime directory %s is not on tmpfs, and clear keys must never reach a "
		    "disk; name "
		    "one below /run or /dev/shm as runtime-directory",
		    runtime_directory);
	if ((e = file_make_dir(runtime_directory, 0700)))
		return err_prefix(ERR_CONFIG, "the runtime directory can't be made");
	if (lstat(runtime_directory, &runtime) || !S_ISDIR(runtime.st_mode))
		return err_fail(
		    ERR_CONFIG, "the runtime directory %s is not a directory", runtime_directory);
	if (geteuid() == 0 && runtime.st_uid == 0 && !stat(state_directory, &state) &&
	    state.st_uid && chown(runtime_directory, state.st_uid, state.st_gid))
		return err_fail(
		    ERR_CONFIG, "cannot give away %s: %s", runtime_directory, strerror(errno));
	if (geteuid() && runtime.st_uid != geteuid())
		return err_fail(ERR_CONFIG,
		    "the runtime directory %s belongs to somebody else; name another as "
		    "runtime-directory",
		    runtime_directory);
	if (runtime.st_mode & 077 && chmod(runtime_directory, 0700))
		return err_fail(ERR_CONFIG, "cannot close %s to others: %s", runtime_directory,
		    strerror(errno));
	return ERR_OK;
}

/* ---- addresses in the configuration (P1.5) ---- */

static enum err canonical_in_place(const struct conf *conf, const char *key, char **address)
{
	char *canonical = NULL;
	enum err e = address_canonical(*address, &canonical);

	if (e)
		return err_prefix(ERR_CONFIG, "%s: %s", conf->path, key);
	str_free(address);
	*address = canonical;
	return ERR_OK;
}

static enum err canonical_list(const struct conf *conf, const char *key, char **list)
{
	enum err e = ERR_OK;

	for (; list && *list && !e; list++)
		e = canonical_in_place(conf, key, list);
	return e;
}

static enum err canonical_domains(const struct conf *conf)
{
	enum err e = ERR_OK;

	for (char **domain = conf->policy.domains; domain && *domain && !e; domain++) {
		char *address = str_printf("x@%s", *domain), *canonical = NULL;

		if ((e = address_canonical(address, &canonical))) {
			e = err_fail(ERR_CONFIG, "%s: domains: \"%s\" is no mail domain",
			    conf->path, *domain);
		} else {
			str_free(domain);
			*domain = str_dup(address_domain(canonical));
		}
		str_free(&canonical);
		str_free(&address);
	}
	return e;
}

static bool forbidden(const char *path, int how)
{
	return faccessat(AT_FDCWD, path, how, AT_EACCESS) && errno == EACCES;
}

static enum err check_state(const struct conf *conf)
{
	const char *directory = conf->authority.state_directory;
	char *store = authority_store_path(conf);
	struct stat st;
	enum err e = ERR_OK;

	if (stat(directory, &st) && errno == ENOENT)
		e = err_fail(ERR_CONFIG,
		    "the state directory %s does not exist; \"countersignctl init\" makes it",
		    directory);
	else if (forbidden(directory, R_OK | X_OK) || forbidden(store, R_OK | W_OK))
		e = err_fail(ERR_DENIED,
		    "you may not read the store %s: use sudo, or be the user that it belongs to",
		    store);
	str_free(&store);
	return e;
}

static enum err check_escrow_rules(const struct conf *conf)
{
	enum err e = ERR_OK;

	for (char **rule = conf->policy.escrow_for; rule && *rule && !e; rule++)
		if ((e = escrow_rule_check(*rule)))
			e = err_prefix(e, "%s: escrow-for", conf->path);
	return e;
}

enum err authority_check_conf(struct conf *conf)
{
	enum err e;

	if (!is_set(conf->authority.address))
		return err_fail(
		    ERR_CONFIG, "%s has no address in its section authority", conf->path);
	if ((e = canonical_in_place(conf, "address", &conf->authority.address)) ||
	    (e = canonical_domains(conf)) || (e = check_escrow_rules(conf)) ||
	    (e = canonical_list(conf, "auditors", conf->notify.auditors)))
		return e;
	if ((e = canonical_list(conf, "administrators", conf->notify.administrators)))
		return e;
	return check_state(conf);
}

/* ---- the store ---- */

static enum err get(struct authority *a, const char *name, char **out)
{
	enum err e = store_get(a->store, name, out);

	if (!e && !*out)
		e = err_fail(ERR_DATA,
		    "the store does not say %s; the authority was not made completely, make it "
		    "again with "
		    "\"countersignctl init\"",
		    name);
	return e;
}

static enum err check_address(struct authority *a, const char *stored)
{
	a->address = str_dup(a->conf->authority.address);
	a->domain = address_domain(a->address);
	if (!str_equal(a->address, stored))
		return err_fail(ERR_CONFIG, "%s is for %s, but the store in %s is for %s",
		    a->conf->path, a->address, a->conf->authority.state_directory, stored);
	return ERR_OK;
}

static enum err read_identity(struct authority *a)
{
	char *address = NULL, *fingerprint = NULL, *key = NULL, *pin = NULL, *passphrase = NULL;
	uint8_t binary[20];
	enum err e;

	if ((e = get(a, "authority-address", &address)) || (e = check_address(a, address)) ||
	    (e = get(a, "authority-fingerprint", &fingerprint)) ||
	    (e = hex_read(fingerprint, binary, sizeof binary)) ||
	    (e = get(a, "authority-key", &key)) ||
	    (e = base64_read(bytes_of_text(key), &a->public_key)) || (e = get(a, "pin", &pin)) ||
	    (e = hex_read(pin, a->pin, sizeof a->pin)) ||
	    (e = store_get(a->store, "authority-passphrase", &passphrase)))
		goto out;
	memcpy(a->fingerprint, fingerprint, sizeof a->fingerprint);
	a->unprotected = str_equal(passphrase, "none");
	if (is_set(a->conf->authority.name))
		a->name = a->conf->authority.name;
out:
	str_free(&address);
	str_free(&fingerprint);
	str_free(&key);
	str_free(&pin);
	str_free(&passphrase);
	return e;
}

static enum err open_store(struct authority *a)
{
	char *path = authority_store_path(a->conf);
	enum err e = store_open(path, (unsigned)a->conf->limits.busy_seconds, &a->store);

	str_free(&path);
	return e ? e : read_identity(a);
}

/* ---- the agent ---- */

enum err authority_check_key_home(const char *home)
{
	if (access(home, R_OK | W_OK | X_OK) == 0)
		return ERR_OK;
	return err_fail(
	    ERR_UNAVAILABLE, "the key home %s can't be used: %s", home, strerror(errno));
}

static void pause_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static enum err lock_wait(const char *path, int *fd_out)
{
	int64_t end = when_monotonic_ms() + TURN_AWAIT_MS;
	enum err e;

	while ((e = file_lock(path, fd_out)) == ERR_TEMPORARY && when_monotonic_ms() < end)
		pause_ms(50);
	return e;
}

/* The daemon has the lock: it has an agent, or will have one in a moment. */
static enum err agent_of_daemon(struct authority *a)
{
	int64_t end = when_monotonic_ms() + AGENT_AWAIT_MS;

	while (!agent_running(a->key_home) && when_monotonic_ms() < end)
		pause_ms(50);
	enum err e = agent_check(a->key_home);
	if (e == ERR_OK || e == ERR_TEMPORARY)
		return e;
	return err_fail(
	    ERR_UNAVAILABLE, "%s; \"countersignctl unlock\" gives it to countersignd", err_text());
}

static enum err agent_of_our_own(struct authority *a)
{
	struct buf passphrase = BUF_SECRET;
	enum err e = ERR_OK;

	if ((e = authority_check_key_home(a->key_home)))
		return e;
	/* What a killed daemon left behind is as good as ours, as long as it knows the passphrase.
	 */
	if (agent_running(a->key_home) && !agent_check(a->key_home))
		goto out;
	if ((e = authority_passphrase(a->conf, &passphrase)))
		goto out;
	if (passphrase.len == 0 && !a->unprotected) {
		e = err_fail(ERR_UNAVAILABLE,
		    "the authority's key is locked: countersignd is not running and no "
		    "passphrase-file is "
		    "configured; start it and give the passphrase with \"countersignctl unlock\"");
		goto out;
	}
	agent_stop(a->key_home);
	if ((e = agent_prepare(a->key_home)) || (e = agent_start(a->key_home, &a->agent_pid)))
		goto out;
	a->agent_started = true;
	e = agent_unlock(a->key_home, buf_bytes(&passphrase));
out:
	buf_free(&passphrase);
	return e;
}

void authority_stop_agent(const char *home)
{
	char *why = str_dup(err_text());

	agent_stop(home);
	(void)err_fail(ERR_OK, "%s", why);
	str_free(&why);
}

static void unlock_files(struct authority *a)
{
	if (a->lock >= 0)
		close(a->lock);
	if (a->turn >= 0)
		close(a->turn);
	a->lock = a->turn = -1;
}

/*
 * Whoever holds "lock" has the agent. Commands that bring their own take turns by "agent.lock", so
 * that whoever finds "lock" held by another knows that it is the daemon's.
 */
static enum err agent_obtain(struct authority *a)
{
	char *turn = below_state(a->conf, "agent.lock"), *lock = authority_lock_path(a->conf);
	enum err e = lock_wait(turn, &a->turn);

	if (e)
		goto out;
	e = file_lock(lock, &a->lock);
	if (e == ERR_OK) {
		e = agent_of_our_own(a);
	} else if (e == ERR_TEMPORARY) {
		unlock_files(a);
		e = agent_of_daemon(a);
	}
out:
	str_free(&turn);
	str_free(&lock);
	return e;
}

static enum err open_home(struct authority *a)
{
	enum err e = keyhome_start((unsigned)a->conf->limits.gpg_seconds);

	if (e || (e = agent_obtain(a)))
		return e;
	return keyhome_make(a->conf->authority.runtime_directory, a->key_home,
	    buf_bytes(&a->public_key), (size_t)a->conf->limits.decompressed_bytes, &a->home);
}

enum err authority_open(const char *path, enum authority_need need, struct authority **out)
{
	struct authority *a = mem_alloc(sizeof *a);
	enum err e;

	*out = NULL;
	a->lock = a->turn = -1;
	if ((e = conf_read(conf_path(path), &a->conf)) || (e = authority_check_conf(a->conf)))
		goto out;
	a->key_home = authority_key_home(a->conf);
	a->escrow_home = authority_escrow_home(a->conf);
	if (need == AUTHORITY_KEYS &&
	    (e = authority_prepare_runtime(
		 a->conf->authority.runtime_directory, a->conf->authority.state_directory)))
		goto out;
	if ((e = confine_become_owner(a->conf->authority.state_directory)) || (e = open_store(a)))
		goto out;
	if (need == AUTHORITY_KEYS && (e = open_home(a)))
		goto out;
	*out = a;
	a = NULL;
out:
	authority_close(&a);
	return e;
}

void authority_close(struct authority **authority)
{
	struct authority *a = *authority;

	if (!a)
		return;
	keyhome_close(&a->home);
	if (a->agent_started) {
		authority_stop_agent(a->key_home);
		while (waitpid(a->agent_pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	unlock_files(a);
	store_close(&a->store);
	buf_free(&a->public_key);
	str_free(&a->address);
	str_free(&a->key_home);
	str_free(&a->escrow_home);
	conf_free(&a->conf);
	free(a);
	*authority = NULL;
}

/* ---- the card (P2.7) ---- */

static char *algorithms(const struct conf *conf)
{
	struct buf b = BUF_INIT;

	buf_addf(&b, "rsa%lld", (long long)conf->policy.rsa_bits_min);
	for (char **curve = conf->policy.curves; curve && *curve; curve++)
		buf_addf(&b, " %s", *curve);
	if (conf->policy.dsa_elgamal)
		buf_add_text(&b, " dsa elg");
	return buf_take_text(&b);
}

static void card_text(const struct authority *authority, struct buf *out)
{
	struct card card = {
		.address = str_dup(authority->address),
		.name = str_dup(authority->name),
		.plain_requests = str_dup(authority->conf->policy.plain_requests),
		.escrow = str_dup(authority->conf->policy.escrow),
		.algorithms = algorithms(authority->conf),
	};

	memcpy(card.fingerprint, authority->fingerprint, sizeof card.fingerprint);
	card_write(&card, out);
	card_free(&card);
}

static void card_key(const struct authority *authority, struct buf *out)
{
	armor_write("PUBLIC KEY BLOCK", buf_bytes(&authority->public_key), out);
}

enum err authority_card(struct authority *authority, struct buf *out)
{
	struct buf text = BUF_INIT, signed_text = BUF_INIT;
	enum err e;

	card_text(authority, &text);
	e = keyhome_clearsign(
	    authority->home, authority->fingerprint, buf_bytes(&text), &signed_text);
	if (!e) {
		card_key(authority, out);
		buf_add(out, signed_text.data, signed_text.len);
	}
	buf_free(&text);
	buf_free(&signed_text);
	return e;
}

bool authority_card_says_the_same(const struct authority *authority, struct bytes file)
{
	struct buf key = BUF_INIT, text = BUF_INIT;
	bool same;

	card_key(authority, &key);
	buf_add_text(&text, "\n\n");
	card_text(authority, &text);
	buf_add_text(&text, "-----BEGIN PGP SIGNATURE-----\n");
	same = file.len > key.len && memcmp(file.data, key.data, key.len) == 0 &&
	       memmem(file.data + key.len, file.len - key.len, text.data, text.len);
	buf_free(&key);
	buf_free(&text);
	return same;
}
