#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/when.h"

static const char *const month_names[12] = { "January", "February", "March", "April", "May", "June",
	"July", "August", "September", "October", "November", "December" };
static const char *const day_names[7] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };

int64_t when_now(void)
{
	/* Not time(), whose coarse clock can lie a tick behind a file's time stamp. */
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec;
}

int64_t when_monotonic_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static struct tm broken_down(int64_t t)
{
	time_t seconds = (time_t)t;
	struct tm tm = { .tm_mday = 1, .tm_year = 70 };

	(void)gmtime_r(&seconds, &tm);
	return tm;
}

char *when_format(int64_t t, char *out)
{
	struct tm tm = broken_down(t);

	(void)snprintf(out, WHEN_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900,
	    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
	return out;
}

char *when_format_mail(int64_t t, char *out)
{
	struct tm tm = broken_down(t);

	(void)snprintf(out, WHEN_TEXT_SIZE, "%s, %02d %.3s %04d %02d:%02d:%02d +0000",
	    day_names[tm.tm_wday], tm.tm_mday, month_names[tm.tm_mon], tm.tm_year + 1900,
	    tm.tm_hour, tm.tm_min, tm.tm_sec);
	return out;
}

char *when_format_day(int64_t t, char *out)
{
	struct tm tm = broken_down(t);

	(void)snprintf(out, WHEN_TEXT_SIZE, "%d %s %04d", tm.tm_mday, month_names[tm.tm_mon],
	    tm.tm_year + 1900);
	return out;
}

enum err when_parse(const char *text, int64_t *out)
{
	struct tm tm = { 0 };
	char back[WHEN_TEXT_SIZE];
	int64_t t;

	if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2dZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
		&tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6)
		goto bad;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	t = timegm(&tm);
	/* Only what formats to the same text was a date in this form. */
	if (strcmp(when_format(t, back), text) != 0)
		goto bad;
	*out = t;
	return ERR_OK;
bad:
	return err_fail(ERR_DATA, "\"%.40s\" is not a time like 2026-11-22T04:00:00Z", text);
}

static const struct unit {
	char letter;
	const char *name;
	int64_t seconds;
	bool for_people;
} units[] = {
	{ 'y', "year", 365 * 86400, true },
	{ 'w', "week", 7 * 86400, false },
	{ 'd', "day", 86400, true },
	{ 'h', "hour", 3600, true },
	{ 'm', "minute", 60, true },
	{ 's', "second", 1, true },
};

enum err when_parse_span(const char *text, int64_t *seconds_out)
{
	size_t digits = strspn(text, "0123456789");
	int64_t count, factor = str_equal(text, "0");
	char number[16];

	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (text[digits] == units[i].letter && text[digits + 1] == 0)
			factor = units[i].seconds;
	if (digits == 0 || digits >= sizeof number || factor == 0)
		goto bad;
	memcpy(number, text, digits);
	number[digits] = 0;
	/* A thousand years is enough, and far from any overflow. */
	if (str_to_int(number, 0, INT64_C(1000) * 365 * 86400 / factor, &count) != ERR_OK)
		goto bad;
	*seconds_out = count * factor;
	return ERR_OK;
bad:
	return err_fail(
	    ERR_DATA, "\"%.40s\" is not a span of time like 90s, 15m, 12h, 14d, 2w or 1y", text);
}

char *when_format_span(int64_t seconds, char *out)
{
	const struct unit *unit = &units[5];
	int64_t count;

	for (size_t i = 5; i-- > 0;)
		if (units[i].for_people && seconds >= units[i].seconds)
			unit = &units[i];
	count = seconds / unit->seconds;
	(void)snprintf(
	    out, WHEN_TEXT_SIZE, "%" PRId64 " %s%s", count, unit->name, count == 1 ? "" : "s");
	return out;
}
