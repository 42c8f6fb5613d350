"""HTML template and inline SVG.

What does the page look like: its style sheet, and the few pieces of HTML it is made of? All text is escaped here.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from numdl import checks
from numdl.plots.canvas import SIZE, STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CSS = """
:root{color-scheme:light dark;--bg:#f4f5f7;--card:#fff;--ink:#1c2430;--soft:#5a6675;--line:#dfe3e8;--accent:#1f5fa8;
--good:#1e7a4f;--fair:#9a6500;--bad:#b3342e;--mark:#eef4fb}
@media (prefers-color-scheme:dark){:root{--bg:#14181e;--card:#1d232b;--ink:#e7ebf0;--soft:#a3aebb;--line:#333c47;
--accent:#7db2ee;--good:#63c796;--fair:#e0b055;--bad:#f08a83;--mark:#233247}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,
"Helvetica Neue",Arial,sans-serif;overflow-wrap:anywhere}
main{max-width:1240px;margin:0 auto;padding:28px 24px 48px}
.eyebrow{margin:0;color:var(--soft);font-size:.85rem;letter-spacing:.02em}
h1{margin:.15em 0 .5em;font-size:clamp(1.45rem,1.1rem + 1.4vw,2.1rem);line-height:1.2;letter-spacing:-.01em}
h2{margin:2em 0 .2em;font-size:1.25rem;line-height:1.3}
h3{margin:0 0 .15em;font-size:1rem;line-height:1.35}
p{margin:.3em 0}
.lead{max-width:70ch;font-size:clamp(1.05rem,1rem + .35vw,1.25rem);line-height:1.45;margin:.2em 0 .7em}
.intro,.note{color:var(--soft);max-width:75ch}
.note{font-size:.86rem;line-height:1.45;margin:0 0 .5em}
.badge{display:inline-block;margin-right:.6em;padding:.05em .7em;border:1px solid currentColor;border-radius:99px;
font-size:.85rem;font-weight:600;white-space:nowrap}
.good{color:var(--good)}.fair{color:var(--fair)}.bad{color:var(--bad)}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,340px),1fr));gap:16px;margin-top:14px}
.pair{grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));margin-top:20px}
.top{align-items:start}
.one{grid-template-columns:minmax(0,1fr)!important}
.fill{grid-template-columns:repeat(auto-fill,minmax(min(100%,340px),1fr))}
.card{margin:0;min-width:0;background:var(--card);border:1px solid var(--line);border-radius:10px;padding:14px 16px}
.card h2{margin:0 0 .4em;font-size:1.1rem}
figure.card{display:flex;flex-direction:column}
figure .plot{margin-top:auto;border-radius:6px}
.pictures .plot{overflow-x:auto}.pictures svg{min-width:38rem}
@media screen and (prefers-color-scheme:dark){figure svg{filter:invert(.92) hue-rotate(180deg)}
.pictures image{filter:hue-rotate(180deg) invert(1)}}
figure svg{display:block;width:100%;height:auto;max-height:80vh}
figure svg *{stroke-linejoin:round;stroke-linecap:butt}
figure svg text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif!important}
.scroll{overflow-x:auto;background:linear-gradient(90deg,var(--card),transparent 28px) local,
linear-gradient(-90deg,var(--card),transparent 28px) local,linear-gradient(90deg,var(--line),transparent 10px),
linear-gradient(-90deg,var(--line),transparent 10px)}
nav{display:flex;flex-wrap:wrap;gap:.2em 1.3em;margin:1.1em 0 0;font-size:.95rem}
a{color:var(--accent)}
.controls{display:flex;flex-wrap:wrap;align-items:center;gap:.5em .9em;min-height:2.2em}
.controls[hidden]{display:none}
select,input{font:inherit;max-width:100%;accent-color:var(--accent)}
select{color:inherit;background:var(--card);border:1px solid var(--line);border-radius:6px;padding:.15em .4em}
.tall .scroll{max-height:30rem;overflow-y:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;overflow-wrap:normal}
th,td{padding:.42em .7em;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left;padding-left:.4em;white-space:normal;overflow-wrap:anywhere;min-width:9em}
.text{text-align:left!important;white-space:normal;max-width:34em}
thead th{color:var(--soft);font-size:.86rem;font-weight:600}
tbody th{font-weight:400}
tr.own td,tr.own th{font-weight:650;background:var(--mark)}
tbody tr:last-child>*{border-bottom:0}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,230px),1fr));gap:.6em 1.6em;margin:.4em 0 0}
dt{color:var(--soft);font-size:.86rem}
dd{margin:0}
ul{margin:.2em 0;padding-left:1.15em}
li{margin:.45em 0}
@media (max-width:520px){main{padding:18px 12px 32px}.card{padding:12px}table{font-size:.92rem}
th,td{padding:.4em .35em}th:first-child,td:first-child{min-width:6em}}
@media print{:root{color-scheme:light;--bg:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#ccc;--mark:#eee}
main{max-width:none;padding:0}.card{break-inside:avoid}.tall .scroll{max-height:none}h2{break-after:avoid}
.grid{grid-template-columns:1fr 1fr}body{font-size:11pt}nav,.controls{display:none}.intro{break-after:avoid}
.scroll{overflow:visible;background:none}th,td{padding:.3em .4em;white-space:normal}thead{display:table-header-group}}
"""

_MOVED = {"live-line", "live-band", "live-frame", "live-mark"}
"""Parts of a figure that a page may move: ``gid`` of an artist."""

_NUMBER = re.compile(r"\W*([\d.,]+(e[-+−]?\d+)?(\s?\W|\s\w{1,3})?)?|nan|[-−]?inf")
"""A number as tables show it, perhaps with a unit, or a sign for none."""

# Nothing is loaded, and no script runs but the one given, whatever a column name says.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def document(title: str, body: str, script: str = "") -> str:
    """The whole page around a body.

    Args:
        title: plain text.
        body: HTML.
        script: the one script that may run in it, see `live`.

    Returns:
        An HTML5 document that needs nothing from elsewhere.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"{POLICY}; script-src 'sha256-{digest}'" if script else POLICY
    return checks.unmarked(
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def element(tag: str, text: str, kind: str = "") -> str:
    """A tag around plain text, which is escaped."""
    attribute = f' class="{kind}"' if kind else ""
    return f"<{tag}{attribute}>{html.escape(text)}</{tag}>"


def card(heading: str, inside: str, kind: str = "") -> str:
    """A box with a heading (plain text) around HTML."""
    return f'<section class="card {kind}">{element("h2", heading)}{inside}</section>'


def grid(items: Iterable[str], kind: str = "") -> str:
    """Boxes side by side as far as the width allows."""
    return f'<div class="grid {kind}">{"".join(items)}</div>'


def section(heading: str, intro: str, blocks: Sequence[str]) -> str:
    """A part of the page under a heading that `contents` finds; nothing without blocks."""
    if not blocks:
        return ""
    lead = element("p", intro, "intro") if intro else ""
    return f'<section id="{_anchor(heading)}"><h2>{html.escape(heading)}</h2>{lead}{"".join(blocks)}</section>'


def contents(parts: Iterable[str]) -> str:
    """Links to the parts of the page; nothing for one part."""
    heads = [re.match(r'<section id="([\w-]+)"><h2>(.*?)</h2>', part) for part in parts]
    links = [f'<a href="#{head[1]}">{head[2]}</a>' for head in heads if head]
    return f'<nav aria-label="Contents">{"".join(links)}</nav>' if len(links) > 1 else ""


def _anchor(heading: str) -> str:
    return re.sub(r"\W+", "-", heading.lower()).strip("-")


def draw_svg(
    name: str, title: str, draw: Callable[[Axes], None], size: tuple[float, float] = SIZE, description: str = ""
) -> str:
    """Draw one pair of axes and return it as an ``<svg>`` element: text as text, a title, no identifiers that clash.

    Neither pyplot nor the global backend is touched: a ``Figure`` gets its own SVG canvas.

    Args:
        name: identifier of the figure, unique on its page; prefix of all identifiers inside.
        title: what the figure shows, for those who cannot see it; escaped here.
        draw: function that draws on the axes.
        size: width and height in inches; the page scales the figure to its column.
        description: more for those who cannot see it; escaped here.

    Returns:
        The element, without prolog, fixed size or style sheet of its own.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with mpl.rc_context({**STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        # The browser has the glyphs that matplotlib's own font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure.add_subplot())
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    return _inline(buffer.getvalue(), name, title, description)


def _inline(svg: str, name: str, title: str, description: str) -> str:
    box = re.search(r'viewBox="([^"]+)"', svg)
    body = svg[svg.index(">", svg.index("<svg")) + 1 :]
    for pattern in (r"<metadata>.*?</metadata>", r"<style[^>]*>.*?</style>", r"<defs>\s*</defs>"):
        body = re.sub(pattern, "", body, flags=re.DOTALL)
    body = body.replace("xlink:href=", "href=")
    used = set(re.findall(r"""(?:url\(|href=")#([\w-]+)""", body))
    body = re.sub(r' id="([^"]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used | _MOVED else "", body)
    body = re.sub(r"""(url\(|href=")#""", rf"\1#{name}-", body)
    texts = {"title": title} | ({"desc": description} if description else {})
    said = "".join(f'<{tag} id="{name}-{tag}">{html.escape(text)}</{tag}>' for tag, text in texts.items())
    ids = " ".join(f"{name}-{tag}" for tag in texts)
    return f'<svg viewBox="{box[1] if box else "0 0 100 100"}" role="img" aria-labelledby="{ids}">{said}{body}'


def drawn(
    key: str, heading: str, note: str, draw: Callable[[Axes], None], size: tuple[float, float] = SIZE, kind: str = ""
) -> str:
    """A box with a heading and a note (plain text) above a drawing.

    Args:
        key: identifier of the figure, unique on its page.
        heading: what is drawn.
        note: what to see in it.
        draw: draws on axes.
        size: in inches; the page scales it to its column.
        kind: "pictures" for those whose colours have to stay as they are, else nothing.

    Returns:
        HTML.
    """
    caption = element("h3", heading) + (element("p", note, "note") if note else "")
    svg = draw_svg(key, heading, draw, size, note)
    classes = f"card {kind}".strip()
    return f'<figure class="{classes}"><figcaption>{caption}</figcaption><div class="plot">{svg}</div></figure>'


def live(script: str) -> str:
    """The script that moves figures, at the end of what it moves; `document` has to allow it."""
    return f"<script>{script}</script>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], marked: int | None = None) -> str:
    """A table of plain text that scrolls inside its box; the row with index ``marked`` is emphasised.

    Columns that hold more than numbers are flush left.
    """
    rows = list(rows)
    words = [any(not _NUMBER.fullmatch(row[j]) for row in rows) for j in range(len(head))]
    kinds = [' class="text"' if j and words[j] else "" for j in range(len(head))]
    top = "".join(f'<th scope="col"{kind}>{html.escape(cell)}</th>' for cell, kind in zip(head, kinds, strict=True))
    lines = []
    for position, row in enumerate(rows):
        first, *others = (html.escape(cell) for cell in row)
        kind = ' class="own"' if position == marked else ""
        cells = "".join(f"<td{one}>{cell}</td>" for cell, one in zip(others, kinds[1:], strict=True))
        lines.append(f'<tr{kind}><th scope="row">{first}</th>{cells}</tr>')
    inside = f"<thead><tr>{top}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f'<div class="scroll" tabindex="0"><table>{inside}</table></div>'


def terms(facts: Iterable[tuple[str, str]]) -> str:
    """A list of names and values, plain text."""
    entries = (f"<div>{element('dt', name)}{element('dd', value)}</div>" for name, value in facts)
    return f"<dl>{''.join(entries)}</dl>"


def bullets(sentences: Iterable[str]) -> str:
    """A list of sentences, or the sentence itself if it is the only one."""
    lines = list(sentences)
    if len(lines) == 1:
        return element("p", lines[0])
    return f"<ul>{''.join(element('li', line) for line in lines)}</ul>"
