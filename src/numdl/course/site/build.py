"""Pages as a website: how do modules of JavaScript and a style sheet become files that open from any folder?

Browsers refuse ES modules of files that were opened from a disk. The modules of the course use two forms only,
``import { a, b } from "./c.mjs";`` at the start of a line and ``export`` before a definition, so that each becomes a
function of one classic script by the change of these lines; Node reads them as they stand. Nothing is loaded from
elsewhere, and the policy of each page forbids it.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
from pathlib import Path
from typing import NamedTuple

from numdl.course import assignments
from numdl.course.site.live import experiment_of

HERE = Path(__file__).parent
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)
LECTURES = {
    "1": "Linear models: how much of the data is worth fitting?",
    "2": "Nonlinear models: why training is hard, and what structure helps",
    "3": "Networks as differential equations",
}
_FIRST = "var numdl = { made: {}, define: {}, use(name) { return (this.made[name] ??= this.define[name]()); } };"
MARK = "numdl course site"
"""What the file ``.numdl-course`` of a folder says that may be written again."""


class PageHead(NamedTuple):
    """What a page is listed by.

    Attributes:
        slug: name of its file, without suffix.
        path: of its module.
        id: lecture and number, ``"1.5"``.
        question: its title.
        goal: what one can do afterwards, a sentence.
        minutes: that it takes.
        needs: what one should know before, a phrase.
    """

    slug: str
    path: Path
    id: str
    question: str
    goal: str
    minutes: int
    needs: str


def pages() -> list[PageHead]:
    """All pages in the order of the course, read from the first lines of their modules.

    Returns:
        One entry for each page.
    """
    found = [_head(path) for path in (HERE / "pages").glob("*/*.mjs")]
    return sorted(found, key=lambda page: [int(part) for part in page.id.split(".")])


def questions() -> dict[str, str]:
    """What each page asks, by its number.

    Returns:
        ``{"1.1": "What is there to learn?", ...}`` in the order of the course.
    """
    return {page.id: page.question for page in pages()}


def build(out: str | os.PathLike[str], *, live: bool = False) -> Path:
    """Write all pages, their scripts, style and fonts.

    Args:
        out: folder; made if it does not exist. One that holds other things than an earlier site is refused.
        live: whether a server of numdl shows the pages, which can run their experiments.

    Returns:
        The page with the table of contents.

    Raises:
        ValueError: the folder holds something else.
        OSError: it cannot be written.
    """
    folder = Path(out)
    marker = folder / ".numdl-course"
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"build(out={str(out)!r}): is a file, needs a folder. Give another name.")
    if folder.is_dir() and any(folder.iterdir()) and not marker.exists():
        raise ValueError(
            f"build(out={str(out)!r}): the folder holds files that are not of a site, needs an empty folder or an "
            "earlier site. Give another name."
        )
    assets = folder / "assets"
    assets.mkdir(parents=True, exist_ok=True)
    marker.write_text(MARK + "\n")
    shutil.copytree(HERE / "katex", assets / "katex", dirs_exist_ok=True)
    shutil.copyfile(HERE / "style.css", assets / "style.css")
    (assets / "course.js").write_text(bundle(sorted((HERE / "lib").glob("*.mjs"))), encoding="utf-8")
    listed = pages()
    for i, page in enumerate(listed):
        around = (listed[i - 1] if i else None, listed[i + 1] if i + 1 < len(listed) else None)
        source = page.path.read_text(encoding="utf-8")
        script = bundle([*(HERE / name for name in _data_of(source)), page.path], start=page.slug)
        (assets / f"{page.slug}.js").write_text(script, encoding="utf-8")
        attributes = _live(source) if live else ""
        (folder / f"{page.slug}.html").write_text(_page(page, *around, attributes), encoding="utf-8")
    index = folder / "index.html"
    index.write_text(_index(listed), encoding="utf-8")
    return index


def build_answers(out: str | os.PathLike[str]) -> Path:
    """Write the course with the answer key for its teachers.

    Args:
        out: folder, as for `build`.

    Returns:
        The page with the answers to all exercises and the programs of all assignments.

    Raises:
        ValueError: the folder holds something else.
        OSError: it cannot be written.
    """
    folder = build(out).parent
    listed = pages()
    sources = [page.path.read_text(encoding="utf-8") for page in listed]
    data = dict.fromkeys(name for source in sources for name in _data_of(source))
    script = bundle([*(HERE / name for name in data), *(page.path for page in listed)])
    shown = ", ".join(f'numdl.use("{page.slug}").page' for page in listed)
    last = f'numdl.use("answers").answers(document.getElementById("answers"), [{shown}]);\n'
    (folder / "assets" / "answers.js").write_text(script.replace(_FIRST, "", 1) + last, encoding="utf-8")
    programs = "".join(
        f"<h2>{html.escape(assignments.find(name).title)}</h2>\n"
        f"<pre><code>{html.escape(assignments.solution(name))}</code></pre>\n"
        for name in assignments.REGISTRY
    )
    body = (
        '<nav aria-label="Course"><a href="index.html">Numerical methods for deep learning: all pages</a></nav>\n'
        "<h1>Answers</h1>\n<p>For teachers: keep this folder to yourself. Each answer was given to the check of its "
        "exercise just now; what the check said stands beside it.</p>\n"
        '<div id="answers"></div>\n<h1>Assignments</h1>\n' + programs
    )
    path = folder / "answers.html"
    path.write_text(_document("Answers", body, ("katex/katex.min.js", "course.js", "answers.js")), encoding="utf-8")
    return path


def _data_of(source: str) -> list[str]:
    """Modules of data that a page imports, as paths from the folder of the site."""
    return re.findall(r'from "\.\./\.\./(data/\w+\.mjs)"', source)


def bundle(paths: list[Path], start: str = "") -> str:
    """ES modules as one classic script; names of files must differ.

    Args:
        paths: of the modules.
        start: stem of the module whose ``page`` is shown at the end; none if empty.

    Returns:
        The script.

    Raises:
        ValueError: a module imports or exports in another form than the two.
    """
    parts = ['"use strict";']
    if not start:
        parts.append(_FIRST)
    parts += [_as_function(path.stem, path.read_text(encoding="utf-8")) for path in paths]
    if start:
        parts.append(f'numdl.use("page").start(numdl.use("{start}").page, document.getElementById("page"));')
    return "\n".join(parts) + "\n"


def _as_function(stem: str, source: str) -> str:
    """A module as a function that returns what it exports."""
    names: list[str] = []

    def take(found: re.Match[str]) -> str:
        names.append(found[2])
        return f"{found[1]} {found[2]}"

    imported = r'^import (\{(?:(?! as )[^}])*\}) from "[./\w-]*?([\w-]+)\.mjs";$'
    source = re.sub(imported, r'const \1 = numdl.use("\2");', source, flags=re.M)
    source = re.sub(r"^export (const|let|function|class) (\w+)", take, source, flags=re.M)
    odd = re.search(r"^(import\b.*[\"'{*]|export\b).*$", source, flags=re.M)
    if odd:
        raise ValueError(f"bundle: {stem}.mjs has the line {odd[0]!r}. Import names from one file; export definitions.")
    return f'numdl.define["{stem}"] = function () {{\n{source}\nreturn {{ {", ".join(names)} }};\n}};'


def _head(path: Path) -> PageHead:
    """Entry of a page; its module opens with plain lines ``name: value,``."""
    source = path.read_text(encoding="utf-8")
    found = {}
    for name in ("id", "question", "goal", "minutes", "needs"):
        line = re.search(rf"^  {name}: (.*),$", source, flags=re.M)
        if line is None:
            raise ValueError(f"{path.name}: has no line '  {name}: ...,'. Each page opens with its head.")
        found[name] = json.loads(line[1])
    return PageHead(slug=path.stem, path=path, **found)


def _document(title: str, body: str, scripts: tuple[str, ...]) -> str:
    tags = "".join(f'<script src="assets/{name}" defer></script>\n' for name in scripts)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n"
        '<link rel="icon" href="data:,">\n<link rel="stylesheet" href="assets/katex/katex.min.css">\n'
        f'<link rel="stylesheet" href="assets/style.css">\n{tags}</head>\n'
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _link(page: PageHead | None, before: str = "", after: str = "") -> str:
    if page is None:
        return "<span></span>"
    return f'<a href="{page.slug}.html">{before}{page.id} {html.escape(page.question)}{after}</a>'


def _live(source: str) -> str:
    """What a page asks of the local server, as attributes: its experiment, and whether it takes the reader's tables."""
    experiment = experiment_of(source)
    asked = f' data-experiment="{html.escape(json.dumps(experiment))}"' if experiment else ""
    return asked + (' data-own="table"' if re.search(r"^  own: true,$", source, flags=re.M) else "")


