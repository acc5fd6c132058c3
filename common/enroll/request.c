#include "enroll/request.h"

#include <string.h>

#include "base/encode.h"
#include "base/when.h"
#include "enroll/internal.h"
#include "text/address.h"

#define ID_BYTES 16
#define ID_SYMBOLS 26
#define KEYSET_BYTES_MAX 128 /* more than P4.6 allows, so that it can be refused by its own code */
#define SIGNATURE_CONTEXT "countersign request v1\n"
#define BASE64_LINE 64

enum {
	FIELD_VERSION,
	FIELD_ID,
	FIELD_KIND,
	FIELD_ADDRESS,
	FIELD_NAME,
	FIELD_KEYSET,
	FIELD_FINGERPRINT,
	FIELD_AUTHORITY,
	FIELD_CREATED,
	FIELD_TOKEN_KEY,
	FIELD_TOKEN_SIGNATURE,
	FIELD_COUNT
};

static const struct field fields[FIELD_COUNT] = {
	[FIELD_VERSION] = { "Countersign-Request", 8, false },
	[FIELD_ID] = { "Request-Id", ID_SYMBOLS, false },
	[FIELD_KIND] = { "Kind", 16, false },
	[FIELD_ADDRESS] = { "Address", ADDRESS_BYTES_MAX, false },
	[FIELD_NAME] = { "Name", NAME_BYTES_MAX, true },
	[FIELD_KEYSET] = { "Keyset", KEYSET_BYTES_MAX, false },
	[FIELD_FINGERPRINT] = { "Fingerprint", 40, false },
	[FIELD_AUTHORITY] = { "Authority", 40, false },
	[FIELD_CREATED] = { "Created", 20, false },
	[FIELD_TOKEN_KEY] = { "Token-Key", TOKEN_KEY_BYTES * 2, true },
	[FIELD_TOKEN_SIGNATURE] = { "Token-Signature", 88, true },
};

enum {
	CONFIRMATION_VERSION,
	CONFIRMATION_ID,
	CONFIRMATION_ADDRESS,
	CONFIRMATION_KEYSET,
	CONFIRMATION_FINGERPRINT,
	CONFIRMATION_AUTHORITY,
	CONFIRMATION_NONCE,
	CONFIRMATION_COUNT
};

static const struct field confirmation_fields[CONFIRMATION_COUNT] = {
	[CONFIRMATION_VERSION] = { "Countersign-Confirmation", 8, false },
	[CONFIRMATION_ID] = { "Request-Id", ID_SYMBOLS, false },
	[CONFIRMATION_ADDRESS] = { "Address", ADDRESS_BYTES_MAX, false },
	[CONFIRMATION_KEYSET] = { "Keyset", KEYSET_BYTES_MAX, false },
	[CONFIRMATION_FINGERPRINT] = { "Fingerprint", 40, false },
	[CONFIRMATION_AUTHORITY] = { "Authority", 40, false },
	[CONFIRMATION_NONCE] = { "Nonce", 40, false },
};

static bool malformed(struct refusal *why, const char *fault)
{
	return refuse(why, REASON_REQUEST_MALFORMED, "The request can't be read: %s.", fault);
}

bool request_looks_like(struct bytes text)
{
	return text_begins(text, "Countersign-Request:") || confirmation_looks_like(text);
}

bool confirmation_looks_like(struct bytes text)
{
	return text_begins(text, "Countersign-Confirmation:");
}

/* In upper case, or false unless it is 26 symbols. */
static bool id_read(char *value)
{
	size_t len = strlen(value);
	for (size_t i = 0; i < len; i++) {
		int symbol = base32_value((unsigned char)value[i]);
		if (symbol < 0 || base32_alphabet[symbol] != value[i])
			return false;
	}
	return len == ID_SYMBOLS;
}

static char *taken(char **value)
{
	char *text = *value;
	*value = NULL;
	return text;
}

