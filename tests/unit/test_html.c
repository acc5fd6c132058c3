#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "mail/message.h"

static const struct {
	const char *html, *text;
} cases[] = {
	/* lines and blanks */
	{ "", "" },
	{ "plain", "plain\n" },
	{ "<p>one</p>\n<p>two</p>", "one\ntwo\n" },
	{ "<div>a<div>b</div></div>c", "a\nb\nc\n" },
	{ "a<br>b<br/><br />c", "a\nb\n\nc\n" },
	{ "  a \r\n\t b  <b>c</b>d ", "a b cd\n" },
	{ "<p>a</p><p>&nbsp;</p><p>b</p>", "a\n \nb\n" },
	{ "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc\n" },
	{ "<pre>a\n  b\r\n\nc</pre>d", "a\n  b\n\nc\nd\n" },
	{ "<ul><li>a<li>b</ul>", "a\nb\n" },
	/* a token over several elements */
	{ "7K2QX-9<span style='color:red'>MDTR</span>-<b>4WPZC</b>", "7K2QX-9MDTR-4WPZC\n" },
	{ "a<wbr>b&shy;c", "ab\u00ADc\n" },
	/* what is no text */
	{ "<head><title>t</title><style>p{}</style></head><body>x", "x\n" },
	{ "<STYLE>a<b</Style>x<script>if (a<b) </script>y", "xy\n" },
	{ "a<!-- <p>b --> c <!--[if mso]><p>d</p><![endif]-->", "a c\n" },
	{ "<![if !vml]>a<![endif]><?xml:namespace x ?>b", "ab\n" },
	{ "<!DOCTYPE html>a", "a\n" },
	{ "<head>never closed", "never closed\n" },
	{ "a<!-- never closed", "a\n" },
	{ "a<style>never closed", "a\n" },
	{ "a<p never closed", "a\n" },
	/* signs that stand for themselves */
	{ "1 < 2 && 3 > 2", "1 < 2 && 3 > 2\n" },
	{ "<", "<\n" },
	{ "a&", "a&\n" },
	{ "&;&#;&#x;&unknown;&#xZZ;", "&;&#;&#x;&unknown;&#xZZ;\n" },
	/* entities */
	{ "&lt;&gt;&amp;&quot;&apos;&nbsp;x", "<>&\"' x\n" },
	{ "&Auml;&ouml;&szlig;&eacute;&euro;&hellip;&ndash;&trade;", "Äöß\u00E9€…–™\n" },
	{ "&Alpha;&omega;&zwj;&zwnj;&yuml;&AElig;&thorn;", "Αω\u200D\u200CÿÆþ\n" },
	{ "&#65;&#x42;&#X63;&#8364;&#x1F511;", "ABc€🔑\n" },
	{ "&#128;&#150;&#0;&#xD800;&#x110000;", "€–\uFFFD\uFFFD\uFFFD\n" },
	{ "&#7;a&#10;b", "a b\n" },
	{ "&copy 1&amp2", "© 1&amp2\n" },
	{ "&hyphen;&dash;&lowbar;&commat;", "‐‐_@\n" },
	/* attributes */
	{ "<a title=\"1 > 0\" href='x>y'>z</a>", "z\n" },
	{ "<a title=unquoted/>z", "z\n" },
	{ "<a \"=>z", "z\n" },
	/* quotes */
	{ "new<blockquote>old<br>older</blockquote>new again", "new\n> old\n> older\nnew again\n" },
	{ "<blockquote>a<blockquote>b</blockquote>c</blockquote>d", "> a\n> b\n> c\nd\n" },
	{ "<blockquote>a<br><br>b</blockquote>", "> a\n>\n> b\n" },
	{ "a<div class=\"gmail_quote gmail_quote_container\"><div>On x wrote:</div>b</div>c",
	    "a\n> On x wrote:\n> b\nc\n" },
	{ "a<div class=gmail_extra>b</div>", "a\nb\n" },
	{ "a<div class=\"moz-cite-prefix\">On x wrote:<br></div><blockquote type=cite>b</blockquote>c",
	    "a\n> On x wrote:\n> b\nc\n" },
	{ "a<div id=\"ydp1yahoo_quoted_2\" class=\"yahoo_quoted\"><div>b</div></div>c",
	    "a\n> b\nc\n" },
	{ "a<div id=appendonsend></div><hr><div>b</div>", "a\n> b\n" },
	{ "a<div ID='divRplyFwdMsg' dir=ltr><b>From:</b> x</div><div>b</div>",
	    "a\n> From: x\n> b\n" },
	{ "</blockquote></div>a<blockquote>b", "a\n> b\n" },
};

static void test_html_to_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf out = BUF_INIT;
		html_to_text(bytes_of_text(cases[i].html), &out);
		if (strcmp(buf_text(&out), cases[i].text) != 0)
			fail_msg(
			    "%s\nis: %s\nnot: %s", cases[i].html, buf_text(&out), cases[i].text);
		buf_free(&out);
	}
}

static void test_appends(void **state)
{
	(void)state;
	struct buf out = BUF_INIT;
	buf_add_text(&out, "before\n");
	html_to_text(bytes_of_text("<p>x"), &out);
	assert_string_equal(buf_text(&out), "before\nx\n");
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_html_to_text),
		cmocka_unit_test(test_appends),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
