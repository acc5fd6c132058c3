/* flowed: text/plain; format=flowed read back into paragraphs (RFC 3676 4). */
#include "mail/internal.h"

#include <string.h>

struct flowed_line {
	size_t depth;      /* of quoting */
	struct bytes text; /* unstuffed */
	bool flows;        /* the next line belongs to it */
};

static struct flowed_line flowed_read(struct bytes line, bool delsp)
{
	struct flowed_line f = { 0 };
	while (f.depth < line.len && line.data[f.depth] == '>')
		f.depth++;
	f.text = bytes_of(line.data + f.depth, line.len - f.depth);
	if (f.text.len > 0 && f.text.data[0] == ' ')
		f.text = bytes_of(f.text.data + 1, f.text.len - 1);
	bool separator = bytes_equal(f.text, bytes_of_text("-- "));
	f.flows = !separator && f.text.len > 0 && f.text.data[f.text.len - 1] == ' ';
	if (f.flows && delsp)
		f.text.len--;
	return f;
}

void flowed_unwrap(struct bytes text, bool delsp, struct buf *out)
{
	bool open = false;
	size_t depth = 0;
	struct bytes line;
	while (bytes_line(&text, &line)) {
		struct flowed_line f = flowed_read(line, delsp);
		bool separator = bytes_equal(f.text, bytes_of_text("-- "));
		if (open && (f.depth != depth || separator)) {
			buf_add_byte(out, '\n');
			open = false;
		}
		if (!open && f.depth > 0) {
			for (size_t i = 0; i < f.depth; i++)
				buf_add_byte(out, '>');
			buf_add_byte(out, ' ');
		}
		buf_add(out, f.text.data, f.text.len);
		open = f.flows;
		depth = f.depth;
		if (!open)
			buf_add_byte(out, '\n');
	}
	if (open)
		buf_add_byte(out, '\n');
}
