/* An authority with a real agent, and a place for throw-away homes, below one temporary directory. */
#ifndef UNIT_KEYS_FIXTURE_H
#define UNIT_KEYS_FIXTURE_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/proc.h"
#include "base/when.h"
#include "keys/agent.h"
#include "keys/keyhome.h"
#include "keys/keyring.h"
#include "secret/secret.h"

#define DEADLINE_SECONDS 30
#define PASSPHRASE "correct horse"
#define AUTHORITY "Security Authority <sa@example.org>"
#define ALICE "Alice Example <alice@example.org>"
#define MIB ((size_t)1 << 20)

struct place {
	char dir[64];
	char *keys, *run, *user; /* the authority's home, tmpfs, a user's home */
	pid_t agent;
	char authority[41], alice[41];
	struct buf authority_key, alice_key; /* public, binary */
	struct keyhome *home;                /* throw-away */
};

#define assert_fine(call) \
	do { \
		enum err fixture_err = (call); \
		if (fixture_err) \
			fail_msg("%s: %s", #call, err_text()); \
	} while (0)
#define assert_fault(call, expected) \
	do { \
		enum err fixture_err = (call); \
		if (fixture_err != (expected)) \
			fail_msg("%s: %d (%s) instead of %d", #call, (int)fixture_err, \
			    fixture_err ? err_text() : "fine", (int)(expected)); \
	} while (0)

static inline struct bytes text_bytes(const char *text)
{
	return bytes_of_text(text);
}

static inline void agent_begin(struct place *p)
{
	assert_fine(agent_prepare(p->keys));
	assert_fine(agent_start(p->keys, &p->agent));
}

static inline void agent_finish(struct place *p)
{
	if (p->agent <= 0)
		return;
	(void)kill(p->agent, SIGCONT);
	(void)kill(p->agent, SIGKILL);
	(void)waitpid(p->agent, NULL, 0);
	p->agent = 0;
}

static inline void make_authority(struct place *p)
{
	struct keyhome *home;

	assert_fine(keyhome_open(p->keys, true, &home));
	assert_fine(
	    keyring_create_authority(home, AUTHORITY, text_bytes(PASSPHRASE), p->authority));
	assert_fine(keyhome_export(home, p->authority, &p->authority_key));
	keyhome_close(&home);
	assert_fine(agent_unlock(p->keys, text_bytes(PASSPHRASE)));
}

/* gpg-agent would make each use of a password cost a third of a second. */
static inline void quick_passwords(const char *home)
{
	char *path = path_join(home, "gpg-agent.conf");

	assert_fine(file_write(path, 0600, text_bytes("s2k-count 65536\n")));
	str_free(&path);
}

/* Alice makes her key in a home of her own, without a password. */
static inline void make_alice(struct place *p)
{
	struct keyhome *home;

	assert_fine(keyhome_open(p->user, true, &home));
	assert_fine(keyring_create_user(home, ALICE, bytes_of(NULL, 0), p->alice));
	assert_fine(keyhome_export(home, p->alice, &p->alice_key));
	keyhome_close(&home);
}

static inline int place_make(void **state)
{
	struct place *p = mem_alloc(sizeof *p);

	strcpy(p->dir, "/dev/shm/keys-XXXXXX");
	if (!mkdtemp(p->dir))
		return -1;
	p->keys = path_join(p->dir, "authority");
	p->run = path_join(p->dir, "run");
	p->user = path_join(p->dir, "alice");
	*state = p;
	secret_start();
	assert_fine(keyhome_start(DEADLINE_SECONDS));
	assert_fine(file_make_dir(p->run, 0700));
	agent_begin(p);
	make_authority(p);
	make_alice(p);
	assert_fine(keyhome_make(p->run, p->keys, buf_bytes(&p->authority_key), MIB, &p->home));
	return 0;
}

static inline int place_remove(void **state)
{
	struct place *p = *state;

	keyhome_close(&p->home);
	agent_finish(p);
	agent_stop(p->user);
	assert_fine(file_remove_tree(p->dir));
	str_free(&p->keys);
	str_free(&p->run);
	str_free(&p->user);
	buf_free(&p->authority_key);
	buf_free(&p->alice_key);
	free(p);
	return 0;
}

static inline int run_shell(const char *command, struct buf *out)
{
	char *text = str_dup(command);
	char shell[] = "sh", option[] = "-c";
	char *argv[] = { shell, option, text, NULL };
	int status = -1;

	assert_fine(proc_run(argv, bytes_of(NULL, 0), 60, out, NULL, &status));
	str_free(&text);
	return status;
}

#endif
