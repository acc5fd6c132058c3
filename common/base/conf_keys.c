#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/internal.h"
#include "base/url.h"
#include "base/when.h"

#define KIB (INT64_C(1) << 10)
#define MIB (INT64_C(1) << 20)
#define DAY INT64_C(86400)
#define YEAR (365 * DAY)

#define AT(field) offsetof(struct conf, field)
#define MAILBOX_AT(field) offsetof(struct conf_mailbox, field)
#define SAMPLE(field) (offsetof(struct conf_sample, field) + 1)
#define CURVES \
	"ed25519 cv25519 nistp256 nistp384 nistp521 brainpoolp256r1 brainpoolp384r1 brainpoolp512r1"

#define SUBMIT_AT(field) AT(submit.field)
#define MECHANISMS "auto plain login scram-sha-1 scram-sha-256 oauthbearer xoauth2"

/* clang-format off */
/* What a mail server needs, in every section that names one. */
#define SERVER_KEYS(section, place) \
	{ section, "tls", CONF_CHOICE, place(server.tls), "required", 0, 0, "required off", 0, \
	  "required or off; off only for a server on this machine (localhost)." }, \
	{ section, "tls-pin", CONF_PIN, place(server.tls_pin), "", 0, 0, NULL, 0, \
	  "Beside the usual checks, the server's public key: SHA-256 of its SubjectPublicKeyInfo in base64. Empty: none." }, \
	{ section, "ca-file", CONF_PATH, place(server.ca_file), "", 0, 0, NULL, 0, \
	  "Certificates of the authorities that may vouch for the server. Empty: those of the system." }, \
	{ section, "sasl", CONF_CHOICE, place(server.sasl), "auto", 0, 0, MECHANISMS, 0, \
	  "How to log in: auto takes the best that the server offers." }, \
	{ section, "password-file", CONF_PATH, place(server.password_file), "", 0, 0, NULL, 0, \
	  "A file with the password in its first line, readable by its owner alone." }, \
	{ section, "token-command", CONF_TEXT, place(server.token_command), "", 0, 0, NULL, 0, \
	  "Instead of a password: a command (for /bin/sh) that prints an OAuth access token." }

