#include <idn2.h>
#include <stdlib.h>
#include <string.h>
#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

#include "text/address.h"
#include "text/utf8.h"

/* RFC 5321 4.5.3.1.1 and RFC 1035 2.3.4. */
#define LOCAL_BYTES_MAX 64
#define DOMAIN_BYTES_MAX 253
#define LABEL_BYTES_MAX 63

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* RFC 5322 3.2.3; RFC 6532 adds everything above ASCII. */
static bool is_atext(char c)
{
	return c && ((unsigned char)c > 127 || is_letter(c) || is_digit(c) ||
			strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool is_dot_atom(const char *text)
{
	if (!*text)
		return false;
	for (const char *at = text; *at; at++)
		if (*at == '.' ? at == text || at[-1] == '.' || !at[1] : !is_atext(*at))
			return false;
	return true;
}

/* Without its quotes; `text` is up to the "@". */
static enum err unquote(struct bytes text, struct buf *out)
{
	size_t i;

	for (i = 1; i < text.len && text.data[i] != '"'; i++) {
		if (text.data[i] == '\\' && ++i == text.len)
			break;
		buf_add_byte(out, text.data[i]);
	}
	if (i + 1 != text.len)
		return err_fail(ERR_DATA, "quotes are misplaced");
	return ERR_OK;
}

static void quote(const char *text, struct buf *out)
{
	buf_add_byte(out, '"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			buf_add_byte(out, '\\');
		buf_add_byte(out, *text);
	}
	buf_add_byte(out, '"');
}

static enum err add_local(struct bytes text, struct buf *out)
{
	struct buf plain = BUF_INIT;
	enum err err = ERR_OK;

	if (text.len && text.data[0] == '"')
		err = unquote(text, &plain);
	else
		buf_add(&plain, text.data, text.len);
	for (size_t i = 0; i < plain.len; i++)
		if (is_letter((char)plain.data[i]))
			plain.data[i] |= 0x20;
	if (err != ERR_OK)
		goto out;
	if (is_dot_atom(buf_text(&plain)))
		buf_add(out, plain.data, plain.len);
	else if (text.len && text.data[0] == '"')
		quote(buf_text(&plain), out);
	else
		err = err_fail(ERR_DATA, "the part before \"@\" is not valid");
	if (err == ERR_OK && out->len > LOCAL_BYTES_MAX)
		err = err_fail(
		    ERR_DATA, "the part before \"@\" is longer than %d bytes", LOCAL_BYTES_MAX);
out:
	buf_free(&plain);
	return err;
}

static bool label_valid(const char *label, size_t len)
{
	if (len == 0 || len > LABEL_BYTES_MAX || label[0] == '-' || label[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_letter(label[i]) && !is_digit(label[i]) && label[i] != '-')
			return false;
	return true;
}

/* Of A-labels. A last label of digits would be an IP address. */
static bool domain_valid(const char *domain)
{
	const char *label = domain;
	size_t len;

	if (strlen(domain) > DOMAIN_BYTES_MAX)
		return false;
	for (;;) {
		len = strcspn(label, ".");
		if (!label_valid(label, len))
			return false;
		if (!label[len])
			return strspn(label, "0123456789") != len;
		label += len + 1;
	}
}

/* Lower case and NFC, which IDNA2008 leaves to the user interface (RFC 5895); malloc'ed, or NULL. */
static char *domain_prepared(const char *text)
{
	size_t len;

	/* Only LDH and dots among ASCII: libidn2 drops what it maps to nothing. */
	for (const char *at = text; *at; at++)
		if ((unsigned char)*at < 128 && !is_letter(*at) && !is_digit(*at) && *at != '-' &&
		    *at != '.')
			return NULL;
	return (char *)u8_tolower(
	    (const uint8_t *)text, strlen(text) + 1, NULL, UNINORM_NFC, NULL, &len);
}

static enum err add_domain(const char *text, struct buf *out)
{
	char *prepared = domain_prepared(text), *ascii = NULL;
	enum err err = ERR_OK;

	/* Without the mapping of UTS 46, which makes one domain of many spellings. */
	if (!prepared ||
	    idn2_to_ascii_8z(prepared, &ascii, IDN2_NFC_INPUT | IDN2_NO_TR46) != IDN2_OK ||
	    !domain_valid(ascii))
		err = err_fail(ERR_DATA, "\"%.100s\" is not a valid mail domain", text);
	else
		buf_add_text(out, ascii);
	free(prepared);
	idn2_free(ascii);
	return err;
}

/* What can't be seen, or moves what is seen, has no place in an address. */
static bool has_invisible(const char *text)
{
	const uint8_t *at = (const uint8_t *)text;
	ucs4_t c;

	while ((at = u8_next(&c, at)) != NULL)
		if (uc_is_general_category_withtable(c, UC_CATEGORY_MASK_C | UC_CATEGORY_MASK_Z) ||
		    uc_is_property_default_ignorable_code_point(c))
			return true;
	return false;
}

static const char *last_at(const char *text)
{
	const char *at = strrchr(text, '@');

	return at && at != text && at[1] ? at : NULL;
}

static enum err canonical(const char *text, struct buf *out)
{
	const char *at = last_at(text);
	enum err err;

	if (strlen(text) > ADDRESS_BYTES_MAX)
		return err_fail(ERR_DATA, "it is longer than %d bytes", ADDRESS_BYTES_MAX);
	if (!utf8_valid(bytes_of_text(text)))
		return err_fail(ERR_DATA, "it is not valid UTF-8");
	if (has_invisible(text))
		return err_fail(ERR_DATA, "it holds blanks or invisible characters");
	if (!at)
		return err_fail(ERR_DATA, "an address has the form name@domain");
	err = add_local(bytes_of(text, (size_t)(at - text)), out);
	if (err != ERR_OK)
		return err;
	buf_add_byte(out, '@');
	err = add_domain(at + 1, out);
	if (err == ERR_OK && out->len > ADDRESS_BYTES_MAX)
		err = err_fail(ERR_DATA, "it is longer than %d bytes", ADDRESS_BYTES_MAX);
	return err;
}

enum err address_canonical(const char *text, char **out)
{
	struct buf made = BUF_INIT;
	enum err err = canonical(text, &made);
	char *shown;

	*out = NULL;
	if (err == ERR_OK) {
		*out = buf_take_text(&made);
		return ERR_OK;
	}
	shown = utf8_printable(text, false);
	err = err_prefix(err, "\"%.200s\" is not a mail address", shown);
	str_free(&shown);
	buf_free(&made);
	return err;
}

/* Scripts that are written together (Unicode Technical Standard 39, 5.1). */
enum {
	SCRIPT_OTHER = 1,
	SCRIPT_JAPANESE = 2,
	SCRIPT_KOREAN = 4,
	SCRIPT_BOPOMOFO = 8,
	SCRIPT_HAN = SCRIPT_JAPANESE | SCRIPT_KOREAN | SCRIPT_BOPOMOFO
};

static unsigned script_writing(const char *name)
{
	static const struct {
		const char *name;
		unsigned writing;
	} table[] = { { "Han", SCRIPT_HAN }, { "Hiragana", SCRIPT_JAPANESE },
		{ "Katakana", SCRIPT_JAPANESE }, { "Hangul", SCRIPT_KOREAN },
		{ "Bopomofo", SCRIPT_BOPOMOFO } };

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		if (strcmp(name, table[i].name) == 0)
			return table[i].writing;
	return SCRIPT_OTHER;
}

/* Every character must fit one writing; outside East Asia that is one script. */
static bool mixes_scripts(const char *text)
{
	const uint8_t *at = (const uint8_t *)text;
	const uc_script_t *first = NULL, *script;
	unsigned writing = ~0U;
	ucs4_t c;

	while ((at = u8_next(&c, at)) != NULL) {
		script = uc_script(c);
		if (!script || strcmp(script->name, "Common") == 0 ||
		    strcmp(script->name, "Inherited") == 0)
			continue;
		writing &= script_writing(script->name);
		if (writing == SCRIPT_OTHER && first && first != script)
			return true;
		first = script;
	}
	return writing == 0;
}

static char *nfc(const char *text)
{
	size_t len;
	uint8_t *made =
	    u8_normalize(UNINORM_NFC, (const uint8_t *)text, strlen(text) + 1, NULL, &len);

	return (char *)made;
}

enum err address_check_issuable(const char *canonical)
{
	char *local = str_ndup(canonical, (size_t)(address_domain(canonical) - canonical));
	char *normal = nfc(local);
	enum err err = ERR_OK;

	if (!normal || strcmp(local, normal) != 0)
		err = err_fail(ERR_DATA, "%s is not in Unicode's composed form (NFC)", canonical);
	else if (mixes_scripts(local))
		err = err_fail(ERR_DATA, "%s mixes letters of several scripts", canonical);
	free(normal);
	str_free(&local);
	return err;
}

const char *address_domain(const char *canonical)
{
	const char *at = strrchr(canonical, '@');

	return at ? at + 1 : canonical + strlen(canonical);
}

char *address_domain_display(const char *canonical)
{
	const char *domain = address_domain(canonical);
	char *made = NULL, *shown;

	if (idn2_to_unicode_8z8z(domain, &made, IDN2_NONTRANSITIONAL) != IDN2_OK)
		return str_dup(domain);
	shown = str_dup(made);
	idn2_free(made);
	return shown;
}

enum err name_check(const char *name)
{
	char *shown, *normal;
	enum err err = ERR_OK;

	if (!utf8_valid(bytes_of_text(name)) || !(normal = nfc(name)))
		return err_fail(ERR_DATA, "the name is not valid UTF-8");
	free(normal);
	if (strlen(name) > NAME_BYTES_MAX)
		return err_fail(ERR_DATA, "the name is longer than %d bytes", NAME_BYTES_MAX);
	if (name[strspn(name, " ")] == 0)
		return err_fail(ERR_DATA, "the name is empty");
	if (strpbrk(name, "@<>"))
		return err_fail(ERR_DATA, "a name must not hold \"@\", \"<\" or \">\"");
	shown = utf8_printable(name, false);
	if (strcmp(shown, name) != 0)
		err = err_fail(ERR_DATA, "the name holds control or bidirectional characters");
	str_free(&shown);
	return err;
}

/* NFC, trimmed, and with one blank where there were several; NULL if it is no UTF-8. */
static char *name_folded(const char *name)
{
	struct buf out = BUF_INIT;
	char *normal = utf8_valid(bytes_of_text(name)) ? nfc(name) : NULL;
	const uint8_t *at = (uint8_t *)normal, *next;
	bool blank = false;
	ucs4_t c;

	if (!normal)
		return NULL;
	for (; (next = u8_next(&c, at)) != NULL; at = next) {
		if (uc_is_property_white_space(c)) {
			blank = out.len > 0;
			continue;
		}
		if (blank)
			buf_add_byte(&out, ' ');
		blank = false;
		buf_add(&out, at, (size_t)(next - at));
	}
	free(normal);
	return buf_take_text(&out);
}

bool name_equal(const char *a, const char *b)
{
	char *left = name_folded(a), *right = name_folded(b);
	bool equal = left && right && strcmp(left, right) == 0;

	str_free(&left);
	str_free(&right);
	return equal;
}

enum err user_id_split(const char *user_id, char **name_out, char **address_out)
{
	const char *open = strrchr(user_id, '<');
	char *name = NULL, *address = NULL;
	size_t len;
	enum err err;

	*name_out = *address_out = NULL;
	if (!open || !str_ends(user_id, ">"))
		return address_canonical(user_id, address_out);
	for (len = (size_t)(open - user_id); len > 0 && user_id[len - 1] == ' '; len--)
		continue;
	if (len > 0) {
		name = str_ndup(user_id, len);
		err = name_check(name);
		if (err != ERR_OK)
			goto out;
	}
	address = str_ndup(open + 1, strlen(open + 1) - 1);
	err = address_canonical(address, address_out);
	if (err != ERR_OK)
		goto out;
	*name_out = name;
	name = NULL;
out:
	str_free(&name);
	str_free(&address);
	return err;
}