static bool kind_read(char **values, struct request *out, char fault[FIELD_FAULT_SIZE])
{
	if (str_equal(values[FIELD_KIND], "enroll"))
		out->kind = REQUEST_ENROLL;
	else if (str_equal(values[FIELD_KIND], "renew"))
		out->kind = REQUEST_RENEW;
	else
		return field_fault(fault, "Kind", "is neither enroll nor renew");
	for (size_t i = FIELD_TOKEN_KEY; i <= FIELD_TOKEN_SIGNATURE; i++)
		if (!values[i] != (out->kind == REQUEST_RENEW))
			return field_fault(fault, fields[i].name,
			    values[i] ? "does not belong into a renewal" : "is missing");
	return true;
}

static bool token_fields_read(char **values, struct request *out, char fault[FIELD_FAULT_SIZE])
{
	if (out->kind == REQUEST_RENEW)
		return true;
	if (hex_read(values[FIELD_TOKEN_KEY], out->token_key, TOKEN_KEY_BYTES))
		return field_fault(fault, "Token-Key", "is not 64 hexadecimal digits");
	struct buf signature = BUF_INIT;
	bool right =
	    base64_read(bytes_of_text(values[FIELD_TOKEN_SIGNATURE]), &signature) == ERR_OK &&
	    signature.len == TOKEN_SIGNATURE_BYTES;
	if (right)
		memcpy(out->token_signature, signature.data, signature.len);
	buf_free(&signature);
	return right || field_fault(fault, "Token-Signature", "is not 64 bytes in base64");
}

static bool values_read(char **values, struct request *out, char fault[FIELD_FAULT_SIZE])
{
	if (!kind_read(values, out, fault) || !token_fields_read(values, out, fault))
		return false;
	if (!id_read(values[FIELD_ID]))
		return field_fault(fault, "Request-Id", "is not 26 symbols of base32");
	if (address_canonical(values[FIELD_ADDRESS], &out->address))
		return field_fault(fault, "Address", "is not a mail address");
	if (!fingerprint_read(values[FIELD_FINGERPRINT], out->fingerprint))
		return field_fault(fault, "Fingerprint", "is not 40 hexadecimal digits");
	if (!fingerprint_read(values[FIELD_AUTHORITY], out->authority))
		return field_fault(fault, "Authority", "is not 40 hexadecimal digits");
	if (when_parse(values[FIELD_CREATED], &out->created))
		return field_fault(fault, "Created", "is not a time like 2026-11-22T04:00:00Z");
	out->id = taken(&values[FIELD_ID]);
	out->name = taken(&values[FIELD_NAME]);
	out->keyset = taken(&values[FIELD_KEYSET]);
	return true;
}

/* P2.3: the context and the lines as they were sent. */
static void sign_lines(char *const *values, struct buf *out)
{
	buf_clear(out);
	buf_add_text(out, SIGNATURE_CONTEXT);
	for (size_t i = 0; i < FIELD_TOKEN_SIGNATURE; i++)
		field_put(out, fields[i].name, values[i]);
}

static void sign_hashes(const struct request *request, struct buf *out)
{
	uint8_t hash[HASH_BYTES];
	hash_sha256(buf_bytes(&request->key), hash);
	buf_add(out, hash, sizeof(hash));
	memset(hash, 0, sizeof(hash));
	if (request->deposit.len)
		hash_sha256(buf_bytes(&request->deposit), hash);
	buf_add(out, hash, sizeof(hash));
}

static struct bytes until_block(struct bytes *rest, const char *label)
{
	struct bytes before = bytes_of(rest->data, 0), line;
	size_t label_len = strlen(label);
	for (struct bytes next = *rest; bytes_line(&next, &line); *rest = next) {
		if (line.len >= label_len && memcmp(line.data, label, label_len) == 0)
			break;
		before.len = (size_t)(next.data - before.data);
	}
	return before;
}

