/* quote: which lines of a text are new and which are quoted or forwarded (P3.2). */
#include "mail/internal.h"

#include <string.h>

#define ATTRIBUTION_LINES_MAX 3
#define HEADER_BLOCK_LINES 3

static const char *const original_words[] = { "original message", "forwarded message",
	"begin forwarded message", "original appointment", "originalnachricht",
	"original-nachricht", "ursprüngliche nachricht", "weitergeleitete nachricht",
	"anfang der weitergeleiteten nachricht", "message d'origine", "message d’origine",
	"message original", "message transféré", "message initial", "début du message réexpédié",
	"mensaje original", "mensaje reenviado", "inicio del mensaje reenviado",
	"messaggio originale", "messaggio inoltrato", "inizio messaggio inoltrato",
	"mensagem original", "mensagem encaminhada", "mensagem reencaminhada",
	"oorspronkelijk bericht", "doorgestuurd bericht", "begin doorgestuurd bericht",
	"ursprungligt meddelande", "originalmeddelande", "vidarebefordrat meddelande",
	"original meddelelse", "oprindelig meddelelse", "videresendt meddelelse",
	"opprinnelig melding", "videresendt melding", "alkuperäinen viesti", "välitetty viesti",
	"oryginalna wiadomość", "wiadomość oryginalna", "przekazana wiadomość", "původní zpráva",
	"přeposlaná zpráva", "pôvodná správa", "preposlaná správa", "eredeti üzenet",
	"továbbított üzenet", "mesaj original", "mesajul original", "orijinal ileti", "özgün ileti",
	"исходное сообщение", "Исходное сообщение", "Оригинальное сообщение",
	"Пересылаемое сообщение", "Вихідне повідомлення", "Αρχικό μήνυμα", "元のメッセージ",
	"転送メッセージ", "原始邮件", "原始郵件", "转发的邮件", "転送されたメッセージ",
	"원본 메시지", "전달된 메시지", NULL };

static const char *const from_words[] = { "From", "Von", "De", "Da", "Van", "Från", "Fra",
	"Lähettäjä", "Od", "Feladó", "Kimden", "Gönderen", "Expéditeur", "От", "Від", "Από",
	"发件人", "寄件者", "差出人", "보낸 사람", NULL };

static const char *const other_words[] = { "Sent", "Date", "To", "Cc", "Subject", "Reply-To",
	"Gesendet", "Datum", "An", "Betreff", "Envoyé", "À", "Objet", "Enviado", "Fecha", "Para",
	"Asunto", "Inviato", "Data", "A", "Oggetto", "Assunto", "Verzonden", "Aan", "Onderwerp",
	"Skickat", "Till", "Ämne", "Sendt", "Dato", "Til", "Emne", "Lähetetty", "Vastaanottaja",
	"Aihe", "Päivämäärä", "Wysłano", "Wysłane", "Do", "Temat", "Odesláno", "Komu", "Předmět",
	"Odoslané", "Predmet", "Elküldve", "Címzett", "Tárgy", "Gönderildi", "Kime", "Konu",
	"Trimis", "Către", "Subiect", "Отправлено", "Дата", "Кому", "Тема", "Дата", "Στάλθηκε",
	"Προς", "Θέμα", "发送时间", "收件人", "主题", "寄件日期", "收件者", "主旨", "送信日時",
	"日時", "宛先", "件名", "보낸 날짜", "받는 사람", "제목", NULL };

static const char *const attribution_words[] = { " wrote", " writes", " schrieb", " a écrit",
	" écrit", " escribió", " escribio", " ha scritto", " escreveu", " schreef", " skrev",
	" kirjoitti", " napisał", " pisze", " napsal", " napísal", " írta", " a scris", " yazdı",
	" пишет", " писал", " написал", " пише", " έγραψε", "写道", "寫道", "のメール", " 작성",
	NULL };

static bool contains_word(struct bytes line, const char *const *words)
{
	for (; *words != NULL; words++)
		for (size_t i = 0; i + strlen(*words) <= line.len; i++)
			if (bytes_start_case(bytes_of(line.data + i, line.len - i), *words))
				return true;
	return false;
}

static bool quote_mark(struct bytes line)
{
	line = bytes_trim(line);
	return line.len > 0 && line.data[0] == '>';
}

