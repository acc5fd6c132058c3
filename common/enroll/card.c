#include "enroll/internal.h"
#include "enroll/reply.h"
#include "text/address.h"

enum {
	FIELD_VERSION,
	FIELD_ADDRESS,
	FIELD_NAME,
	FIELD_FINGERPRINT,
	FIELD_PLAIN,
	FIELD_ESCROW,
	FIELD_ALGORITHMS,
	FIELD_COUNT
};

static const struct field fields[FIELD_COUNT] = {
	[FIELD_VERSION] = { "Countersign-Authority", 8, false },
	[FIELD_ADDRESS] = { "Address", ADDRESS_BYTES_MAX, false },
	[FIELD_NAME] = { "Name", NAME_BYTES_MAX, true },
	[FIELD_FINGERPRINT] = { "Fingerprint", 40, false },
	[FIELD_PLAIN] = { "Plain-Requests", 16, false },
	[FIELD_ESCROW] = { "Escrow", 16, false },
	[FIELD_ALGORITHMS] = { "Algorithms", 600, true },
};

void card_write(const struct card *card, struct buf *out)
{
	const char *const values[FIELD_COUNT] = {
		[FIELD_VERSION] = "1",
		[FIELD_ADDRESS] = card->address,
		[FIELD_NAME] = card->name,
		[FIELD_FINGERPRINT] = card->fingerprint,
		[FIELD_PLAIN] = card->plain_requests,
		[FIELD_ESCROW] = card->escrow,
		[FIELD_ALGORITHMS] = card->algorithms,
	};
	for (size_t i = 0; i < FIELD_COUNT; i++)
		field_put(out, fields[i].name, values[i]);
}

static bool one_of(const char *value, const char *a, const char *b, const char *c)
{
	return str_equal(value, a) || str_equal(value, b) || str_equal(value, c);
}

static bool values_read(char *const *values, struct card *out, char fault[FIELD_FAULT_SIZE])
{
	if (address_canonical(values[FIELD_ADDRESS], &out->address))
		return field_fault(fault, "Address", "is not a mail address");
	if (!fingerprint_read(values[FIELD_FINGERPRINT], out->fingerprint))
		return field_fault(fault, "Fingerprint", "is not 40 hexadecimal digits");
	if (!one_of(values[FIELD_PLAIN], "on", "encrypted", "off"))
		return field_fault(fault, "Plain-Requests", "is none of on, encrypted, off");
	if (!one_of(values[FIELD_ESCROW], "required", "offered", "off"))
		return field_fault(fault, "Escrow", "is none of required, offered, off");
	out->name = str_dup(values[FIELD_NAME]);
	out->plain_requests = str_dup(values[FIELD_PLAIN]);
	out->escrow = str_dup(values[FIELD_ESCROW]);
	out->algorithms = str_dup(values[FIELD_ALGORITHMS]);
	return true;
}

enum err card_parse(struct bytes text, struct card *out)
{
	char *values[FIELD_COUNT], fault[FIELD_FAULT_SIZE];
	*out = (struct card){ 0 };
	bool right = fields_read_all(text, fields, FIELD_COUNT, values, fault) &&
		     values_read(values, out, fault);
	fields_free(values, FIELD_COUNT);
	return right ? ERR_OK : err_fail(ERR_DATA, "the authority card can't be read: %s", fault);
}

void card_free(struct card *card)
{
	str_free(&card->address);
	str_free(&card->name);
	str_free(&card->plain_requests);
	str_free(&card->escrow);
	str_free(&card->algorithms);
	*card = (struct card){ 0 };
}
