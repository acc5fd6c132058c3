#include "draw/plot.h"

#include <string.h>

#define WIDTH 320
#define HEIGHT 200
#define LEFT 34   /* for the numbers of the axis */
#define BOTTOM 22 /* for the labels */
#define TOP 14
#define LABEL_CHARS_PX 7 /* what a character of 11 pixels takes at most, about */
#define ROW 22
#define NAME_WIDTH 122
#define NUMBER_WIDTH 40

void html_add(const char *text, struct buf *out)
{
	for (; *text; text++) {
		if (strchr("<>&\"'", *text))
			buf_addf(out, "&#%d;", *text);
		else
			buf_add_byte(out, *text);
	}
}

static void begin(const char *title, int height, struct buf *out)
{
	buf_addf(out,
	    "<svg viewBox=\"0 0 %d %d\" role=\"img\" xmlns=\"http://www.w3.org/2000/svg\"><title>",
	    WIDTH, height);
	html_add(title, out);
	buf_add_text(out, "</title>");
}

static void add_text(double x, double y, const char *anchor, const char *text, struct buf *out)
{
	buf_addf(
	    out, "<text class=\"text\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
	html_add(text, out);
	buf_add_text(out, "</text>");
}

static void add_number(double x, double y, const char *anchor, int64_t number, struct buf *out)
{
	char *text = str_printf("%lld", (long long)number);

	add_text(x, y, anchor, text, out);
	str_free(&text);
}

static void add_bar(
    double x, double y, double width, double height, const struct plot_bar *bar, struct buf *out)
{
	buf_addf(out,
	    "<rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>", x,
	    y, width, height);
	html_add(bar->label, out);
	buf_addf(out, ": %lld</title></rect>", (long long)bar->value);
}

static int64_t largest(const struct plot_bar *bars, size_t count)
{
	int64_t most = 0;

	for (size_t i = 0; i < count; i++)
		if (bars[i].value > most)
			most = bars[i].value;
	return most;
}

/* The distance of grid lines, 1, 2 or 5 times a power of ten, of which at most four are needed. */
static int64_t grid_step(int64_t most)
{
	static const int64_t factors[] = { 1, 2, 5 };

	for (int64_t power = 1;; power *= 10)
		for (size_t i = 0; i < 3; i++)
			if (factors[i] * power * 4 >= most)
				return factors[i] * power;
}

static void add_grid(int64_t step, int64_t top, struct buf *out)
{
	for (int64_t at = 0; at <= top; at += step) {
		double y = HEIGHT - BOTTOM - (double)at / (double)top * (HEIGHT - BOTTOM - TOP);

		buf_addf(out, "<path class=\"grid\" d=\"M%d %.1fH%d\"/>", LEFT, y, WIDTH);
		add_number(LEFT - 5, y + 4, "end", at, out);
	}
}

/* Every how many columns a label has room. */
static size_t label_every(const struct plot_bar *bars, size_t count)
{
	size_t longest = 1;

	for (size_t i = 0; i < count; i++)
		if (strlen(bars[i].label) > longest)
			longest = strlen(bars[i].label);
	return ((longest + 2) * LABEL_CHARS_PX * count + WIDTH - LEFT - 1) / (WIDTH - LEFT);
}

static bool has_room(double middle, const char *label)
{
	return middle + (double)strlen(label) * LABEL_CHARS_PX / 2 <= WIDTH;
}

void plot_add_columns(const char *title, const struct plot_bar *bars, size_t count, struct buf *out)
{
	int64_t most = largest(bars, count), step = grid_step(most), top;
	size_t every = label_every(bars, count);
	double wide = (double)(WIDTH - LEFT) / (double)(count ? count : 1);

	top = (most + step - 1) / step * step;
	top = top ? top : step;
	begin(title, HEIGHT, out);
	add_grid(step, top, out);
	for (size_t i = 0; i < count; i++) {
		double high = (double)bars[i].value / (double)top * (HEIGHT - BOTTOM - TOP);
		double x = LEFT + (double)i * wide;

		if (bars[i].value)
			add_bar(x + wide * 0.1, HEIGHT - BOTTOM - high, wide * 0.8, high, &bars[i],
			    out);
		if (i % every == 0 && has_room(x + wide / 2, bars[i].label))
			add_text(x + wide / 2, HEIGHT - 6, "middle", bars[i].label, out);
	}
	buf_add_text(out, "</svg>\n");
}

void plot_add_bars(const char *title, const struct plot_bar *bars, size_t count, struct buf *out)
{
	int64_t most = largest(bars, count);
	double room = WIDTH - NAME_WIDTH - NUMBER_WIDTH;

	begin(title, (int)count * ROW + 4, out);
	for (size_t i = 0; i < count; i++) {
		double y = (double)i * ROW + 2;
		double wide = most ? (double)bars[i].value / (double)most * room : 0;

		add_text(NAME_WIDTH - 6, y + 15, "end", bars[i].label, out);
		add_bar(NAME_WIDTH, y + 3, wide, ROW - 6, &bars[i], out);
		add_number(NAME_WIDTH + wide + 5, y + 15, "start", bars[i].value, out);
	}
	buf_add_text(out, "</svg>\n");
}
