#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The vectors have nonces of their own. */
#include "mail/sasl.c"

static struct sasl *begin(const char *user, const char *mechanism, const char *secret)
{
	static struct conf_server conf = CONF_SERVER("imaps://h");
	static struct server server;
	static struct buf password;
	static char host[] = "h", name[] = "h:993", who[64];

	(void)strcpy(who, user);
	server = (struct server){
		.conf = &conf, .url = { .user = who, .host = host, .port = 993 }, .name = name
	};
	buf_free(&password);
	password = (struct buf)BUF_SECRET;
	buf_add_text(&password, secret);
	return sasl_open(&server, mechanism, &password);
}

/* `expect` NULL: refused. */
static void assert_answer(
    struct sasl *sasl, const char *challenge, const char *expect, size_t expect_len)
{
	struct buf answer = BUF_SECRET;
	enum err err = sasl_answer(sasl, bytes_of_text(challenge), &answer);

	assert_int_equal(err, expect ? ERR_OK : ERR_PROTOCOL);
	if (expect) {
		assert_int_equal(answer.len, expect_len);
		assert_memory_equal(buf_text(&answer), expect, expect_len);
	}
	buf_free(&answer);
}

#define EXPECT(sasl, challenge, text) assert_answer(sasl, challenge, text, sizeof(text) - 1)
#define REFUSED(sasl, challenge) assert_answer(sasl, challenge, NULL, 0)

static void plain_words(void **state)
{
	(void)state;
	struct sasl *sasl = begin("sa", "PLAIN", "p w");
	assert_true(sasl_begins(sasl));
	EXPECT(sasl, "", "\0sa\0p w");
	assert_int_equal(sasl_proved(sasl), ERR_OK);
	REFUSED(sasl, "more");
	sasl_free(&sasl);

	sasl = begin("sa", "LOGIN", "p w");
	assert_false(sasl_begins(sasl));
	EXPECT(sasl, "User", "sa");
	EXPECT(sasl, "Password", "p w");
	REFUSED(sasl, "more");
	sasl_free(&sasl);
	assert_null(sasl);
}

static void tokens(void **state)
{
	(void)state;
	struct sasl *sasl = begin("s,a", "OAUTHBEARER", "tok");
	EXPECT(sasl, "", "n,a=s=2Ca,\001host=h\001port=993\001auth=Bearer tok\001\001");
	EXPECT(sasl, "{\"status\":\"401\"}", "\001");
	REFUSED(sasl, "more");
	sasl_free(&sasl);
	sasl = begin("sa", "XOAUTH2", "tok");
	EXPECT(sasl, "", "user=sa\001auth=Bearer tok\001\001");
	EXPECT(sasl, "{\"status\":\"401\"}", "");
	sasl_free(&sasl);
}

/* As if we had drawn that nonce. */
static void draw(struct sasl *sasl, const char *nonce)
{
	struct buf answer = BUF_SECRET;

	assert_int_equal(sasl_answer(sasl, bytes_of(NULL, 0), &answer), ERR_OK);
	assert_true(answer.len > strlen("n,,n=,r=") + 20);
	buf_free(&answer);
	sasl->first.len =
	    (size_t)((const char *)memmem(sasl->first.data, sasl->first.len, ",r=", 3) -
		     buf_text(&sasl->first)) +
	    3;
	buf_add_text(&sasl->first, nonce);
	buf_clear(&sasl->nonce);
	buf_add_text(&sasl->nonce, nonce);
}

/* RFC 5802 5 and RFC 7677 3. */
static const struct {
	const char *mechanism, *nonce, *challenge, *answer, *proof;
} vectors[] = {
	{ "SCRAM-SHA-1", "fyko+d2lbbFgONRv9qkxdawL",
	    "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
	    "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
	    "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=" },
	{ "SCRAM-SHA-256", "rOprNGfwEbeRWgbNEkqO",
	    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
	    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
	    "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" },
};

static void scram(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
		struct sasl *sasl = begin("user", vectors[i].mechanism, "pencil");
		draw(sasl, vectors[i].nonce);
		assert_answer(
		    sasl, vectors[i].challenge, vectors[i].answer, strlen(vectors[i].answer));
		assert_int_equal(sasl_proved(sasl), ERR_PROTOCOL);
		EXPECT(sasl, vectors[i].proof, "");
		assert_int_equal(sasl_proved(sasl), ERR_OK);
		REFUSED(sasl, "");
		sasl_free(&sasl);
	}
}

