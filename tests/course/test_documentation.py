"""The documentation as a website: what is generated, that both builders build it, and what a browser makes of it."""

import functools
import http.server
import importlib.util
import os
import re
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # docs and benchmarks are no part of the package

from docs.make import __main__ as make  # noqa: E402
from docs.make import api, gallery, measured, runs  # noqa: E402

WORDS = ("vector field", "GCV", "trainbr")


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory):
    """All pages without the tables, for which all benchmarks would be imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measured, "section", lambda name: f"tables of {name}")
        return make.lay_out(tmp_path_factory.mktemp("docs"), ROOT / "no pictures").parent / "docs"


# ---------------------------------------------------------------------------------------------------- what is generated
def test_the_reference_has_every_public_name():
    rooms = api.rooms()
    assert {"numdl", "flow", "optimize", "estimators", "checks"} <= set(rooms) and not {"cli", "course"} & set(rooms)
    pages = api.pages()
    listed = set(re.findall(r"^::: (\S+)$", "\n".join(pages.values()), flags=re.MULTILINE))
    assert len(listed) > 1000
    import numdl
    from numdl import flow, optimize, problems

    for room in (numdl, optimize, problems, flow):
        for name in room.__all__:
            thing = getattr(room, name)
            if hasattr(thing, "__qualname__"):
                assert f"{thing.__module__}.{thing.__qualname__}" in listed, name
    for name, text in pages.items():
        for target in re.findall(r"\]\[(numdl\.[\w.]+)\]", text):
            assert target in listed, (name, target)


def test_a_name_without_documentation_is_not_public(tmp_path):
    path = tmp_path / "m.py"
    path.write_text(
        'def f():\n    """One.\n\n    Two.\n    """\n\n\ndef g():\n    pass\n\n\n'
        'def _h():\n    """No."""\n\n\nA = 1\n"""Three."""\nB = 2\n'
    )
    assert api.definitions(path) == {"f": "One.", "A": "Three."}


def test_the_navigation_has_every_page(laid_out):
    named = re.findall(r"(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), flags=re.MULTILINE)
    assert sorted(named) == sorted(str(path.relative_to(laid_out)) for path in laid_out.rglob("*.md"))


def test_katex_is_that_of_the_course(laid_out):
    copies = {path.name: path.read_bytes() for path in (laid_out / "assets" / "katex").rglob("*") if path.is_file()}
    assert copies == {path.name: path.read_bytes() for path in make.KATEX.rglob("*") if path.is_file()}
    assert not list((ROOT / "docs").rglob("katex*"))


def test_every_result_has_its_place(laid_out):
    text = (laid_out / "measured.md").read_text()
    assert "<!-- tables" not in text
    assert all(f"\ntables of {path.stem}\n" in text for path in measured.RESULTS.glob("*.json"))


@pytest.mark.thorough
def test_every_result_has_tables_and_losses_are_bold():
    lost = set()
    for path in measured.RESULTS.glob("*.json"):
        shown = measured.section(path.stem)
        assert shown.startswith(f'??? note "Tables of {path.stem}"') and "    | --- |" in shown
        assert f"`python -m benchmarks {path.stem}`" in shown
        lost |= {path.stem} if "| **1." in shown else set()
    assert {"uci", "kernels"} <= lost and "peaks" not in lost


def test_a_loss_is_bold():
    assert measured.markdown(["set", "ratio"], [["a_b", 1.5], ["c", 0.5], ["d", None]], "ratio")[2:] == [
        "| a\\_b | **1.5** |",
        "| c | 0.5 |",
        "| d |  |",
    ]


def test_files_are_shown_as_they_are_run(laid_out):
    shown = 0
    for path in (ROOT / "docs").rglob("*.md"):
        for name in make.FILE.findall(path.read_text()):
            assert (ROOT / name).read_text() in (laid_out / path.relative_to(ROOT / "docs")).read_text()
            shown += 1
    assert shown >= 7 and not any("<!-- file" in path.read_text() for path in laid_out.rglob("*.md"))
    with pytest.raises(FileNotFoundError):
        make.with_files("<!-- file: examples/nothing.py -->")


def test_a_result_without_a_place_is_refused(tmp_path):
    (tmp_path / "measured.md").write_text("<!-- tables: uci -->\n\n<!-- tables: nothing -->\n")
    with pytest.raises(ValueError, match=r"places for \['nothing'\] without results.*'peaks'.*Give each file"):
        measured.pages(tmp_path)


def test_the_gallery_shows_all_experiments_and_examples(laid_out, tmp_path):
    from numdl.course import REGISTRY

    assert list(gallery.registry()) == list(REGISTRY)
    text = (laid_out / "gallery" / "experiments.md").read_text()
    assert all(
        re.search(rf"^numdl experiment run {name}( --set \w+=[-\d.e]+)*$", text, re.MULTILINE) for name in REGISTRY
    )
    assert "numdl experiment run bias-variance --set noise=0.3 --set points=30\n" in text
    text = (laid_out / "gallery" / "examples.md").read_text()
    for path in gallery.examples():
        assert "".join(f"    {line}\n" for line in path.read_text().splitlines()) in text
    (tmp_path / "peaks.png").write_bytes(b"picture")
    (tmp_path / "peaks.json").write_text('{"claims": [{"sentence": "It errs", "holds": true, "measured": "0.1"}]}')
    (tmp_path / "docs").mkdir()
    text = gallery.pages(tmp_path / "docs", tmp_path)["gallery/experiments.md"]
    assert "](../assets/pictures/peaks.png)" in text and "    - It errs: **0.1**" in text
    assert (tmp_path / "docs/assets/pictures/peaks.png").read_bytes() == b"picture"


def test_pictures_that_are_newer_than_their_file_are_kept(tmp_path):
    codes = {"one": "print('made')", "two": "raise ValueError('no data')", "three": "raise SystemExit('never run')"}
    jobs, out, told = [], tmp_path / "out", []
    out.mkdir()
    for name, code in codes.items():
        (tmp_path / f"{name}.py").write_text(code)
        jobs.append(runs.Job(f"{name}.py", tmp_path / f"{name}.py", f"{name}.txt"))
    (out / "one.txt").write_text("of an earlier code")
    os.utime(out / "one.txt", (1, 1))
    (out / "three.txt").write_text("kept")
    (out / ".1").mkdir()  # left by a run that was interrupted
    (out / ".1" / "half.png").write_text("half")
    with pytest.raises(
        SystemExit, match=r"two\.py failed: ValueError: no data(.|\n)*1 of 2 failed; the others are kept"
    ):
        runs.run(jobs, out, told.append)
    assert {path.name: path.read_text() for path in out.iterdir()} == {"one.txt": "made\n", "three.txt": "kept"}
    assert told[0].startswith("docs: 2 of 3") and len(told) == 3 and any("one.py, " in line for line in told)
    runs.run(jobs[:1], out, told.append)
    assert len(told) == 3
    everything = gallery.jobs()
    assert len({job.made for job in everything}) == len(everything) == len(gallery.registry()) + len(gallery.examples())


def test_a_builder_that_is_not_installed_is_named(laid_out):
    make.BUILDERS["no_such_builder"] = []
    try:
        with pytest.raises(SystemExit, match=r"no_such_builder is not installed\. Run make docs"):
            make.build(laid_out.parent / "mkdocs.yml", "no_such_builder")
    finally:
        del make.BUILDERS["no_such_builder"]


# ---------------------------------------------------------------------------------------------------------- the website
@pytest.fixture(scope="module", params=["zensical", "mkdocs"])
def site(request, tmp_path_factory):
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed (group docs): the documentation was not built")
    return make.build(make.lay_out(tmp_path_factory.mktemp("site"), ROOT / "build" / "pictures"), request.param)


def targets(path):
    """Links and files of a page, with those of its anchors."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(
        r"<(script|svg)\b.*?</\1>|<!--.*?-->", lambda found: found.group(0).split(">")[0] + ">", text, flags=re.S
    )
    return re.findall(r'(?:href|src)="([^"]*)"', text), set(re.findall(r'\bid="([^"]+)"', text))


