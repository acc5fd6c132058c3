#include "base/url.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#define HOST_MAX 253 /* RFC 1035 2.3.4 */

static int hex_value(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + ('a' - 'A') : c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* RFC 3986 2.1; NULL for a broken escape, or one of a control character. */
static char *percent_decode(struct bytes in)
{
	struct buf out = BUF_INIT;
	bool good = true;

	for (size_t i = 0; good && i < in.len; i++) {
		int c = in.data[i];
		if (c == '%') {
			int high = i + 2 < in.len ? hex_value((char)in.data[i + 1]) : -1,
			    low = i + 2 < in.len ? hex_value((char)in.data[i + 2]) : -1;
			good = high >= 0 && low >= 0;
			c = high * 16 + low;
			i += 2;
		}
		good = good && c >= ' ' && c != 127;
		buf_add_byte(&out, (uint8_t)c);
	}
	if (!good) {
		buf_free(&out);
		return NULL;
	}
	return buf_take_text(&out);
}

/* Names, IPv4 and, in brackets, IPv6 addresses. */
static bool host_fits(const char *host, bool bracketed)
{
	struct in6_addr address;

	if (bracketed)
		return inet_pton(AF_INET6, host, &address) == 1;
	for (const char *c = host; *c; c++)
		if (!strchr(
			"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_", *c) &&
		    (unsigned char)*c < 128)
			return false;
	return *host && *host != '-' && *host != '.' && strlen(host) <= HOST_MAX;
}

/* "HOST", "HOST:PORT", "[IPv6]:PORT". */
static bool read_host(const char *text, size_t len, struct url *url)
{
	bool bracketed = len > 0 && text[0] == '[';
	const char *end = text + len,
		   *stop = bracketed ? memchr(text, ']', len) : memchr(text, ':', len);
	int64_t port = 0;

	if (bracketed && !stop)
		return false;
	stop = stop ? stop : end;
	url->host = str_ndup(text + bracketed, (size_t)(stop - text) - bracketed);
	stop += bracketed;
	if (stop < end) {
		char *digits = str_ndup(stop + 1, (size_t)(end - stop) - 1);
		bool good = *stop == ':' && digits[strspn(digits, "0123456789")] == '\0' &&
			    str_to_int(digits, 1, 65535, &port) == ERR_OK;
		str_free(&digits);
		if (!good)
			return false;
	}
	url->port = (unsigned)port;
	return host_fits(url->host, bracketed);
}

/* What follows "SCHEME://". */
static bool read_authority(const char *text, struct url *url)
{
	size_t len = strcspn(text, "/");
	const char *at = memrchr(text, '@', len), *host = at ? at + 1 : text,
		   *path = text + len + (text[len] == '/');

	if (strpbrk(text, "?# "))
		return false;
	if (at) {
		struct bytes user = bytes_of(text, (size_t)(at - text));
		if (user.len == 0 || memchr(user.data, ':', user.len) ||
		    !(url->user = percent_decode(user)))
			return false;
	}
	url->path = percent_decode(bytes_of_text(path));
	return url->path && read_host(host, len - (size_t)(host - text), url);
}

/* The word of `schemes` that `text` begins with, or nothing. */
static struct bytes scheme_of(const char *text, const char *schemes)
{
	for (const char *word = schemes; *word; word += strspn(word, " ")) {
		size_t len = strcspn(word, " ");
		if (strncasecmp(text, word, len) == 0)
			return bytes_of(word, len);
		word += len;
	}
	return bytes_of(NULL, 0);
}

enum err url_parse(const char *text, const char *schemes, struct url *out)
{
	struct bytes scheme = scheme_of(text, schemes);
	struct url url = { 0 };
	bool with_host = scheme.len > 2 && scheme.data[scheme.len - 1] == '/', good = false;

	if (scheme.len > 0) {
		const char *rest = text + scheme.len;
		url.scheme = str_ndup((const char *)scheme.data, scheme.len - (with_host ? 3 : 1));
		if (with_host)
			good = read_authority(rest, &url);
		else
			good = *rest == '/' && (url.path = str_dup(rest));
	}
	if (!good) {
		url_free(&url);
		return err_fail(ERR_CONFIG, "\"%s\" is not understood", text);
	}
	*out = url;
	return ERR_OK;
}

void url_free(struct url *url)
{
	str_free(&url->scheme);
	str_free(&url->user);
	str_free(&url->host);
	str_free(&url->path);
}

bool url_is_loopback(const struct url *url)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (!url->host)
		return false;
	if (inet_pton(AF_INET, url->host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, url->host, &v6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&v6);
	return strcasecmp(url->host, "localhost") == 0;
}