/* "NAME: LENGTH" and the base64 lines up to `next_label`. */
static bool block_read(struct bytes *rest, const char *name, const char *next_label, size_t most,
    struct buf *out, struct refusal *why)
{
	struct bytes line = { 0 };
	int64_t length = 0;
	size_t name_len = strlen(name);
	if (!bytes_line(rest, &line) || line.len < name_len + 1 ||
	    memcmp(line.data, name, name_len) != 0 || line.data[name_len] != ':')
		return refuse(why, REASON_REQUEST_MALFORMED,
		    "The request can't be read: the field %s is missing.", name);
	while (line.len && strchr(" \t\r", line.data[line.len - 1]))
		line.len--;
	while (line.len > name_len + 1 && line.data[name_len + 1] == ' ')
		name_len++;
	char *number = str_ndup((const char *)line.data + name_len + 1, line.len - name_len - 1);
	enum err err = str_to_int(number, 1, INT32_MAX, &length);
	str_free(&number);
	if (err)
		return refuse(why, REASON_REQUEST_MALFORMED,
		    "The request can't be read: the field %s has no length.", name);
	if ((uint64_t)length > most)
		return refuse(why, REASON_TOO_LARGE, "%s has %lld bytes; at most %zu are accepted.",
		    name, (long long)length, most);
	err = base64_read(until_block(rest, next_label), out);
	if (err || out->len != (size_t)length)
		return refuse(why, REASON_REQUEST_MALFORMED,
		    "The request can't be read: %s is not %lld bytes in base64.", name,
		    (long long)length);
	return true;
}

static void skip_blank_lines(struct bytes *rest)
{
	struct bytes line;
	for (struct bytes next = *rest; bytes_line(&next, &line); *rest = next)
		for (size_t i = 0; i < line.len; i++)
			if (!strchr(" \t\r", line.data[i]) || !line.data[i])
				return;
}

static bool blocks_read(struct bytes rest, struct request *out, struct refusal *why)
{
	skip_blank_lines(&rest);
	if (!block_read(&rest, "Key", "Deposit:", REQUEST_KEY_BYTES_MAX, &out->key, why))
		return false;
	if (rest.len && !block_read(&rest, "Deposit", "Deposit:", REQUEST_DEPOSIT_BYTES_MAX,
			    &out->deposit, why))
		return false;
	return !rest.len || malformed(why, "the field Deposit is repeated");
}

bool request_parse(struct bytes text, struct request *out, struct refusal *why)
{
	char *values[FIELD_COUNT], fault[FIELD_FAULT_SIZE];
	*out = (struct request){ .deposit = BUF_SECRET };
	if (text.len > REQUEST_BYTES_MAX)
		return refuse(why, REASON_TOO_LARGE,
		    "The request has %zu bytes; at most %d are accepted.", text.len,
		    REQUEST_BYTES_MAX);
	bool right = fields_read(&text, fields, FIELD_COUNT, values, fault);
	if (right) {
		sign_lines(values, &out->signed_text);
		right = values_read(values, out, fault);
	}
	fields_free(values, FIELD_COUNT);
	if (!right)
		return malformed(why, fault);
	if (!blocks_read(text, out, why))
		return false;
	sign_hashes(out, &out->signed_text);
	return true;
}

/* The value of a line "NAME: value", or false. */
static bool line_value(struct bytes line, const char *name, struct bytes *out)
{
	size_t len = strlen(name);
	if (line.len < len + 2 || memcmp(line.data, name, len) != 0 || line.data[len] != ':' ||
	    line.data[len + 1] != ' ')
		return false;
	*out = bytes_of(line.data + len + 2, line.len - len - 2);
	return true;
}

static bool salvage_fields(struct bytes *text, struct request *out)
{
	struct bytes line, value;
	struct buf signature = BUF_INIT;
	bool has_key = false, right = false;

	buf_clear(&out->signed_text);
	buf_add_text(&out->signed_text, SIGNATURE_CONTEXT);
	while (!right && bytes_line(text, &line)) {
		while (line.len && strchr(" \t\r", line.data[line.len - 1]))
			line.len--;
		if (line.len == 0)
			break;
		if (line_value(line, "Token-Signature", &value)) {
			right = has_key && base64_read(value, &signature) == ERR_OK &&
				signature.len == TOKEN_SIGNATURE_BYTES;
			if (!right)
				break;
			memcpy(out->token_signature, signature.data, signature.len);
			continue;
		}
		if (line_value(line, "Token-Key", &value)) {
			char *hex = str_ndup((const char *)value.data, value.len);
			has_key = hex_read(hex, out->token_key, TOKEN_KEY_BYTES) == ERR_OK;
			str_free(&hex);
		}
		buf_add(&out->signed_text, line.data, line.len);
		buf_add_byte(&out->signed_text, '\n');
	}
	buf_free(&signature);
	return right;
}

