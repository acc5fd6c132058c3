/* selfrevoke: a key that is enrolled and has revoked itself (P3.8). Whoever sends it, and how: the revocation proves itself, and it is not answered. */
#include "enroll/packets.h"
#include "pipeline.h"
#include "stages.h"

#define TRIES_MAX 8 /* anybody can send something that names an enrolled key and proves nothing */

struct search {
	struct work *work;
	struct bytes revocation;
	size_t tries;
	enum err rc;
};

static bool is_ending(const struct work *w, int64_t id)
{
	for (size_t i = 0; i < w->ending_count; i++)
		if (w->endings[i].id == id)
			return true;
	return false;
}

/* Only the signature goes to gpg, with the key as stored: what else came along is of no interest. */
static void try_keyset(const struct keyset_row *row, void *context)
{
	struct search *s = context;
	struct work *w = s->work;
	struct buf grafted = BUF_INIT, merged = BUF_INIT;

	if (s->rc != ERR_OK || is_ending(w, row->id) || s->tries >= TRIES_MAX ||
	    keyset_rule(work_state(w, row), KEYSET_EVENT_SELF_REVOKE)->act != RULE_DO)
		return;
	s->tries++;
	s->rc = keyhome_reset(w->authority->home);
	if (s->rc == ERR_OK)
		s->rc = packets_graft(buf_bytes(&row->key), s->revocation, &grafted);
	if (s->rc == ERR_OK)
		s->rc = keyhome_merge_revocation(
		    w->authority->home, buf_bytes(&row->key), buf_bytes(&grafted), &merged);
	if (s->rc == ERR_OK) {
		work_end(w, row)->key = merged;
		merged = (struct buf)BUF_INIT;
	}
	if (s->rc == ERR_DATA) /* it does not hold */
		s->rc = ERR_OK;
	buf_free(&grafted);
	buf_free(&merged);
}

static void look_in_binary(struct search *s, struct bytes binary)
{
	char fingerprint[FINGERPRINT_SIZE];

	for (size_t n = 0; s->rc == ERR_OK && s->tries < TRIES_MAX &&
			   packets_revocation_at(binary, n, &s->revocation, fingerprint);
	     n++) {
		enum err rc =
		    keyset_each_of_key(s->work->authority->store, fingerprint, try_keyset, s);
		if (s->rc == ERR_OK)
			s->rc = rc;
	}
}

/* Binary, or any number of armored blocks. */
static void look_in(struct search *s, struct bytes found)
{
	static const char kind[] = "PUBLIC KEY BLOCK";
	const uint8_t *at, *after;

	if (!armor_find(found, kind))
		look_in_binary(s, found);
	while ((at = armor_find(found, kind)) != NULL) {
		struct bytes block = bytes_of(at, (size_t)(found.data + found.len - at));
		struct buf binary = BUF_INIT;
		after = at + 1;
		if (armor_read(block, kind, &binary, &after) == ERR_OK)
			look_in_binary(s, buf_bytes(&binary));
		if (after <= at)
			after = at + 1;
		found = bytes_of(after, (size_t)(found.data + found.len - after));
		buf_free(&binary);
	}
}

enum err check_self_revocation(struct work *w)
{
	const struct message *places[] = { &w->message, &w->inner };
	struct search s = { .work = w };

	for (size_t p = 0; p < 2; p++)
		for (size_t i = 0; i < places[p]->key_count; i++)
			look_in(&s, buf_bytes(&places[p]->keys[i].data));
	if (w->kind == WORK_CLIENT_RENEWAL)
		look_in(&s, buf_bytes(&w->request.key));
	if (s.rc == ERR_OK && s.tries > 0)
		s.rc = keyhome_reset(w->authority->home);
	if (s.rc == ERR_OK && w->ending_count > 0) {
		w->address = str_dup(w->endings[0].address);
		w->verdict = VERDICT_REVOKED;
	}
	return s.rc;
}