def faults(site):
    """Links that lead nowhere, and what a page fetches from elsewhere."""
    pages = {path.resolve(): targets(path) for path in site.rglob("*.html") if path.name != "404.html"}
    elsewhere = re.compile(
        r'<(?:script|img|iframe)[^>]+src="((?:https?:)?//[^"]*)|<link[^>]+stylesheet[^>]+href="((?:https?:)?//[^"]*)'
    )
    found = []
    for path, (links, _) in pages.items():
        found += [(path.name, "".join(hit)) for hit in elsewhere.findall(path.read_text(encoding="utf-8"))]
        for link in links:
            if re.match(r"(https?:)?//|mailto:|data:|javascript:", link):
                continue
            target, _, anchor = link.partition("#")
            page = (path.parent / target.split("?")[0]).resolve() if target else path
            page = page / "index.html" if page.is_dir() else page
            lost = anchor and page in pages and anchor not in pages[page][1] and not anchor.startswith("__")
            found += [(path.name, link)] if lost or not page.is_file() else []
    return found


@pytest.mark.thorough
def test_no_link_is_broken_and_nothing_is_fetched_from_elsewhere(site):
    assert len(list(site.rglob("*.html"))) > 45
    assert faults(site) == []


def test_planted_faults_of_a_site_are_seen(tmp_path):
    (tmp_path / "a.html").write_text(
        '<h1 id="top">A</h1><a href="b.html#end">b</a><a href="#top">a</a><img src="b.html">'
    )
    (tmp_path / "b.html").write_text('<p id="end">B</p>')
    assert faults(tmp_path) == []
    (tmp_path / "b.html").write_text(
        '<a href="c.html">c</a><a href="a.html#bottom">a</a><script src="https://cdn.example/x.js"></script>'
        '<link rel="stylesheet" href="//fonts.example/f.css"><a href="https://example.org/">only a link</a>'
    )
    assert sorted(faults(tmp_path)) == [
        ("a.html", "b.html#end"),
        ("b.html", "//fonts.example/f.css"),
        ("b.html", "a.html#bottom"),
        ("b.html", "c.html"),
        ("b.html", "https://cdn.example/x.js"),
    ]