/* "-----Original Message-----", "---------- Forwarded message ---------", "Begin forwarded message:" */
static bool original_mark(struct bytes line)
{
	line = bytes_trim(line);
	size_t dashes = 0;
	while (dashes < line.len && line.data[dashes] == '-')
		dashes++;
	bool ruled = dashes >= 3 && line.data[line.len - 1] == '-';
	bool colon = dashes == 0 && line.len > 0 && line.data[line.len - 1] == ':';
	return line.len < 120 && (ruled || colon) && contains_word(line, original_words) &&
	       (ruled || bytes_start_case(line, "begin") || bytes_start_case(line, "anfang") ||
		   bytes_start_case(line, "début") || bytes_start_case(line, "inizio") ||
		   bytes_start_case(line, "inicio"));
}

/* "Von: …", "*From:* …", "发件人：…" */
static bool header_line(struct bytes line, const char *const *names)
{
	line = bytes_trim(line);
	while (line.len > 0 && line.data[0] == '*')
		line = bytes_of(line.data + 1, line.len - 1);
	for (; *names != NULL; names++) {
		if (!bytes_start_case(line, *names))
			continue;
		struct bytes rest =
		    bytes_trim(bytes_of(line.data + strlen(*names), line.len - strlen(*names)));
		if (rest.len > 0 && rest.data[0] == '*')
			rest = bytes_trim(bytes_of(rest.data + 1, rest.len - 1));
		if (bytes_start_case(rest, ":") || bytes_start_case(rest, "："))
			return true;
	}
	return false;
}

/* A From line and, within the next lines, another of a mail's header. */
static bool header_mark(struct bytes line, struct bytes rest)
{
	if (!header_line(line, from_words))
		return false;
	struct bytes next;
	for (int i = 0; i < HEADER_BLOCK_LINES && bytes_line(&rest, &next); i++)
		if (header_line(next, other_words))
			return true;
	return false;
}

/* Outlook's rule: at least ten underscores and nothing else. */
static bool ruler(struct bytes line)
{
	line = bytes_trim(line);
	for (size_t i = 0; i < line.len; i++)
		if (line.data[i] != '_')
			return false;
	return line.len >= 10;
}

/* A rule in front of a From block belongs to it. */
static bool ruler_mark(struct bytes line, struct bytes rest)
{
	struct bytes next;
	if (!ruler(line))
		return false;
	while (bytes_line(&rest, &next))
		if (!bytes_blank(next))
			return header_mark(next, rest);
	return false;
}

static bool attribution_end(struct bytes line)
{
	line = bytes_trim(line);
	if (line.len > 200 || line.len < 2)
		return false;
	bool colon = line.data[line.len - 1] == ':' ||
		     (line.len > 3 && memcmp(line.data + line.len - 3, "：", 3) == 0);
	return colon && contains_word(line, attribution_words);
}

static bool attribution_start(struct bytes line)
{
	static const char *const starts[] = { "On ", "Am ", "Le ", "El ", "Il ", "Em ", "Op ",
		"Den ", "Dne ", "Dnia ", "W dniu ", "Em ", "Pe ", "At ", "Vào ", NULL };
	line = bytes_trim(line);
	for (const char *const *s = starts; *s != NULL; s++)
		if (bytes_start_case(line, *s))
			return true;
	return false;
}

/* How many lines from here are an attribution ("On …,\n… wrote:"); 0 if there is none. */
static size_t attribution_lines(struct bytes line, struct bytes rest)
{
	if (attribution_end(line))
		return 1;
	if (!attribution_start(line))
		return 0;
	for (size_t count = 2; count <= ATTRIBUTION_LINES_MAX; count++) {
		if (!bytes_line(&rest, &line) || bytes_blank(line) || quote_mark(line))
			return 0;
		if (attribution_end(line))
			return count;
	}
	return 0;
}

static bool quote_follows(struct bytes rest)
{
	struct bytes line;
	while (bytes_line(&rest, &line))
		if (!bytes_blank(line))
			return quote_mark(line);
	return false;
}

static void add_line(struct buf *out, struct bytes line)
{
	buf_add(out, line.data, line.len);
	buf_add_byte(out, '\n');
}

void quote_split(struct bytes text, struct buf *new_text, struct buf *quoted_text)
{
	struct bytes line;
	bool all_quoted = false;
	while (bytes_line(&text, &line)) {
		all_quoted = all_quoted || original_mark(line) || header_mark(line, text) ||
			     ruler_mark(line, text);
		if (all_quoted || quote_mark(line)) {
			add_line(quoted_text, line);
			continue;
		}
		size_t attribution = attribution_lines(line, text);
		if (attribution == 0) {
			add_line(new_text, line);
			continue;
		}
		add_line(quoted_text, line);
		while (--attribution > 0 && bytes_line(&text, &line))
			add_line(quoted_text, line);
		/* without marks nobody can tell where the quotation ends */
		all_quoted = !quote_follows(text);
	}
}