def _page(page: PageHead, before: PageHead | None, after: PageHead | None, attributes: str) -> str:
    lecture = LECTURES[page.id.split(".")[0]]
    body = (
        '<nav aria-label="Course"><a href="index.html">Numerical methods for deep learning: all pages</a></nav>\n'
        f'<header><p class="eyebrow">Lecture {page.id.split(".")[0]}. {html.escape(lecture)} &middot; page {page.id} '
        f"&middot; {page.minutes} minutes</p>\n<h1>{html.escape(page.question)}</h1>\n"
        f'<p class="goal">{html.escape(page.goal)} You need: {html.escape(page.needs)}.</p></header>\n'
        "<noscript><p>The figures of this page are computed by JavaScript, which is switched off.</p></noscript>\n"
        f'<div id="page"{attributes}></div>\n{_assignments(page)}'
        f'<footer><nav aria-label="Next pages">{_link(before, "&larr; ")}'
        f"{_link(after, after=' &rarr;')}</nav></footer>"
    )
    return _document(page.question, body, ("katex/katex.min.js", "course.js", f"{page.slug}.js"))


def _assignments(page: PageHead) -> str:
    """Assignments that lead to a page, with the commands that hand them out."""
    tasks = [assignments.find(name) for name in assignments.REGISTRY]
    own = [task for task in tasks if page.id in task.pages]
    lines = [f"<li>{html.escape(one.title)}: <code>numdl course start {one.name}</code></li>\n" for one in own]
    return f"<h2>Assignments</h2>\n<ul>\n{''.join(lines)}</ul>\n" if own else ""