static void scram_names(void **state)
{
	static const struct {
		const char *user, *first;
	} cases[] = {
		{ "a=b,c", "n,,n=a=3Db=2Cc,r=" },
		{ "mu\xcc\x88ller", "n,,n=m\xc3\xbcller,r=" }, /* as one character */
		{ "a\xc2\xa0"
		  "b",
		    "n,,n=a b,r=" },
		{ "a\x01", "n,,n=a\x01,r=" }, /* can't be prepared */
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct sasl *sasl = begin(cases[i].user, "SCRAM-SHA-256", "x");
		struct buf answer = BUF_SECRET;
		assert_int_equal(sasl_answer(sasl, bytes_of(NULL, 0), &answer), ERR_OK);
		assert_memory_equal(buf_text(&answer), cases[i].first, strlen(cases[i].first));
		buf_free(&answer);
		sasl_free(&sasl);
	}
}

/* What the server says of it in its challenges (RFC 5802 7). */
static void scram_errors(void **state)
{
	static const struct {
		const char *says;
		enum err expect;
		const char *text;
	} cases[] = {
		{ "e=invalid-proof", ERR_DENIED,
		    "h:993: the login of user by SCRAM-SHA-256 was refused: invalid-proof" },
		{ "e=unknown-user,x=y", ERR_DENIED, "was refused: unknown-user" },
		{ "e=no-resources", ERR_PROTOCOL, "was refused: no-resources" },
		{ "e=\033[1m", ERR_DENIED, "was refused:  [1m" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (int behind_proof = 0; behind_proof < 2; behind_proof++) {
			struct sasl *sasl = begin("user", "SCRAM-SHA-256", "pencil");
			struct buf answer = BUF_SECRET;
			draw(sasl, vectors[1].nonce);
			if (behind_proof)
				assert_answer(sasl, vectors[1].challenge, vectors[1].answer,
				    strlen(vectors[1].answer));
			assert_int_equal(sasl_answer(sasl, bytes_of_text(cases[i].says), &answer),
			    cases[i].expect);
			if (!strstr(err_text(), cases[i].text))
				fail_msg("%s", err_text());
			assert_int_equal(answer.len, 0);
			buf_free(&answer);
			sasl_free(&sasl);
		}
}

static void scram_liars(void **state)
{
	static const char *const challenges[] = { "", "r=", "r=other,s=QSXC,i=4096",
		"r=nonce,s=QSXC,i=4096", /* nothing of the server's own */
		"r=nonceX,s=,i=4096", "r=nonceX,s=!,i=4096", "r=nonceX,s=QSXC,i=1",
		"r=nonceX,s=QSXC,i=4095", "r=nonceX,s=QSXC,i=4000000000", "r=nonceX,s=QSXC,i=-4096",
		"r=nonceX,s=QSXC", "m=more,r=nonceX,s=QSXC,i=4096" };
	static const char *const proofs[] = { "",
		"v=", "v=AAAATRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", "v=6rriTRBi23WpRR/wtup+" };

	(void)state;
	for (size_t i = 0; i < sizeof challenges / sizeof *challenges; i++) {
		struct sasl *sasl = begin("user", "SCRAM-SHA-256", "pencil");
		draw(sasl, "nonce");
		REFUSED(sasl, challenges[i]);
		sasl_free(&sasl);
	}
	for (size_t i = 0; i < sizeof proofs / sizeof *proofs; i++) {
		struct sasl *sasl = begin("user", "SCRAM-SHA-256", "pencil");
		draw(sasl, vectors[1].nonce);
		assert_answer(
		    sasl, vectors[1].challenge, vectors[1].answer, strlen(vectors[1].answer));
		REFUSED(sasl, proofs[i]);
		sasl_free(&sasl);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(plain_words), cmocka_unit_test(tokens),
		cmocka_unit_test(scram), cmocka_unit_test(scram_names),
		cmocka_unit_test(scram_errors), cmocka_unit_test(scram_liars) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