const struct conf_key conf_keys[] = {
	{ "authority", "address", CONF_TEXT, AT(authority.address), "", 0, 0, NULL, SAMPLE(address),
	  "The authority's own mail address. Required." },
	{ "authority", "name", CONF_TEXT, AT(authority.name), "Security Authority", 0, 0, NULL, SAMPLE(name),
	  "The name beside the address in its mails." },
	{ "authority", "state-directory", CONF_PATH, AT(authority.state_directory), "/var/lib/countersign", 0, 0, NULL,
	  SAMPLE(state_directory), "Where the store and the keys are." },
	{ "authority", "runtime-directory", CONF_PATH, AT(authority.runtime_directory), "/run/countersign", 0, 0, NULL,
	  SAMPLE(runtime_directory), "For sockets and throw-away key homes. Has to be in memory (tmpfs)." },
	{ "authority", "passphrase-file", CONF_PATH, AT(authority.passphrase_file), "", 0, 0, NULL, SAMPLE(passphrase_file),
	  "A file with the passphrase of the authority's key, readable by its owner alone. Empty: the key has none,\n"
	  "or is unlocked by hand." },
	{ "authority", "key-home", CONF_PATH, AT(authority.key_home), "", 0, 0, NULL, 0,
	  "The GnuPG home of the authority's key. Empty: keys below the state directory." },
	{ "authority", "escrow-home", CONF_PATH, AT(authority.escrow_home), "", 0, 0, NULL, SAMPLE(escrow_home),
	  "The GnuPG home of the escrow key. Empty: escrow below the state directory." },
	{ "authority", "template-directory", CONF_PATH, AT(authority.template_directory), "", 0, 0, NULL, 0,
	  "Your own texts of token mails and slips (token.en.txt, token.en.html, ...). Empty: those built in." },
	{ "authority", "language", CONF_TEXT, AT(authority.language), "en", 0, 0, NULL, 0,
	  "The language of token mails and slips where none is named." },

	{ "mailbox", "url", CONF_MAILBOX_URL, MAILBOX_AT(server.url), "maildir:/var/lib/countersign/mail", 0, 0, NULL,
	  SAMPLE(mailbox_url), "maildir:DIRECTORY; or imaps://USER@HOST/FOLDER, with TLS from the start, or imap://USER@HOST/FOLDER, with\n"
	  "STARTTLS. A % or @ in USER is written %25 or %40, a port after the host. Required in this section." },
	SERVER_KEYS("mailbox", MAILBOX_AT),
	{ "mailbox", "done-folder", CONF_FOLDER, MAILBOX_AT(done_folder), "Done", 0, 0, NULL, 0,
	  "Where answered mails go. Empty: they are deleted." },
	{ "mailbox", "ignored-folder", CONF_FOLDER, MAILBOX_AT(ignored_folder), "Ignored", 0, 0, NULL, 0,
	  "Where mails go that ask for nothing. Empty: they are deleted." },
	{ "mailbox", "timeout", CONF_SPAN, MAILBOX_AT(timeout_seconds), "60s", 1, 3600, NULL, 0,
	  "How long the IMAP server may take to answer." },
	{ "mailbox", "idle", CONF_SPAN, MAILBOX_AT(idle_seconds), "5m", 1, 300, NULL, 0,
	  "How long to wait for the IMAP server's word before it is asked again." },

	{ "submit", "url", CONF_SUBMIT_URL, AT(submit.server.url), "sendmail:/usr/sbin/sendmail", 0, 0, NULL, SAMPLE(submit_url),
	  "sendmail:PROGRAM or maildir:DIRECTORY; or submissions://USER@HOST, with TLS from the start, or\n"
	  "submission://USER@HOST, with STARTTLS. Without USER nobody logs in." },
	SERVER_KEYS("submit", SUBMIT_AT),
	{ "submit", "recipient-delimiter", CONF_MARK, AT(submit.recipient_delimiter), "", 0, 0, NULL, 0,
	  "The character between a mail account and its extension, such as \"+\", where the mail server knows one;\n"
	  "a returned mail can then be matched to what was sent." },
	{ "submit", "bounces", CONF_SWITCH, AT(submit.bounces), "on", 0, 0, NULL, 0,
	  "off: mails leave with a null sender, and undeliverable ones are not returned." },
	{ "submit", "timeout", CONF_SPAN, AT(submit.timeout_seconds), "60s", 1, 3600, NULL, 0,
	  "How long the mail server may take for one answer; for the last one, that it has taken a mail, ten minutes at least." },
	{ "submit", "retry-first", CONF_SPAN, AT(submit.retry_first_seconds), "1m", 1, DAY, NULL, 0,
	  "When to try again after a failure; the pause doubles each time …" },
	{ "submit", "retry-most", CONF_SPAN, AT(submit.retry_most_seconds), "4h", 1, 7 * DAY, NULL, 0,
	  "… up to this." },
	{ "submit", "give-up", CONF_SPAN, AT(submit.give_up_seconds), "5d", 1, YEAR, NULL, 0,
	  "How old a mail grows before it is given up and the administrators are told." },

	{ "policy", "domains", CONF_LIST, AT(policy.domains), "", 0, 0, NULL, 0,
	  "Mail domains for whose addresses tokens may be issued. Empty: the authority's own." },
	{ "policy", "plain-requests", CONF_CHOICE, AT(policy.plain_requests), "on", 0, 0, "on encrypted off", 0,
	  "Requests from any mail program: on, encrypted (only those encrypted to the authority) or off." },
	{ "policy", "escrow", CONF_CHOICE, AT(policy.escrow), "offered", 0, 0, "required offered off", 0,
	  "Deposits of encryption keys, which let a user who lost keys or password read old mail again: required,\n"
	  "offered (the client makes one unless its user refuses) or off." },
	{ "policy", "escrow-for", CONF_LIST, AT(policy.escrow_for), "", 0, 0, NULL, 0,
	  "Another policy for some: {\"bob@example.org=required\", \"@lab.example.org=off\"}. The first that fits counts;\n"
	  "\"@.example.org=off\" is for all domains below." },
	{ "policy", "issuers", CONF_LIST, AT(policy.issuers), "", 0, 0, NULL, 0,
	  "Who may put tokens into mails through the mail server's filter: {\"carol@example.org\"} where that is also the\n"
	  "login, else {\"carol@example.org=LOGIN\"}. Empty: nobody." },
	{ "policy", "token-by-mail", CONF_CHOICE, AT(policy.token_by_mail), "enroll", 0, 0, "enroll recover both none", 0,
	  "For which purposes tokens may be sent by mail: enroll, recover, both or none." },
	{ "policy", "token-expires", CONF_SPAN, AT(policy.token_expires_seconds), "14d", 1, 10 * YEAR, NULL, 0,
	  "How long a token is good for." },
	{ "policy", "certify", CONF_SPAN, AT(policy.certify_seconds), "365d", 1, 100 * YEAR, NULL, 0,
	  "How long a certification is good for …" },
	{ "policy", "certify-spread", CONF_SPAN, AT(policy.certify_spread_seconds), "30d", 0, 10 * YEAR, NULL, 0,
	  "… and up to how much longer at random, so that those of one day don't all end on one day." },
	{ "policy", "grace", CONF_SPAN, AT(policy.grace_seconds), "30d", 0, 10 * YEAR, NULL, 0,
	  "How long after its end a certification can still be renewed without a token." },
	{ "policy", "reminders", CONF_SPANS, AT(policy.reminder_seconds), "30d 14d 3d", 1, 90 * DAY, NULL, 0,
	  "How long before its end a user is reminded by mail to renew it, once each. Empty: never." },
	{ "policy", "revoked", CONF_CHOICE, AT(policy.revoked), "publish", 0, 0, "publish unpublish", 0,
	  "What becomes of a revoked key in the Web Key Directory: publish (as revoked, so that others hear of it) or\n"
	  "unpublish." },
	{ "policy", "policy-url", CONF_LINK, AT(policy.policy_url), "", 0, 0, NULL, 0,
	  "A page about the policy, named in each certification. Empty: none." },
	{ "policy", "rsa-bits-min", CONF_COUNT, AT(policy.rsa_bits_min), "2048", 1024, 16384, NULL, 0,
	  "The shortest RSA key that is certified." },
	{ "policy", "curves", CONF_LIST, AT(policy.curves), CURVES, 0, 0, CURVES " ed448 cv448", 0,
	  "The elliptic curves that are certified; ed448 and cv448 need a GnuPG that knows them. Empty: the default." },
	{ "policy", "dsa-elgamal", CONF_SWITCH, AT(policy.dsa_elgamal), "off", 0, 0, NULL, 0,
	  "Whether DSA and Elgamal keys are certified." },

	{ "wkd", "directory", CONF_PATH, AT(wkd.directory), "", 0, 0, NULL, 0,
	  "The directory that the web server shows, for the Web Key Directory. Empty: keys are not published." },
	{ "wkd", "policy", CONF_LINES, AT(wkd.policy), "", 0, 0, NULL, 0,
	  "The text of its policy file, such as \"auth-submit\"." },

	{ "log", "level", CONF_CHOICE, AT(log.level), "info", 0, 0, "error warning info debug", 0,
	  "error, warning, info or debug." },

	{ "limits", "mail-size", CONF_SIZE, AT(limits.mail_bytes), "256K", KIB, 64 * MIB, NULL, 0,
	  "The largest mail that is read." },
	{ "limits", "nesting", CONF_COUNT, AT(limits.nesting), "20", 1, 100, NULL, 0,
	  "How deep its parts may be nested." },
	{ "limits", "parts", CONF_COUNT, AT(limits.parts), "100", 1, 10000, NULL, 0, "How many parts it may have." },
	{ "limits", "header-size", CONF_SIZE, AT(limits.header_bytes), "64K", KIB, MIB, NULL, 0,
	  "How large its header may be." },
	{ "limits", "parser-time", CONF_SPAN, AT(limits.parser_seconds), "5s", 1, 3600, NULL, 0,
	  "Processor time for parsing one mail." },
	{ "limits", "parser-memory", CONF_SIZE, AT(limits.parser_memory_bytes), "256M", 16 * MIB, 16 * KIB * MIB, NULL, 0,
	  "Memory for parsing one mail." },
	{ "limits", "gpg-time", CONF_SPAN, AT(limits.gpg_seconds), "30s", 1, 3600, NULL, 0,
	  "How long one operation of gpg may take before it is killed." },
	{ "limits", "decompressed-size", CONF_SIZE, AT(limits.decompressed_bytes), "2M", KIB, 256 * MIB, NULL, 0,
	  "How much one encrypted message may hold." },
	{ "limits", "attempts", CONF_COUNT, AT(limits.attempts), "3", 1, 100, NULL, 0,
	  "After how many crashes or time-outs a mail is put into quarantine." },
	{ "limits", "workers", CONF_COUNT, AT(limits.workers), "0", 0, 256, NULL, 0,
	  "How many mails are worked on at once. 0: as many as there are processors." },
	{ "limits", "mails-per-address-day", CONF_COUNT, AT(limits.mails_per_address_day), "5", 1, 1000000, NULL, 0,
	  "Refusals to one address in a day; as many repeated replies, and four times as many notices." },
	{ "limits", "mails-per-hour", CONF_COUNT, AT(limits.mails_per_hour), "200", 1, 1000000, NULL, 0,
	  "Refusals and repeated replies in an hour, in all." },
	{ "limits", "poll", CONF_SPAN, AT(limits.poll_seconds), "60s", 1, DAY, NULL, 0,
	  "How often to look for mail that nobody told us of." },
	{ "limits", "reconnect-first", CONF_SPAN, AT(limits.reconnect_first_seconds), "1s", 1, 3600, NULL, 0,
	  "When to try a mail server again that could not be reached; the pause doubles each time, give or take a part …" },
	{ "limits", "reconnect-most", CONF_SPAN, AT(limits.reconnect_most_seconds), "5m", 1, DAY, NULL, 0,
	  "… up to this, and begins here where the server refused the credentials." },
	{ "limits", "busy", CONF_SPAN, AT(limits.busy_seconds), "5s", 0, 3600, NULL, 0,
	  "How long to wait for the store when another process writes to it." },

	{ "notify", "auditors", CONF_LIST, AT(notify.auditors), "", 0, 0, NULL, 0,
	  "Addresses that get a copy of each notice." },
	{ "notify", "administrators", CONF_LIST, AT(notify.administrators), "", 0, 0, NULL, 0,
	  "Addresses that hear of quarantine and alarms." },
};

