# look.sh: pages as a browser shows them, in a frame of a given width (a window can't be as narrow as a telephone). Needs chromium; sourced after flow.sh.
browser() { # WIDTH HEIGHT LIGHT|DARK ARG...
    local width=$1 height=$2 scheme=1
    [ "$3" = dark ] && scheme=0
    shift 3
    HOME=$T/browser timeout 60 chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars --user-data-dir="$T/browser" --no-first-run \
        --window-size="$((width < 500 ? 500 : width)),$height" --blink-settings=preferredColorScheme=$scheme "$@" 2>/dev/null
}
framed() { # FILE WIDTH HEIGHT: the page in a frame, with look.js in it
    python3 - "$@" "$top/tests/lib/look.js" >"$T/framed.html" <<'PY'
import html, sys
page, width, height, script = sys.argv[1:5]
page, script = (open(path, encoding="utf-8").read() for path in (page, script))
page = page.replace("</body>", "<script>" + script + "</script></body>")
print(f"""<!DOCTYPE html><meta charset="utf-8"><style>:root {{ color-scheme: light dark }} body {{ margin: 0 }} iframe {{ border: 0; display: block }}</style>
<body><iframe width="{width}" height="{height}" srcdoc="{html.escape(page)}"></iframe></body>""")
PY
}
# What would trouble a reader of FILE, a line each, behind the width and the ground that the browser gave it.
look() { # FILE WIDTH SCHEME
    framed "$1" "$2" 1000
    browser "$2" 1000 "$3" --virtual-time-budget=2000 --dump-dom "file://$T/framed.html" | sed -n '/<pre id="look">/,/<\/pre>/p' | sed 's/.*<pre id="look">//; s/<\/pre>.*//' | grep .
}
picture() { # FILE WIDTH SCHEME HEIGHT OUT.png
    framed "$1" "$2" "$4"
    browser "$2" "$4" "$3" --screenshot="$5" "file://$T/framed.html" >/dev/null
}
