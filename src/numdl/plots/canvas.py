"""Canvas of figures (inline SVG).

How does a drawing become an inline SVG that a page can hold: text as text, a title, no identifiers that clash?

Neither pyplot nor the global backend is touched: a ``Figure`` gets its own SVG canvas.
"""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int, Real

from numdl import checks
from numdl.plots._arguments import require_axes
from numdl.plots.wording import power

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

BLUE, ORANGE, GREEN, PURPLE, RED, GREY = "#1f5fa8", "#d1690a", "#23845a", "#7a4ea3", "#bb3a34", "#7b8494"
CYCLE = (BLUE, ORANGE, GREEN, PURPLE, RED, "#0e8f9e", "#a07a1c", "#c2508d")
DASHES = ("-", "--", "-.", ":", (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (5, 1)))
INK = "#2b3440"
LIVE = {"live-line", "live-band", "live-frame", "live-mark"}
"""Parts of a figure that a page may move: ``gid`` of an artist."""
SIZE = (4.6, 3.1)
MAX_POINTS = 2000

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 9.5,
    "font.family": ["sans-serif"],
    "axes.labelsize": 9.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#aab2bd",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-4, 5),
    "grid.color": "#e6e9ee",
    "grid.linewidth": 0.7,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": True,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
}


def pen(position: int) -> dict[str, Any]:
    """Colour and dashes of the line at a position, from 0: lines are told apart without colour, too."""
    position = checks.whole("pen", "position", position, least=0)
    return {"color": CYCLE[position % len(CYCLE)], "linestyle": DASHES[position % len(DASHES)]}


def draw_svg(
    name: str, title: str, draw: Callable[[Axes], None], size: tuple[float, float] = SIZE, description: str = ""
) -> str:
    """Draw one pair of axes and return it as an ``<svg>`` element for an HTML page.

    Args:
        name: identifier of the figure, unique on its page; prefix of all identifiers inside.
        title: what the figure shows, for those who cannot see it; escaped here.
        draw: function that draws on the axes.
        size: width and height in inches; the page scales the figure to its column.
        description: more for those who cannot see it; escaped here.

    Returns:
        The element, without prolog, fixed size or style sheet of its own.

    Raises:
        TypeError: name or title is no text, or draw no function.
        ValueError: no size.
    """
    checks.text("draw_svg", "name", name)
    checks.text("draw_svg", "title", title)
    checks.text("draw_svg", "description", description)
    checks.function("draw_svg", "draw", draw, "axes -> None")
    for inches in checks.real("draw_svg", "size", size, (2,)):
        checks.number("draw_svg", "size", inches, above=0)
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
    body = re.sub(r' id="([^"]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used | LIVE else "", body)
    body = re.sub(r"""(url\(|href=")#""", rf"\1#{name}-", body)
    texts = {"title": title} | ({"desc": description} if description else {})
    said = "".join(f'<{tag} id="{name}-{tag}">{html.escape(text)}</{tag}>' for tag, text in texts.items())
    ids = " ".join(f"{name}-{tag}" for tag in texts)
    return f'<svg viewBox="{box[1] if box else "0 0 100 100"}" role="img" aria-labelledby="{ids}">{said}{body}'


def thin(n: int, limit: int) -> Int[np.ndarray, " i"]:
    """At most ``limit`` evenly spaced indices of 0..n-1, with both ends."""
    checks.whole("thin", "n", n, least=0)
    checks.whole("thin", "limit", limit, least=2)
    return np.arange(n) if n <= limit else np.unique(np.linspace(0, n - 1, limit).round().astype(int))


def sample(n: int, limit: int = MAX_POINTS) -> Int[np.ndarray, " i"]:
    """At most ``limit`` indices of 0..n-1 drawn at random with a fixed seed, ascending."""
    checks.whole("sample", "n", n, least=0)
    checks.whole("sample", "limit", limit, least=1)
    return np.arange(n) if n <= limit else np.sort(np.random.default_rng(0).choice(n, limit, replace=False))


def logarithmic(ax: Axes, values: Real[np.ndarray, " ..."]) -> None:
    """Make the y axis logarithmic if the values are positive and span a decade; labels are plain text, not formulas.

    Args:
        ax: axes.
        values: that are drawn; what is not finite is left out.
    """
    require_axes("logarithmic", ax)
    values = np.asarray(checks.real("logarithmic", "values", values))
    values = values[np.isfinite(values)]
    if not values.size or values.min() <= 0 or values.max() < 10 * values.min():
        return
    ax.set_yscale("log")
    _decades(ax.yaxis, float(values.max() / values.min()))


def logarithmic_x(ax: Axes, ratio: float = np.inf) -> None:
    """Make the x axis logarithmic, with labels of plain text.

    Args:
        ax: axes.
        ratio: of its ends, at least 1; decades alone are marked from 100 on.

    Raises:
        ValueError: another ratio.
    """
    require_axes("logarithmic_x", ax)
    checks.number("logarithmic_x", "ratio", ratio, least=1, infinite=True)
    ax.set_xscale("log")
    _decades(ax.xaxis, ratio)


def logarithmic_y(ax: Axes, ratio: float = np.inf) -> None:
    """The same of the y axis.

    Args:
        ax: axes.
        ratio: of its ends, at least 1.

    Raises:
        ValueError: another ratio.
    """
    require_axes("logarithmic_y", ax)
    checks.number("logarithmic_y", "ratio", ratio, least=1, infinite=True)
    ax.set_yscale("log")
    _decades(ax.yaxis, ratio)


def _decades(axis: Axis, ratio: float) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_major_locator(LogLocator(numticks=8) if ratio >= 100 else LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(power if ratio >= 100 else lambda value, _: f"{value:.3g}"))
    axis.set_minor_locator(NullLocator())
