/* qr: QR codes (ISO/IEC 18004; libqrencode) as pictures. */
#ifndef DRAW_QR_H
#define DRAW_QR_H

#include "base/buf.h"

/* Appends an SVG document: black on white with the quiet zone around it, error correction M. ERR_DATA: too long for a QR code. */
CHECKED enum err qr_add_svg(const char *text, struct buf *out);

#endif
