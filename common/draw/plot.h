/*
 * plot: bar charts as inline SVG that needs nothing from outside. Colours are classes (bar, grid, text), so that the page's style decides, also in dark mode. A plot is as wide as a
 * telephone, so its text keeps its size there.
 */
#ifndef DRAW_PLOT_H
#define DRAW_PLOT_H

#include "base/buf.h"

struct plot_bar {
	const char *label;
	int64_t value; /* not negative */
};

/* Columns from left to right, as for time. Labels that have no room are left out; `title` is for those who hear the page. */
void plot_add_columns(
    const char *title, const struct plot_bar *bars, size_t count, struct buf *out);
/* Bars one below the other, for names that are long. */
void plot_add_bars(const char *title, const struct plot_bar *bars, size_t count, struct buf *out);
/* What has a meaning in HTML, escaped. */
void html_add(const char *text, struct buf *out);

#endif
