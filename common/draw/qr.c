#include "draw/qr.h"

#include <errno.h>
#include <qrencode.h>
#include <string.h>

#define QUIET 4 /* modules, ISO/IEC 18004 */

static bool is_dark(const QRcode *code, int x, int y)
{
	return code->data[y * code->width + x] & 1;
}

/* One rectangle for each run of dark modules. */
static void add_row(const QRcode *code, int y, struct buf *out)
{
	for (int x = 0, end; x < code->width; x = end + 1) {
		for (end = x; end < code->width && is_dark(code, end, y); end++)
			;
		if (end > x)
			buf_addf(out, "M%d %dh%dv1h-%dz", x + QUIET, y + QUIET, end - x, end - x);
	}
}

enum err qr_add_svg(const char *text, struct buf *out)
{
	QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_M);
	int size;

	if (!code)
		return err_fail(errno == ERANGE ? ERR_DATA : ERR_SYSTEM,
		    "cannot make a QR code of %zu characters: %s", strlen(text), strerror(errno));
	size = code->width + 2 * QUIET;
	buf_addf(out,
	    "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
	    "shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h%dv%dH0z\"/>"
	    "<path d=\"",
	    size, size, size, size);
	for (int y = 0; y < code->width; y++)
		add_row(code, y, out);
	buf_add_text(out, "\"/></svg>");
	mem_wipe(code->data, (size_t)(code->width * code->width));
	QRcode_free(code);
	return ERR_OK;
}