@pytest.fixture(scope="module")
def address(site):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *words):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def opened(browser):
    context = browser.new_context(viewport={"width": 400, "height": 900})
    page, said, asked = context.new_page(), [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    yield page, said, asked
    context.close()


@pytest.mark.thorough
def test_pages_live_in_a_browser(opened, address, site):
    page, said, asked = opened
    names = sorted(str(path.relative_to(site)) for path in site.rglob("*.html"))
    for name in names:
        if name == "404.html" or (name.startswith("api/") and name not in ("api/index.html", "api/flow.html")):
            continue
        page.goto(address + name)
        formulas = page.locator(".arithmatex").count()
        assert page.locator(".arithmatex .katex").count() == formulas and page.locator(".katex-error").count() == 0, (
            name
        )
        assert formulas > 4 or not name.startswith("theory/") or name == "theory/index.html"
        assert page.evaluate("document.documentElement.scrollWidth") <= 400, name
        assert not said, (name, said)
    assert asked and all(url.startswith((address, "data:", "blob:")) for url in asked)


@pytest.mark.thorough
@pytest.mark.parametrize("words", WORDS)
def test_the_search_finds(opened, address, site, words):
    page, said, asked = opened
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(address + "index.html")
    page.wait_for_load_state("networkidle")
    page.keyboard.press("Control+k" if (site / "search.json").is_file() else "/")  # of Zensical, of mkdocs-material
    entry = page.locator("[role=combobox], .md-search__input").first
    entry.wait_for()
    entry.press_sequentially(words)
    said_of_it = re.compile(words.replace(" ", "[ _]"), re.IGNORECASE)  # the best is the function vector_field
    found = page.locator("[role=listbox] a, .md-search-result__link").filter(has_text=said_of_it)
    found.first.wait_for(state="attached")
    assert not said and all(url.startswith((address, "data:", "blob:")) for url in asked)