/* The base64 lines behind "NAME:", whatever length it states. */
static bool salvage_block(struct bytes text, const char *label, struct buf *out)
{
	struct bytes line;
	until_block(&text, label);
	buf_clear(out);
	if (!bytes_line(&text, &line))
		return true; /* there is none */
	return base64_read(until_block(&text, "Deposit:"), out) == ERR_OK;
}

bool request_salvage(struct bytes text, struct request *out)
{
	static const uint8_t bom[] = { 0xEF, 0xBB, 0xBF };
	request_free(out);
	if (text.len > REQUEST_BYTES_MAX)
		return false;
	if (text.len > sizeof bom && memcmp(text.data, bom, sizeof bom) == 0)
		text = bytes_of(text.data + sizeof bom, text.len - sizeof bom);
	if (!salvage_fields(&text, out) || !salvage_block(text, "Key:", &out->key) ||
	    !salvage_block(text, "Deposit:", &out->deposit))
		return false;
	out->kind = REQUEST_ENROLL;
	sign_hashes(out, &out->signed_text);
	return true;
}

static void block_write(struct buf *out, const char *name, const struct buf *content)
{
	buf_addf(out, "%s: %zu\n", name, content->len);
	base64_add(out, buf_bytes(content), BASE64_LINE, "\n");
}

/* The fields above Token-Signature, as values; what is not borrowed goes to the two buffers. */
static void values_of(
    const struct request *request, char *values[FIELD_COUNT], char created[], struct buf *token_key)
{
	static char version[] = "1", enroll[] = "enroll", renew[] = "renew";
	bool is_enroll = request->kind == REQUEST_ENROLL;
	memset(values, 0, FIELD_COUNT * sizeof(*values));
	values[FIELD_VERSION] = version;
	values[FIELD_ID] = request->id;
	values[FIELD_KIND] = is_enroll ? enroll : renew;
	values[FIELD_ADDRESS] = request->address;
	values[FIELD_NAME] = request->name;
	values[FIELD_KEYSET] = request->keyset;
	values[FIELD_FINGERPRINT] = str_dup(request->fingerprint);
	values[FIELD_AUTHORITY] = str_dup(request->authority);
	values[FIELD_CREATED] = when_format(request->created, created);
	if (is_enroll) {
		hex_add(token_key, bytes_of(request->token_key, TOKEN_KEY_BYTES));
		values[FIELD_TOKEN_KEY] = (char *)token_key->data;
	}
}

void request_write(struct request *request, const uint8_t *seed, struct buf *out)
{
	char *values[FIELD_COUNT], created[WHEN_TEXT_SIZE];
	struct buf token_key = BUF_INIT;
	bool sign = seed && request->kind == REQUEST_ENROLL;
	if (sign)
		token_key_public(seed, request->token_key);
	values_of(request, values, created, &token_key);
	sign_lines(values, &request->signed_text);
	sign_hashes(request, &request->signed_text);
	if (sign)
		token_key_sign(seed, buf_bytes(&request->signed_text), request->token_signature);

	out->secret = true;
	for (size_t i = 0; i < FIELD_TOKEN_SIGNATURE; i++)
		field_put(out, fields[i].name, values[i]);
	if (request->kind == REQUEST_ENROLL) {
		buf_addf(out, "%s: ", fields[FIELD_TOKEN_SIGNATURE].name);
		base64_add(out, bytes_of(request->token_signature, TOKEN_SIGNATURE_BYTES), 0, "");
		buf_add_byte(out, '\n');
	}
	buf_add_byte(out, '\n');
	block_write(out, "Key", &request->key);
	if (request->deposit.len)
		block_write(out, "Deposit", &request->deposit);
	str_free(&values[FIELD_FINGERPRINT]);
	str_free(&values[FIELD_AUTHORITY]);
	buf_free(&token_key);
}

