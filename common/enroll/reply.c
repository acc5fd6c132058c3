#include "enroll/reply.h"

#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "base/when.h"
#include "enroll/internal.h"
#include "text/address.h"

#define LINE_BYTES_MAX 998
#define SENTENCE_BYTES_MAX 600

enum {
	FIELD_VERSION,
	FIELD_ID,
	FIELD_RESULT,
	FIELD_ADDRESS,
	FIELD_KEYSET,
	FIELD_FINGERPRINT,
	FIELD_UNTIL,
	FIELD_AUTHORITY,
	FIELD_NONCE,
	FIELD_LOG,
	FIELD_REASON,
	FIELD_WHAT,
	FIELD_ADVICE,
	FIELD_COUNT
};

/* Optional here is what a refusal or an acceptance has not; reply_parse says which. */
static const struct field fields[FIELD_COUNT] = {
	[FIELD_VERSION] = { "Countersign-Reply", 8, false },
	[FIELD_ID] = { "Request-Id", LINE_BYTES_MAX, false },
	[FIELD_RESULT] = { "Result", 16, false },
	[FIELD_ADDRESS] = { "Address", ADDRESS_BYTES_MAX, false },
	[FIELD_KEYSET] = { "Keyset", 128, true },
	[FIELD_FINGERPRINT] = { "Fingerprint", 40, true },
	[FIELD_UNTIL] = { "Certified-Until", 20, true },
	[FIELD_AUTHORITY] = { "Authority", 40, false },
	[FIELD_NONCE] = { "Nonce", 40, true },
	[FIELD_LOG] = { "Log-Head", 90, true },
	[FIELD_REASON] = { "Reason", 40, true },
	[FIELD_WHAT] = { "What", SENTENCE_BYTES_MAX, true },
	[FIELD_ADVICE] = { "Advice", SENTENCE_BYTES_MAX, true },
};

static const bool in_refusal[FIELD_COUNT] = {
	[FIELD_REASON] = true, [FIELD_WHAT] = true, [FIELD_ADVICE] = true
};
static const bool in_acceptance[FIELD_COUNT] = { [FIELD_KEYSET] = true,
	[FIELD_FINGERPRINT] = true,
	[FIELD_UNTIL] = true,
	[FIELD_NONCE] = true,
	[FIELD_LOG] = true };

static const char *const result_names[] = {
	[REPLY_ENROLLED] = "enrolled",
	[REPLY_RENEWED] = "renewed",
	[REPLY_RECOVERED] = "recovered",
	[REPLY_REFUSED] = "refused",
};

const char *reply_result_name(enum reply_result result)
{
	return result_names[result];
}

void reply_write(const struct reply *reply, struct buf *out)
{
	char until[WHEN_TEXT_SIZE] = "", log[96] = "";
	bool refused = reply->result == REPLY_REFUSED;
	if (!refused)
		when_format(reply->certified_until, until);
	if (!refused || reply->log_hash[0])
		snprintf(
		    log, sizeof(log), "%lld %s", (long long)reply->log_number, reply->log_hash);
	const char *const values[FIELD_COUNT] = {
		[FIELD_VERSION] = "1",
		[FIELD_ID] = reply->request_id,
		[FIELD_RESULT] = result_names[reply->result],
		[FIELD_ADDRESS] = reply->address,
		[FIELD_KEYSET] = reply->keyset,
		[FIELD_FINGERPRINT] = reply->fingerprint,
		[FIELD_UNTIL] = until,
		[FIELD_AUTHORITY] = reply->authority,
		[FIELD_NONCE] = reply->nonce,
		[FIELD_LOG] = log,
		[FIELD_REASON] = refused ? reason_code(reply->reason) : NULL,
		[FIELD_WHAT] = refused ? reply->what : NULL,
		[FIELD_ADVICE] = refused ? reply->advice : NULL,
	};
	for (size_t i = 0; i < FIELD_COUNT; i++)
		field_put(out, fields[i].name, values[i]);
}