const struct conf_section conf_sections[CONF_SECTION_COUNT] = {
	{ "authority", "Who we are and where our things are." },
	{ "mailbox", "Where requests arrive. There may be several such sections." },
	{ "submit", "How mails leave." },
	{ "policy", "What is certified, and for whom." },
	{ "wkd", "Publication in the Web Key Directory." },
	{ "log", "Diagnostics." },
	{ "limits", "Limits and intervals." },
	{ "notify", "Who else is told." },
};
/* clang-format on */

const size_t conf_key_count = sizeof conf_keys / sizeof conf_keys[0];

bool conf_word_next(const char **words, struct bytes *word_out)
{
	*words += strspn(*words, " ");
	*word_out = bytes_of(*words, strcspn(*words, " "));
	*words += word_out->len;
	return word_out->len > 0;
}

static enum err check_choice(const struct conf_key *key, const char *text)
{
	const char *words = key->choices;
	struct bytes word;

	while (conf_word_next(&words, &word))
		if (bytes_equal(word, bytes_of_text(text)))
			return ERR_OK;
	return err_fail(ERR_CONFIG, "\"%s\" is none of: %s", text, key->choices);
}

/* `forms` is what the sentence proposes. */
static enum err check_url(const char *text, const char *schemes, const char *forms)
{
	struct url url = { 0 };
	enum err err = url_parse(text, schemes, &url);