bool request_verify(const struct request *request)
{
	return request->kind == REQUEST_ENROLL &&
	       token_key_verify(
		   request->token_key, buf_bytes(&request->signed_text), request->token_signature);
}

void request_free(struct request *request)
{
	str_free(&request->id);
	str_free(&request->address);
	str_free(&request->name);
	str_free(&request->keyset);
	buf_free(&request->key);
	buf_free(&request->deposit);
	buf_free(&request->signed_text);
	*request = (struct request){ .deposit = BUF_SECRET };
}

char *request_id_make(void)
{
	uint8_t random[ID_BYTES];
	struct buf text = BUF_INIT;
	secret_random(random, sizeof(random));
	base32_add(&text, bytes_of(random, sizeof(random)));
	return buf_take_text(&text);
}

/* ---- confirmation (P5.4) ---- */

static bool confirmation_values_read(
    char **values, struct confirmation *out, char fault[FIELD_FAULT_SIZE])
{
	if (!id_read(values[CONFIRMATION_ID]))
		return field_fault(fault, "Request-Id", "is not 26 symbols of base32");
	if (address_canonical(values[CONFIRMATION_ADDRESS], &out->address))
		return field_fault(fault, "Address", "is not a mail address");
	if (!fingerprint_read(values[CONFIRMATION_FINGERPRINT], out->fingerprint))
		return field_fault(fault, "Fingerprint", "is not 40 hexadecimal digits");
	if (!fingerprint_read(values[CONFIRMATION_AUTHORITY], out->authority))
		return field_fault(fault, "Authority", "is not 40 hexadecimal digits");
	out->nonce = nonce_canonical(bytes_of_text(values[CONFIRMATION_NONCE]));
	if (!out->nonce)
		return field_fault(fault, "Nonce", "is not 26 symbols of base32");
	out->id = taken(&values[CONFIRMATION_ID]);
	out->keyset = taken(&values[CONFIRMATION_KEYSET]);
	return true;
}

bool confirmation_parse(struct bytes text, struct confirmation *out, struct refusal *why)
{
	char *values[CONFIRMATION_COUNT], fault[FIELD_FAULT_SIZE];
	*out = (struct confirmation){ 0 };
	if (text.len > REQUEST_BYTES_MAX)
		return refuse(why, REASON_TOO_LARGE, NULL);
	bool right =
	    fields_read_all(text, confirmation_fields, CONFIRMATION_COUNT, values, fault) &&
	    confirmation_values_read(values, out, fault);
	fields_free(values, CONFIRMATION_COUNT);
	return right || malformed(why, fault);
}

void confirmation_write(const struct confirmation *confirmation, struct buf *out)
{
	const char *const values[CONFIRMATION_COUNT] = {
		[CONFIRMATION_VERSION] = "1",
		[CONFIRMATION_ID] = confirmation->id,
		[CONFIRMATION_ADDRESS] = confirmation->address,
		[CONFIRMATION_KEYSET] = confirmation->keyset,
		[CONFIRMATION_FINGERPRINT] = confirmation->fingerprint,
		[CONFIRMATION_AUTHORITY] = confirmation->authority,
		[CONFIRMATION_NONCE] = confirmation->nonce,
	};
	for (size_t i = 0; i < CONFIRMATION_COUNT; i++)
		field_put(out, confirmation_fields[i].name, values[i]);
}

void confirmation_free(struct confirmation *confirmation)
{
	str_free(&confirmation->id);
	str_free(&confirmation->address);
	str_free(&confirmation->keyset);
	str_free(&confirmation->nonce);
	*confirmation = (struct confirmation){ 0 };
}