static bool result_read(const char *value, enum reply_result *out)
{
	for (int i = REPLY_ENROLLED; i <= REPLY_REFUSED; i++)
		if (str_equal(result_names[i], value)) {
			*out = (enum reply_result)i;
			return true;
		}
	return false;
}

/* P6.4, P6.5: what belongs into which reply. */
static bool presence_check(
    char *const *values, enum reply_result result, char fault[FIELD_FAULT_SIZE])
{
	bool refused = result == REPLY_REFUSED;
	const bool *wanted = refused ? in_refusal : in_acceptance;
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		if (wanted[i] && !values[i])
			return field_fault(fault, fields[i].name, "is missing");
		bool foreign = refused ? i == FIELD_NONCE || i == FIELD_UNTIL : in_refusal[i];
		if (foreign && values[i])
			return field_fault(fault, fields[i].name, "does not belong here");
	}
	return true;
}

/* "NUMBER HASH" */
static bool log_read(const char *value, struct reply *out)
{
	uint8_t hash[32];
	const char *blank = strchr(value, ' ');
	if (!blank || strlen(blank + 1) != 64 || hex_read(blank + 1, hash, sizeof(hash)))
		return false;
	char *number = str_ndup(value, (size_t)(blank - value));
	enum err err = str_to_int(number, 0, INT64_MAX, &out->log_number);
	str_free(&number);
	memcpy(out->log_hash, blank + 1, sizeof(out->log_hash));
	return err == ERR_OK;
}

static bool numbers_read(char *const *values, struct reply *out, char fault[FIELD_FAULT_SIZE])
{
	if (!fingerprint_read(values[FIELD_AUTHORITY], out->authority))
		return field_fault(fault, "Authority", "is not 40 hexadecimal digits");
	if (values[FIELD_FINGERPRINT] &&
	    !fingerprint_read(values[FIELD_FINGERPRINT], out->fingerprint))
		return field_fault(fault, "Fingerprint", "is not 40 hexadecimal digits");
	if (values[FIELD_UNTIL] && when_parse(values[FIELD_UNTIL], &out->certified_until))
		return field_fault(
		    fault, "Certified-Until", "is not a time like 2026-11-22T04:00:00Z");
	if (values[FIELD_LOG] && !log_read(values[FIELD_LOG], out))
		return field_fault(fault, "Log-Head", "is not a number and a hash");
	return true;
}

static bool values_read(char **values, struct reply *out, char fault[FIELD_FAULT_SIZE])
{
	if (!result_read(values[FIELD_RESULT], &out->result))
		return field_fault(fault, "Result", "is unknown");
	if (!presence_check(values, out->result, fault) || !numbers_read(values, out, fault))
		return false;
	if (address_canonical(values[FIELD_ADDRESS], &out->address))
		return field_fault(fault, "Address", "is not a mail address");
	if (values[FIELD_NONCE] &&
	    !(out->nonce = nonce_canonical(bytes_of_text(values[FIELD_NONCE]))))
		return field_fault(fault, "Nonce", "is not 26 symbols of base32");
	if (values[FIELD_REASON])
		out->reason = reason_from_code(values[FIELD_REASON]);
	out->request_id = str_dup(values[FIELD_ID]);
	out->keyset = str_dup(values[FIELD_KEYSET]);
	out->what = str_dup(values[FIELD_WHAT]);
	out->advice = str_dup(values[FIELD_ADVICE]);
	return true;
}

enum err reply_parse(struct bytes text, struct reply *out)
{
	char *values[FIELD_COUNT], fault[FIELD_FAULT_SIZE];
	*out = (struct reply){ 0 };
	bool right = fields_read_all(text, fields, FIELD_COUNT, values, fault) &&
		     values_read(values, out, fault);
	fields_free(values, FIELD_COUNT);
	return right ? ERR_OK : err_fail(ERR_DATA, "the reply can't be read: %s", fault);
}

void reply_free(struct reply *reply)
{
	str_free(&reply->request_id);
	str_free(&reply->address);
	str_free(&reply->keyset);
	str_free(&reply->nonce);
	str_free(&reply->what);
	str_free(&reply->advice);
	*reply = (struct reply){ 0 };
}