	url_free(&url);
	return err == ERR_OK ? err : err_fail(err, "%s; write %s", err_text(), forms);
}

static enum err check_text(const struct conf_key *key, const char *text)
{
	enum err err = ERR_OK;

	switch (key->type) {
	case CONF_PATH:
		if (text[0] != '/' && (text[0] || key->value[0]))
			err = err_fail(ERR_CONFIG, "\"%s\" does not begin at /", text);
		break;
	case CONF_FOLDER:
		if (text[0] == '.' || strchr(text, '/'))
			err = err_fail(ERR_CONFIG, "\"%s\" can't be the name of a folder", text);
		break;
	case CONF_MARK:
		if (strlen(text) > 1 || strspn(text, "+-=#_.") != strlen(text))
			err = err_fail(ERR_CONFIG, "\"%s\" is not one of + - = # _ .", text);
		break;
	case CONF_PIN:
		if (text[0] && (strlen(text) != 44 || text[43] != '='))
			err = err_fail(ERR_CONFIG, "\"%s\" is not a SHA-256 in base64", text);
		break;
	case CONF_LINK:
		if (text[0] && !str_starts(text, "https://") && !str_starts(text, "http://"))
			err = err_fail(ERR_CONFIG, "\"%s\" does not begin with https://", text);
		break;
	case CONF_MAILBOX_URL:
		err = check_url(
		    text, URL_MAILBOX_SCHEMES, "maildir:/DIRECTORY or imaps://USER@HOST/FOLDER");
		break;
	case CONF_SUBMIT_URL:
		err = check_url(text, URL_SUBMIT_SCHEMES,
		    "sendmail:/PROGRAM, maildir:/DIRECTORY or submissions://USER@HOST");
		break;
	case CONF_CHOICE:
		return check_choice(key, text);
	case CONF_LIST:
		return key->choices ? check_choice(key, text) : ERR_OK;
	default:
		break;
	}
	return err;
}

