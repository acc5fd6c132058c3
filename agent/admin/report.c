/* The report as a page: one file, no script, nothing from outside. */
#include "report.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/when.h"
#include "command.h"

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n"
    "<style>\n"
    ":root { --page: #f4f5f7; --card: #fff; --ink: #1b1f24; --soft: #57606a; --line: #d5dae0; --bar: #1f5fa8 }\n"
    "@media (prefers-color-scheme: dark) {\n"
    ":root { --page: #0f1216; --card: #191e24; --ink: #e6eaef; --soft: #a5afba; --line: #343b44; --bar: #79b8ff }\n}\n"
    "* { box-sizing: border-box }\n"
    "body { margin: 0 auto; max-width: 80rem; padding: 1.25rem; background: var(--page); color: var(--ink);\n"
    "  font: 1rem/1.5 system-ui, -apple-system, \"Segoe UI\", \"DejaVu Sans\", sans-serif; overflow-wrap: anywhere }\n"
    "h1 { font-size: 1.5rem; line-height: 1.25; margin: .5rem 0 0 }\n"
    "h2 { font-size: 1.05rem; line-height: 1.3; margin: 0 }\n"
    "p { margin: .15rem 0 0; color: var(--soft) }\n"
    "dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .75rem; margin: 1.25rem 0 }\n"
    "dl div, section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .75rem 1rem }\n"
    "dl div { display: flex; flex-direction: column-reverse; justify-content: flex-end }\n"
    "dt { color: var(--soft); font-size: .875rem; line-height: 1.3 }\n"
    "dd { margin: 0; font-size: 1.6rem; line-height: 1.3; font-variant-numeric: tabular-nums }\n"
    "main { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); gap: 1rem; align-items: start }\n"
    "svg { display: block; width: 100%; height: auto; margin: .75rem 0 .5rem }\n"
    ".bar { fill: var(--bar) } .grid { stroke: var(--line); fill: none } .text { fill: var(--soft); font-size: 11px }\n"
    "summary { cursor: pointer; color: var(--soft) }\n"
    "table { border-collapse: collapse; width: 100%; margin-top: .5rem; font-size: .9rem }\n"
    "th, td { text-align: left; font-weight: normal; padding: .25rem .5rem .25rem 0; border-top: 1px solid var(--line) }\n"
    "thead th { color: var(--soft) }\n"
    "td:last-child, th:last-child { text-align: right; padding-right: 0; font-variant-numeric: tabular-nums }\n"
    "@media (max-width: 30rem) { body { padding: .75rem } section { padding: .75rem } }\n"
    "@media print { body { max-width: none } section { break-inside: avoid } }\n"
    "</style>\n";

static void add_number(const char *label, int64_t number, struct buf *out)
{
	buf_addf(out, "<div><dt>%s</dt><dd>%lld</dd></div>\n", label, (long long)number);
}

static void add_numbers(const struct report *r, struct buf *out)
{
	const struct store_counts *c = &r->counts;

	buf_add_text(out, "<dl>\n");
	add_number("People enrolled", r->addresses, out);
	add_number("Keysets active", c->keysets[KEYSET_ACTIVE], out);
	add_number("Not confirmed yet", c->keysets[KEYSET_UNCONFIRMED], out);
	add_number("Tokens outstanding", c->tokens_outstanding, out);
	add_number("Certifications that end within 30 days", c->expiring, out);
	add_number(
	    "In grace or expired", c->keysets[KEYSET_GRACE] + c->keysets[KEYSET_EXPIRED], out);
	add_number("Revoked", c->keysets[KEYSET_REVOKED], out);
	add_number("Deposits", c->deposits, out);
	add_number("Recoveries in progress", c->recoveries, out);
	add_number("Mails that wait to be sent", c->outbox_waiting, out);
	add_number("Mails in quarantine", c->quarantined, out);
	buf_add_text(out, "</dl>\n");
}

