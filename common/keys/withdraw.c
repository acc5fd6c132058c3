/* Taking back: the authority's certification (P5.5), and a user's own key (P3.8). */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "enroll/packets.h"
#include "keys/agent.h"
#include "keys/internal.h"

#define REASON_BYTES_MAX 200

/* Other than for certifying, keys come in with the signatures of others. */
static const char keep_all[] = "import-options no-self-sigs-only,no-import-minimal\n";

static enum err import_whole(struct keyhome *home, struct bytes key, struct key_facts **facts_out)
{
	struct buf conf = BUF_INIT;
	enum err err, restored;

	*facts_out = NULL;
	if (!home->throw_away)
		return err_fail(ERR_SOFTWARE, "%s is no throw-away home", home->path);
	buf_add(&conf, home->conf.data, home->conf.len);
	buf_add_text(&conf, keep_all);
	if (!(err = home_write(home->path, "gpg.conf", buf_bytes(&conf))))
		err = keyhome_import(home, key, facts_out);
	restored = home_write(home->path, "gpg.conf", buf_bytes(&home->conf));
	buf_free(&conf);
	return err ? err : restored;
}

/* How many certifications by the signer a user ID carries, and how many of them are withdrawn. */
struct tally {
	size_t made, withdrawn;
};

static struct tally count(const struct key_facts *facts, const char *signer, const char *user_id)
{
	struct tally tally = { 0 };

	for (size_t i = 0; i < facts->certification_count; i++) {
		const struct key_certification *c = &facts->certifications[i];

		if (str_equal(c->user_id, user_id) &&
		    str_equal_case(c->issuer, signer + strlen(signer) - 16)) {
			tally.made++;
			tally.withdrawn += c->revoked;
		}
	}
	return tally;
}

static enum err check_made(
    const struct key_facts *facts, const char *signer, const char *const *user_ids, bool *done_out)
{
	*done_out = true;
	for (; *user_ids; user_ids++) {
		struct tally tally = count(facts, signer, *user_ids);

		if (tally.made == 0)
			return err_fail(ERR_DATA, "the key %s carries no certification to withdraw",
			    facts->fingerprint);
		*done_out = *done_out && tally.made == tally.withdrawn;
	}
	return ERR_OK;
}

static bool is_plain(const char *text)
{
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return false;
	return strlen(text) <= REASON_BYTES_MAX;
}

/* gpg needs one, whatever its trust model, to show an expired key before it is edited. */
static enum err trustdb_make(struct keyhome *home)
{
	const char *const arguments[] = { "--trust-model", "pgp", "--import-ownertrust", NULL };
	char *path = path_join(home->path, "trustdb.gpg");
	struct buf status = BUF_INIT;
	enum err err = ERR_OK;

	if (!file_exists(path))
		err = gpg_run(home, arguments, bytes_of("", 0), NULL, &status);
	buf_free(&status);
	str_free(&path);
	return err;
}

/* All that the signer certified: the keys that come here carry nothing else of its. */
static enum err revoke(
    struct keyhome *home, const char *signer, const char *fingerprint, const char *reason)
{
	const struct edit_answer answers[] = {
		{ "ask_revoke_sig.one", "y" },
		{ "ask_revoke_sig.expired", "y" },
		{ "ask_revoke_sig.okay", "y" },
		{ "ask_revocation_reason.code", str_equal(reason, "left") ? "4" : "0" },
		{ "ask_revocation_reason.text", reason },
		{ "ask_revocation_reason.text", "" },
		{ "ask_revocation_reason.okay", "y" },
		{ "keyedit.save.okay", "y" },
		{ NULL, NULL },
	};
	gpgme_key_t key = NULL;
	enum err err;

	if (!(err = trustdb_make(home)) && !(err = key_get(home, fingerprint, 0, &key)))
		err = key_edit(home, signer, key, "revsig", answers, "withdraw the certification");
	gpgme_key_unref(key);
	return err;
}

/* As withdraw and revoke left it; the caller has seen that it is so. */
static enum err export_whole(struct keyhome *home, const struct key_facts *facts, struct buf *out)
{
	struct buf key = BUF_INIT;
	struct packet_summary summary;
	enum err err = key_export(home, facts->fingerprint, false, &key);

	summary = packets_summarise(buf_bytes(&key));
	if (!err && (summary.malformed || summary.secret_keys ||
			summary.subkeys + 1 != facts->subkey_count))
		err = op_unproved("export the key");
	if (!err)
		buf_add(out, key.data, key.len);
	buf_free(&key);
	return err;
}

enum err keyhome_withdraw(struct keyhome *home, const char *signer, struct bytes key,
    const char *const *user_ids, const char *reason, struct buf *key_out)
{
	struct key_facts *facts = NULL, *after = NULL;
	bool done = false;
	enum err err;

	if (!is_plain(reason))
		return err_fail(ERR_DATA,
		    "the reason of a revocation is one line of at most %d bytes", REASON_BYTES_MAX);
	if ((err = import_whole(home, key, &facts)) ||
	    (err = check_made(facts, signer, user_ids, &done)))
		goto out;
	/* A key that its owner revoked is worth nothing any more, whoever certified it. */
	if (facts->revoked) {
		err = export_whole(home, facts, key_out);
		goto out;
	}
	if (!done && (err = revoke(home, signer, facts->fingerprint, reason)))
		goto out;
	key_forget(home);
	if ((err = keyhome_facts(home, facts->fingerprint, false, &after)))
		goto out;
	if (after && !check_made(after, signer, user_ids, &done) && done)
		err = export_whole(home, after, key_out);
	else if (!(err = agent_check(home->agent_home)))
		err = op_unproved("withdraw the certification");
out:
	key_facts_free(&facts);
	key_facts_free(&after);
	return err;
}

/* A signature packet alone is to gpg a revocation certificate: it verifies it by the key that is here. */
static enum err import_revocations(struct keyhome *home, struct bytes signatures)
{
	gpgme_data_t data = NULL;
	struct op op;
	enum err err;

	key_forget(home);
	op_open(&op, home);
	if (!(err = data_from(signatures, &data))) {
		op_arm();
		err =
		    op_done(&op, gpgme_op_import(op.ctx, data), "import the revocation", ERR_DATA);
	}
	gpgme_data_release(data);
	op_close(&op);
	return err;
}

enum err keyhome_merge_revocation(
    struct keyhome *home, struct bytes stored, struct bytes from, struct buf *key_out)
{
	struct buf revocations = BUF_INIT;
	struct key_facts *facts = NULL, *after = NULL;
	enum err err;

	if (!packets_revocations(from, stored, &revocations)) {
		err = err_fail(ERR_DATA, "this is no revocation of the stored key");
		goto out;
	}
	if ((err = import_whole(home, stored, &facts)) ||
	    (err = import_revocations(home, buf_bytes(&revocations))) ||
	    (err = keyhome_facts(home, facts->fingerprint, false, &after)))
		goto out;
	if (!after || !after->revoked)
		err = err_fail(
		    ERR_DATA, "the revocation of the key %s does not hold", facts->fingerprint);
	else
		err = export_whole(home, after, key_out);
out:
	key_facts_free(&facts);
	key_facts_free(&after);
	buf_free(&revocations);
	return err;
}