def _index(listed: list[PageHead]) -> str:
    parts = [
        '<div class="index"><p class="eyebrow">numdl course</p><h1>Numerical methods for deep learning</h1>',
        "<p>Each page asks one question. Guess first; then move the figure until the answer is yours. The claims below "
        "a figure are judged at your settings, and say what they need when they stop holding. The Python at the end of "
        "a page prints the same numbers.</p>",
        "<p>On all pages <i>n</i> rows of data hold features <i>x</i> and targets <i>c</i>; a prime, as in "
        "<i>x&prime;c</i>, is the transpose, so that this is an inner product; |<i>x</i>| is the Euclidean length. "
        "Where nothing else is unknown, <i>x</i> names the coefficients that are. You need linear algebra up to "
        "eigenvalues, derivatives of several unknowns, and mean and variance. Singular values are introduced on page "
        "1.3.</p>",
    ]
    for number, title in LECTURES.items():
        own = [page for page in listed if page.id.startswith(number + ".")]
        if own:
            parts.append(f"<h2>Lecture {number}. {html.escape(title)}</h2>\n<ol>")
            parts += [
                f'<li>{_link(page)}<br><span class="soft">{html.escape(page.goal)} {page.minutes} minutes.</span></li>'
                for page in own
            ]
            parts.append("</ol>")
    return _document("Numerical methods for deep learning", "\n".join(parts) + "</div>", ())