static void add_table(const struct series *s, const char *what, const char *number, struct buf *out)
{
	buf_addf(out,
	    "<details><summary>Table</summary>\n<table><thead><tr><th scope=\"col\">%s</th>"
	    "<th scope=\"col\">%s</th></tr></thead><tbody>\n",
	    what, number);
	for (size_t i = 0; i < s->count; i++) {
		buf_add_text(out, "<tr><th scope=\"row\">");
		html_add(s->bars[i].label, out);
		buf_addf(out, "</th><td>%lld</td></tr>\n", (long long)s->bars[i].value);
	}
	buf_add_text(out, "</tbody></table></details>\n");
}

static int64_t sum(const struct series *s)
{
	int64_t all = 0;

	for (size_t i = 0; i < s->count; i++)
		all += s->bars[i].value;
	return all;
}

struct plot {
	const char *title, *about, *what, *number;
	const struct series *series;
	bool names; /* else columns */
};

static void add_plot(const struct plot *p, struct buf *out)
{
	const struct series *s = p->series;

	buf_addf(out, "<section>\n<h2>%s</h2>\n<p>%s</p>\n", p->title, p->about);
	if (!sum(s)) {
		buf_add_text(out, "<p>None.</p>\n</section>\n");
		return;
	}
	if (p->names)
		plot_add_bars(p->title, s->bars, s->count, out);
	else
		plot_add_columns(p->title, s->bars, s->count, out);
	add_table(s, p->what, p->number, out);
	buf_add_text(out, "</section>\n");
}

static void add_plots(const struct report *r, struct buf *out)
{
	char *by = str_printf("By %s%s.", r->enrollment_unit,
	    str_equal(r->enrollment_unit, "week") ? ", named by its first day" : "");
	const struct plot plots[] = {
		{ "Enrollments", by, "Since", "Enrollments", &r->enrollments, false },
		{ "Outstanding tokens", "By how long ago they were issued.", "Age", "Tokens",
		    &r->ages, true },
		{ "From token to enrollment", "How long people take.", "Time", "Enrollments",
		    &r->delays, true },
		{ "Certifications", "By the month in which they end, of keysets in use.", "Month",
		    "Certifications", &r->expiries, false },
		{ "Refusals", "By reason, of the last twelve months.", "Reason", "Refusals",
		    &r->refusals, true },
	};

	for (size_t i = 0; i < sizeof plots / sizeof *plots; i++)
		add_plot(&plots[i], out);
	str_free(&by);
}

void report_write(const struct authority *authority, const struct report *report, struct buf *out)
{
	char when[WHEN_TEXT_SIZE];
	const char *name = authority->name ? authority->name : "Security Authority";

	buf_add_text(out, head);
	buf_add_text(out, "<title>");
	html_add(name, out);
	buf_add_text(out, "</title>\n</head>\n<body>\n<header>\n<h1>");
	html_add(name, out);
	buf_add_text(out, "</h1>\n<p>");
	html_add(authority->address, out);
	buf_addf(out, ", %s</p>\n</header>\n", when_format(report->now, when));
	add_numbers(report, out);
	buf_add_text(out, "<main>\n");
	add_plots(report, out);
	buf_add_text(out, "</main>\n</body>\n</html>\n");
}

/* ---- the command ---- */

static enum err write_file(const char *dir, const struct buf *page)
{
	char *path = path_join(dir, "index.html");
	enum err e = file_make_dir(dir, 0755);

	if (!e)
		e = file_write(path, 0644, buf_bytes(page));
	if (!e) {
		printf("%s is written.\n", path);
		e = command_flush();
	}
	str_free(&path);
	return e;
}

enum err command_report(struct invocation *in)
{
	struct authority *authority = NULL;
	struct report report = { 0 };
	struct buf page = BUF_INIT;
	enum err e, counted;
	char *why;

	if ((e = options_read(in, NULL, 1, 1, "a directory")) ||
	    (e = command_open(in, AUTHORITY_STORE, &authority)))
		return e;
	/* Of a store with a damaged row the rest is shown. */
	counted = report_count(authority, in->now, &report);
	why = str_dup(err_text());
	report_write(authority, &report, &page);
	e = write_file(in->argv[0], &page);
	if (!e && counted)
		e = err_fail(counted, "%s", why);
	str_free(&why);
	report_free(&report);
	buf_free(&page);
	authority_close(&authority);
	return e;
}
