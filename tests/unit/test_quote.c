#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "mail/message.h"

static const struct {
	const char *text, *new_text, *quoted;
} cases[] = {
	{ "", "", "" },
	{ "a\nb", "a\nb\n", "" },
	{ "a\n> b\nc\n", "a\nc\n", "> b\n" },
	{ "  > b\n>c\n", "", "  > b\n>c\n" },
	{ "a\r\n> b\r\n", "a\n", "> b\n" },
	/* attribution lines */
	{ "hi\n\nOn 1/2/26 3:04, Bob wrote:\n> x\nbye\n", "hi\n\nbye\n",
	    "On 1/2/26 3:04, Bob wrote:\n> x\n" },
	{ "hi\nOn Mon, Bob <\nbob@example.org> wrote:\n\n> x\n", "hi\n\n",
	    "On Mon, Bob <\nbob@example.org> wrote:\n> x\n" },
	{ "hi\nAm 1.2.26 um 3:04 schrieb Bob:\n> x\n", "hi\n",
	    "Am 1.2.26 um 3:04 schrieb Bob:\n> x\n" },
	{ "hi\nLe lun. 1 f\u00E9v., Bob a \u00E9crit :\n> x\n", "hi\n",
	    "Le lun. 1 f\u00E9v., Bob a \u00E9crit :\n> x\n" },
	{ "hi\nEl lun, Bob escribió:\n\n> x\n", "hi\n\n", "El lun, Bob escribió:\n> x\n" },
	{ "hi\n2026年1月2日 Bob 写道：\n> x\n", "hi\n", "2026年1月2日 Bob 写道：\n> x\n" },
	{ "On second thought, no.\nKeyset: x\n", "On second thought, no.\nKeyset: x\n", "" },
	{ "On one line\nand two\nand three\nand four wrote:\n> x\n",
	    "On one line\nand two\nand three\n", "and four wrote:\n> x\n" },
	/* without marks nobody can tell where the quotation ends */
	{ "hi\nOn Mon, Bob wrote:\nx\ny\n", "hi\n", "On Mon, Bob wrote:\nx\ny\n" },
	/* rules and their translations */
	{ "hi\n-----Original Message-----\nx\n", "hi\n", "-----Original Message-----\nx\n" },
	{ "hi\n-----original message-----\nx\n", "hi\n", "-----original message-----\nx\n" },
	{ "hi\n-----Ursprüngliche Nachricht-----\nx\n", "hi\n",
	    "-----Ursprüngliche Nachricht-----\nx\n" },
	{ "hi\n----- Message d'origine -----\nx\n", "hi\n", "----- Message d'origine -----\nx\n" },
	{ "hi\n-----Mensaje original-----\nx\n", "hi\n", "-----Mensaje original-----\nx\n" },
	{ "hi\n-----Messaggio originale-----\nx\n", "hi\n", "-----Messaggio originale-----\nx\n" },
	{ "hi\n-----Oorspronkelijk bericht-----\nx\n", "hi\n",
	    "-----Oorspronkelijk bericht-----\nx\n" },
	{ "hi\n-----Исходное сообщение-----\nx\n", "hi\n", "-----Исходное сообщение-----\nx\n" },
	{ "hi\n---------- Forwarded message ---------\nx\n", "hi\n",
	    "---------- Forwarded message ---------\nx\n" },
	{ "hi\n-------- Weitergeleitete Nachricht --------\nx\n", "hi\n",
	    "-------- Weitergeleitete Nachricht --------\nx\n" },
	{ "hi\nBegin forwarded message:\nx\n", "hi\n", "Begin forwarded message:\nx\n" },
	{ "hi\nAnfang der weitergeleiteten Nachricht:\nx\n", "hi\n",
	    "Anfang der weitergeleiteten Nachricht:\nx\n" },
	{ "----- my token -----\nx\n", "----- my token -----\nx\n", "" },
	{ "the original message:\nx\n", "the original message:\nx\n", "" },
	{ "---\nx\n", "---\nx\n", "" },
	/* header blocks */
	{ "hi\nFrom: Bob\nSent: Monday\nTo: Alice\nx\n", "hi\n",
	    "From: Bob\nSent: Monday\nTo: Alice\nx\n" },
	{ "hi\nVon: Bob\nGesendet: Montag\nx\n", "hi\n", "Von: Bob\nGesendet: Montag\nx\n" },
	{ "hi\nDe : Bob\nEnvoy\u00E9 : lundi\nx\n", "hi\n", "De : Bob\nEnvoy\u00E9 : lundi\nx\n" },
	{ "hi\n*From:* Bob\n*Date:* Monday\nx\n", "hi\n", "*From:* Bob\n*Date:* Monday\nx\n" },
	{ "hi\n发件人：Bob\n主题：x\n", "hi\n", "发件人：Bob\n主题：x\n" },
	{ "hi\n________________________________\nFrom: Bob\nSent: Monday\nx\n", "hi\n",
	    "________________________________\nFrom: Bob\nSent: Monday\nx\n" },
	{ "hi\n________________________________\n\nDa: Bob\nInviato: x\n", "hi\n",
	    "________________________________\n\nDa: Bob\nInviato: x\n" },
	{ "hi\n________________________________\nstaff mailing list\n",
	    "hi\n________________________________\nstaff mailing list\n", "" },
	{ "From: me\nwith love\nx\ny\nTo: you\n", "From: me\nwith love\nx\ny\nTo: you\n", "" },
};

static void test_quote_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf fresh = BUF_INIT, quoted = BUF_INIT;
		quote_split(bytes_of_text(cases[i].text), &fresh, &quoted);
		if (strcmp(buf_text(&fresh), cases[i].new_text) != 0)
			fail_msg("%s\nnew is: %s", cases[i].text, buf_text(&fresh));
		if (strcmp(buf_text(&quoted), cases[i].quoted) != 0)
			fail_msg("%s\nquoted is: %s", cases[i].text, buf_text(&quoted));
		buf_free(&fresh);
		buf_free(&quoted);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quote_split),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
