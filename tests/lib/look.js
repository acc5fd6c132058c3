/* Run in a page that is in a frame: what would trouble a reader, as lines; nothing if all is well. */
(() => {
    const found = [];
    const root = document.documentElement;
    if (root.scrollWidth > root.clientWidth) found.push(`the page is ${root.scrollWidth} wide where ${root.clientWidth} fit`);
    const rgb = text => (text.match(/[\d.]+/g) || []).map(Number);
    const luminance = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const contrast = (a, b) => { const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
    const ground = element => {
        for (; element; element = element.parentElement) {
            const colour = rgb(getComputedStyle(element).backgroundColor);
            if (colour.length === 3 || colour[3] > 0) return colour;
        }
        return [255, 255, 255];
    };
    let texts = 0;
    for (const element of document.body.querySelectorAll('*')) {
        if (!element.getClientRects().length) continue;
        const style = getComputedStyle(element), svg = element instanceof SVGElement;
        const box = element.getBoundingClientRect();
        const own = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
        if (own && !element.matches('title, style')) {
            texts++;
            const ratio = contrast(rgb(svg ? style.fill : style.color), ground(element));
            if (ratio < 4.5) found.push(`contrast ${ratio.toFixed(2)} of "${element.textContent.slice(0, 30)}"`);
            if (box.right > root.clientWidth + 0.5 || box.left < -0.5) found.push(`"${element.textContent.slice(0, 30)}" is cut off`);
            if (parseFloat(style.fontSize) * (svg ? element.ownerSVGElement.getBoundingClientRect().width / element.ownerSVGElement.viewBox.baseVal.width : 1) < 9.5) found.push(`"${element.textContent.slice(0, 30)}" is too small`);
        }
        if (element.matches('.bar') && contrast(rgb(style.fill), ground(element)) < 3) found.push('bars are hard to see');
        if (element.matches('svg')) {
            const labels = [...element.querySelectorAll('text')].map(text => text.getBoundingClientRect());
            if (labels.some(a => a.left < box.left - 1 || a.right > box.right + 1)) found.push('a label is cut off');
            labels.forEach((a, i) => labels.slice(i + 1).forEach(b => {
                if (a.left < b.right && b.left < a.right && a.top < b.bottom - 2 && b.top < a.bottom - 2) found.push('labels lie over each other');
            }));
        }
        if (element.scrollWidth > element.clientWidth + 1 && element.clientWidth && style.display !== 'inline' && !svg) found.push(`${element.tagName} overflows`);
    }
    if (texts < 5) found.push('there is hardly any text');
    const result = document.createElement('pre');
    result.id = 'look';
    result.textContent = `${root.clientWidth} on ${getComputedStyle(document.body).backgroundColor}\n` + [...new Set(found)].join('\n');
    parent.document.body.append(result);
})();