static enum err read_size(const char *text, int64_t *out)
{
	static const char units[] = "KMG";
	size_t len = strlen(text);
	const char *unit = len ? strchr(units, text[len - 1]) : NULL;
	char *number = str_ndup(text, unit ? len - 1 : len);
	int shift = unit ? 10 * (int)(unit - units + 1) : 0;
	int64_t count = 0;
	enum err err = str_to_int(number, 0, INT64_MAX >> shift, &count);

	*out = count << shift;
	str_free(&number);
	return err == ERR_OK
		   ? err
		   : err_fail(ERR_DATA, "\"%s\" is not a size like 65536, 256K or 2M", text);
}

static enum err read_number(const struct conf_key *key, const char *text, int64_t *out)
{
	char least[WHEN_TEXT_SIZE], most[WHEN_TEXT_SIZE];
	enum err err;

	if (key->type == CONF_SPAN || key->type == CONF_SPANS)
		err = when_parse_span(text, out);
	else if (key->type == CONF_SIZE)
		err = read_size(text, out);
	else
		err = str_to_int(text, INT64_MIN, INT64_MAX, out);
	if (err != ERR_OK)
		return ERR_CONFIG;
	if (*out >= key->min && *out <= key->max)
		return ERR_OK;
	if (key->type == CONF_SPAN || key->type == CONF_SPANS)
		return err_fail(ERR_CONFIG, "%s is not between %s and %s", text,
		    when_format_span(key->min, least), when_format_span(key->max, most));
	return err_fail(
	    ERR_CONFIG, "%s is not between %" PRId64 " and %" PRId64, text, key->min, key->max);
}

static enum err read_switch(const char *text, bool *out)
{
	*out = str_equal(text, "on");
	if (!*out && !str_equal(text, "off"))
		return err_fail(ERR_CONFIG, "\"%s\" is neither on nor off", text);
	return ERR_OK;
}

static bool has_control(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 127)
			return true;
	return false;
}

enum err conf_key_check(const struct conf_key *key, const char *text)
{
	int64_t number;
	bool on;

	if (key->type != CONF_LINES && has_control(text))
		return err_fail(ERR_CONFIG, "the value holds control characters");
	switch (key->type) {
	case CONF_SWITCH:
		return read_switch(text, &on);
	case CONF_SPAN:
	case CONF_SIZE:
	case CONF_COUNT:
	case CONF_SPANS:
		return read_number(key, text, &number);
	default:
		return check_text(key, text);
	}
}

enum err conf_key_store(const struct conf_key *key, const char *text, void *at)
{
	switch (key->type) {
	case CONF_SWITCH:
		return read_switch(text, at);
	case CONF_SPAN:
	case CONF_SIZE:
	case CONF_COUNT:
		return read_number(key, text, at);
	default:
		*(char **)at = str_dup(text);
		return ERR_OK;
	}
}

void conf_key_free(const struct conf_key *key, void *at)
{
	char **list;

	switch (key->type) {
	case CONF_SWITCH:
	case CONF_SPAN:
	case CONF_SIZE:
	case CONF_COUNT:
		return;
	case CONF_SPANS:
		free(*(int64_t **)at);
		return;
	case CONF_LIST:
		list = *(char ***)at;
		for (size_t i = 0; list && list[i]; i++)
			str_free(&list[i]);
		free(list);
		return;
	default:
		str_free(at);
	}
}
