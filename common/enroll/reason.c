#include "enroll/reason.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"

struct reason_text {
	const char *code, *what, *advice;
};

static const struct reason_text reasons[REASON_COUNT] = {
	[REASON_NONE] = { "none", "Nothing was wrong.", "There is nothing to do." },
	[REASON_TOKEN_EXPIRED] = { "token-expired", "The token in your request has expired.",
	    "Ask your administrator for a new token; with our client, then run \"countersign request "
	    "--again\"." },
	[REASON_TOKEN_USED] = { "token-used",
	    "The token in your request has been used already, and a token works only once.",
	    "If you enrolled yourself, open the reply that you got then; if it was not you, tell your "
	    "administrator at once." },
	[REASON_TOKEN_SUPERSEDED] = { "token-superseded",
	    "The token in your request was replaced by a newer one.",
	    "Use the newest token that you were given, or ask your administrator for another." },
	[REASON_TOKEN_VOIDED] = { "token-voided",
	    "The token in your request was taken back, or is no longer needed because the address was "
	    "enrolled or revoked in another way.",
	    "Ask your administrator whether you need a new token." },
	[REASON_TOKEN_AMBIGUOUS] = { "token-ambiguous",
	    "Your mail holds several different tokens, and it is not clear which one you mean.",
	    "Send the request again with only the newest token in it." },
	[REASON_ADDRESS_MISMATCH] = { "address-mismatch",
	    "The token in your request was issued for another address than the one it came from.",
	    "Send the request from the address that the token was issued for, or ask your administrator "
	    "for a token for this address." },
	[REASON_STALE] = { "stale",
	    "The date in your request is before its token was issued, or in the future.",
	    "Set the clock of your computer right and run \"countersign request --again\"." },
	[REASON_KEYSET_NAME_INVALID] = { "keyset-name-invalid",
	    "The name of the keyset is not one that can be used.",
	    "Choose a name of at most 32 letters, digits, blanks, dots, hyphens and underscores that begins "
	    "with a letter or digit, and send the request again." },
	[REASON_KEYSET_NAME_IN_USE] = { "keyset-name-in-use",
	    "You have an active keyset of this name already.",
	    "Send the request again with another name, or make it on the computer that holds the keyset, so "
	    "that it is signed with its key." },
	[REASON_KEYSET_NOT_ALLOWED] = { "keyset-not-allowed",
	    "The token was issued for a keyset of another name.",
	    "Send the request again with the name that you were given together with the token." },
	[REASON_KEYSET_EXISTS] = { "keyset-exists",
	    "Your address has an active keyset, and the request is not signed with its key.",
	    "Make the request on the computer that holds the keyset; if you lost it, ask your administrator "
	    "to recover it, or for a token for an additional keyset." },
	[REASON_KEYSET_UNKNOWN] = { "keyset-unknown",
	    "There is no active keyset that the request could be for.",
	    "Ask your administrator for a token and enroll with \"countersign request\"." },
	[REASON_KEYSET_REVOKED] = { "keyset-revoked",
	    "The keyset was revoked and can't be used or renewed any more.",
	    "Ask your administrator for a token and enroll with a new key." },
	[REASON_KEY_MISSING] = { "key-missing", "Your mail holds no public key for this address.",
	    "Attach your public key to the mail and send it again with the same token." },
	[REASON_KEY_AMBIGUOUS] = { "key-ambiguous",
	    "Your mail holds several public keys for this address.",
	    "Send the request again with only the key attached that is to be enrolled." },
	[REASON_KEY_UNUSABLE] = { "key-unusable",
	    "The public key in your request can't be certified as it is.",
	    "Make a new key, or mend this one in your mail program, and send the request again with the same "
	    "token." },
	[REASON_KEY_SECRET] = { "key-secret",
	    "Your mail held a secret key, which must never be sent to anybody; it was not kept.",
	    "Consider that key lost: make a new one and send only its public half, with the same token." },
	[REASON_KEY_OTHER_PERSON] = { "key-other-person",
	    "The key in your request is enrolled for somebody else.",
	    "Make a key of your own and send the request again, or ask your administrator." },
	[REASON_NAME_MISMATCH] = { "name-mismatch",
	    "The name in your key is not the name that is recorded for you.",
	    "Change the name in your key to the recorded one, or ask your administrator to correct the "
	    "record." },
	[REASON_SIGNATURE_INVALID] = { "signature-invalid",
	    "The signature on your request does not hold.",
	    "Send the request again; if this is repeated, ask your administrator." },
	[REASON_DEPOSIT_REQUIRED] = { "deposit-required",
	    "Your organisation keeps a sealed copy of encryption keys, and the request came without one.",
	    "Run \"countersign request --again --deposit\" and give the same token." },
	[REASON_DEPOSIT_UNWANTED] = { "deposit-unwanted",
	    "The request came with a copy of your encryption key, and this authority does not keep any.",
	    "Run \"countersign request --again --no-deposit\" and give the same token." },
	[REASON_DEPOSIT_MISMATCH] = { "deposit-mismatch",
	    "The deposited copy does not belong to the encryption key in the request.",
	    "Run \"countersign request --again\"; if this is repeated, ask your administrator." },
	[REASON_CLIENT_REQUIRED] = { "client-required",
	    "This request can be made only with the program countersign.",
	    "Install countersign and run \"countersign request\" with the same token, or with a new one where it was taken back." },
	[REASON_REQUEST_MALFORMED] = { "request-malformed", "The request could not be read.",
	    "Run \"countersign request --again\"; if this is repeated, ask your administrator to look at it." },
	[REASON_TOO_LARGE] = { "too-large", "The request is larger than this authority accepts.",
	    "Send it again without other attachments, and with a key that carries only your own address." },
	[REASON_POLICY] = { "policy", "The rules of this authority do not allow the request.",
	    "Ask your administrator what is possible." },
	[REASON_TOKEN_ALMOST] = { "token-unreadable",
	    "Your mail holds something that looks like a token, but it is mistyped or incomplete.",
	    "Compare it with the token that you were given, all five groups of five, and send the mail again." },
};

const char *reason_code(enum reason reason)
{
	return reasons[reason].code;
}

enum reason reason_from_code(const char *code)
{
	for (int i = REASON_NONE + 1; i < REASON_COUNT; i++)
		if (strcmp(reasons[i].code, code) == 0)
			return (enum reason)i;
	return REASON_NONE;
}

const char *reason_what(enum reason reason)
{
	return reasons[reason].what;
}

const char *reason_do(enum reason reason)
{
	return reasons[reason].advice;
}

_Bool refuse(struct refusal *r, enum reason reason, const char *format, ...)
{
	*r = (struct refusal){ .reason = reason };
	if (format) {
		va_list ap;
		va_start(ap, format);
		vsnprintf(r->detail, sizeof(r->detail), format, ap);
		va_end(ap);
	}
	return false;
}
