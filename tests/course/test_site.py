"""The course as a website: what is written, what is served to whom, and what a real browser makes of it."""

import base64
import contextlib
import html
import json
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import numpy as np
import pytest

from numdl.cli import main
from numdl.course import REGISTRY
from numdl.course.runner import find
from numdl.course.site import live, own
from numdl.course.site.build import HERE, build, build_answers, bundle, pages
from numdl.course.site.live import experiment_of
from numdl.course.site.serve import serve


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return build(tmp_path_factory.mktemp("course") / "site").parent


def test_every_page_is_written_and_listed(site):
    index = (site / "index.html").read_text()
    assert len(pages()) >= 3
    for page in pages():
        assert page.question in html.unescape((site / f"{page.slug}.html").read_text())
        assert f'href="{page.slug}.html"' in index
    assert len({page.id for page in pages()}) == len(pages())


def test_files_lead_nowhere_but_to_each_other(site):
    for path in site.glob("*.html"):
        text = path.read_text()
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in text
        assert "<script>" not in text and "style=" not in text and " on" + "click" not in text
        for target in re.findall(r'(?:href|src)="([^"]*)"', text):
            assert target == "data:," or (site / target).is_file(), (path.name, target)
    for path in [*site.glob("assets/*.js"), *site.glob("assets/*.css"), *site.glob("assets/katex/*.css")]:
        # The one request, to the server that showed the page, is made where that server has written its experiment.
        outside = r"fetch\((?!\"run\", |`table\?)|XMLHttpRequest|import\(|url\((?!fonts/|#)"
        assert not re.search(outside, path.read_text()), path.name
    assert (site / "assets/katex/LICENSE").is_file()
    fonts = re.findall(r"url\((fonts/[^)]*)\)", (site / "assets/katex/katex.min.css").read_text())
    assert fonts and all(name.endswith(".woff2") and (site / "assets/katex" / name).is_file() for name in fonts)


def test_a_site_is_written_again_and_other_folders_are_refused(site, tmp_path):
    assert build(site).exists()
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"build\(out=.*holds files that are not of a site.*Give another name"):
        build(tmp_path)
    with pytest.raises(ValueError, match="is a file"):
        build(tmp_path / "thesis.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    "line",
    [
        'import { a as b } from "./plot.mjs";',
        'import thing from "./plot.mjs";',
        "export default 3;",
        'import "./plot.mjs";',
    ],
)
def test_a_module_that_cannot_be_bundled_is_refused(tmp_path, line):
    path = tmp_path / "odd.mjs"
    path.write_text(f"{line}\n")
    with pytest.raises(ValueError, match=r"odd\.mjs has the line"):
        bundle([path])


def test_names_of_modules_differ():
    names = [path.stem for path in HERE.rglob("*.mjs")]
    assert len(set(names)) == len(names)


def test_the_command_writes_the_site_and_says_what_it_cannot_use(tmp_path, capsys):
    assert main(["course", "build", "--out", str(tmp_path / "site")]) == 0
    assert capsys.readouterr().out == f"Course  {tmp_path / 'site' / 'index.html'}\n"
    assert main(["course", "build", "--out", str(tmp_path)]) == 1
    assert "Give another name" in capsys.readouterr().err


@pytest.mark.slow
def test_the_course_is_served_to_this_machine_until_it_is_interrupted():
    # Who started the tests in the background may have had Ctrl-C ignored, which a process hands on.
    hear = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    run = "import sys; from numdl.cli import main; sys.exit(main(['course', '--no-browser']))"
    call = [sys.executable, "-c", f"{hear}; {run}"]
    running = subprocess.Popen(call, stdout=subprocess.PIPE, text=True)
    try:
        address = re.search(r"http://127\.0\.0\.1:\d+/", running.stdout.readline())[0]
        with urllib.request.urlopen(address) as answer:
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert "Numerical methods" in answer.read().decode()
        with urllib.request.urlopen(address + "assets/course.js") as answer:
            assert answer.headers["Content-Type"].startswith("text/javascript")
        for path, host, code in (("assets/", None, 404), ("../../etc/passwd", None, 404), ("", "evil.example", 421)):
            request = urllib.request.Request(address + path, headers={"Host": host} if host else {})
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request)
            refused.value.close()
            assert refused.value.code == code
        assert 'data-experiment="' in urllib.request.urlopen(address + "picard.html").read().decode()
        own, known = address[:-1], {"name": "stability-regions"}
        for origin, asked, code in (
            (None, known, 403),
            ("http://evil.example", known, 403),
            (own, {"name": "../../etc"}, 400),
            (own, {**known, "seed": "0; ls"}, 400),
            (own, {**known, "settings": {"--out": 1}}, 400),
            (own, [known], 400),
        ):
            headers = {"Origin": origin} if origin else {}
            request = urllib.request.Request(address + "run", json.dumps(asked).encode(), headers)
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request)
            assert refused.value.code == code
            assert json.loads(refused.value.read())["error"]
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 0
    finally:
        running.kill()
        running.wait()
        running.stdout.close()


def test_a_page_knows_its_experiment_and_what_may_be_set():
    found = {page.slug: experiment_of(page.path.read_text()) for page in pages()}
    assert found["picard"]["name"] == "picard-condition" and "noise" in found["picard"]["parameters"]
    for one in found.values():
        declared = getattr(find(one["name"], REGISTRY), "PARAMETERS", {}) if one else {}
        assert not one or one["parameters"] == declared


def served(say, ready):
    serve(lambda line: (say(line), ready.set()), browser=False)


@pytest.fixture
def told(monkeypatch):
    """Let another program take the place of numdl."""

    def replace(program):
        monkeypatch.setattr(live.sys, "executable", str(program))

    return replace


def test_lines_come_as_they_are_said_and_one_run_at_a_time(told, tmp_path):
    program = tmp_path / "numdl.sh"
    program.write_text('#!/bin/sh\necho begun\necho "file in $7"\nexec sleep 60\n')
    program.chmod(0o700)
    told(program)
    runs = live.Runs()
    with runs.run({"name": "peaks"}) as lines:
        assert next(one for one in lines if one) == {"line": "begun"}
        with pytest.raises(RuntimeError, match="Stop it"), runs.run({"name": "peaks"}):
            pass
        process = runs._process
    assert process.poll() is not None  # who leaves ends it
    program.write_text('#!/bin/sh\nfor last; do :; done\necho "$last"\nexit 3\n')
    with runs.run({"name": "peaks", "settings": {"noise": 0.12345678}}) as lines:  # as it was asked for, digit by digit
        assert [one for one in lines if one] == [{"line": "noise=0.12345678"}, {"failed": 3}]


def test_alpha_is_chosen_on_a_table_of_the_reader(tmp_path):
    rng = np.random.default_rng(0)
    x, e = rng.standard_normal((60, 3)), rng.standard_normal(60)
    rows = np.column_stack([x, x @ [1.0, -2.0, 0.0] + 0.5 * e])
    file = tmp_path / "mine.csv"
    lines = [",".join(map("{:.6f}".format, row)) for row in rows]
    file.write_text("\n".join(["a,b,c,y", "1,2,,4", *lines]))
    first, path, *folds, last = own.curves(file)
    assert first["columns"] == ["a", "b", "c", "y"] and (first["target"], first["rows"]) == ("y", 60)
    assert "1 of 61 rows are left out." in first["notes"]
    z, c = ((part - part.mean(axis=0)) / part.std(axis=0) for part in (rows[:, :3], rows[:, 3]))
    k, alpha = last["chosen"]["GCV"], path["alphas"][last["chosen"]["GCV"]]
    gram = z.T @ z + 60 * alpha * np.eye(3)  # numdl's misfit is a mean over the rows
    w, freedom = np.linalg.solve(gram, z.T @ c), 1 + np.trace(np.linalg.solve(gram, z.T @ z))
    np.testing.assert_allclose([last["coefficients"][name][k] for name in "abc"], w, rtol=1e-4)
    np.testing.assert_allclose(path["freedom"][k], freedom, rtol=1e-6)
    np.testing.assert_allclose(path["gcv"][k], np.mean((c - z @ w) ** 2) / (1 - freedom / 60) ** 2, rtol=1e-4)
    assert k == np.argmin(path["gcv"]) and [one["fold"] for one in folds] == [1, 2, 3, 4, 5]
    assert last["chosen"]["five folds"] == np.argmin(np.mean([one["error"] for one in folds], axis=0))
    assert next(iter(last["coefficients"])) == "b"
    for target, said in (("z", "there is no column 'z'"), ("a", None)):
        with pytest.raises(ValueError, match=said) if said else contextlib.nullcontext():
            assert next(iter(own.curves(file, target)))["target"] == "a"


def test_what_is_no_table_is_answered_by_the_reader(told, tmp_path):
    runs = live.Runs()
    with pytest.raises(ValueError, match="has no extension"), runs.table("mine", b"1,2", ""):
        pass
    program = tmp_path / "numdl.sh"
    program.write_text('#!/bin/sh\necho warning: x\necho \'{"failed": "data row 2"}\'\necho "$4" >"$3.log"\n')
    program.chmod(0o700)
    told(program)
    with runs.table("../../a b.CSV", b"a,b\n1,2\n3", "b") as lines:
        assert [one for one in lines if one] == [{"failed": "data row 2"}]
    program.write_text("#!/bin/sh\nkill -9 $$\n")
    with runs.table("a.csv", b"", "") as lines:
        assert "ended without an answer" in next(one for one in lines if one)["failed"]


@pytest.mark.thorough
def test_a_reader_takes_a_table_of_their_own_in_a_browser(browser, tmp_path):
    told, ready = [], threading.Event()
    server = threading.Thread(target=lambda: served(told.append, ready), daemon=True)
    server.start()
    assert ready.wait(60)
    (tmp_path / "good.csv").write_text("a,b,y\n" + "\n".join(f"{k},{k * k % 7},{2 * k + k % 3}" for k in range(40)))
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n3\n")
    context = browser.new_context()
    page = context.new_page()
    page.goto(re.search(r"http://\S+/", told[0])[0] + "choosing_alpha.html")
    for name, kind, words in (("good.csv", "passed", "GCV: α ="), ("bad.csv", "failed", "data row 2 has 1 fields")):
        page.locator(".own input[type=file]").set_input_files(tmp_path / name)
        page.locator(f".own .reply.{kind}").wait_for(timeout=60_000)
        assert words in page.locator(".own .reply").inner_text()
    page.locator(".own input[type=file]").set_input_files(tmp_path / "good.csv")
    page.locator(".own .reply.passed").wait_for(timeout=60_000)
    assert page.locator(".own select").input_value() == "y" and page.locator(".own svg path").count() > 5
    page.locator(".own select").select_option("a")
    page.locator(".own .reply.passed").wait_for(timeout=60_000)
    assert "Choose a file" in page.locator(".own").inner_text() and page.locator(".own svg [cx=NaN]").count() == 0
    context.close()


@pytest.mark.thorough
def test_a_page_runs_its_experiment():
    with live.Runs().run({"name": "bias-variance", "quick": True, "settings": {"noise": 0.2}}) as lines:
        *said, last = [one for one in lines if one]
    assert any("noise = 0.2" in one["line"] for one in said)
    assert last["claims"] and base64.b64decode(last["figure"]).startswith(b"<?xml")


@pytest.mark.thorough
def test_the_answer_key_gives_its_answers_to_the_checks_in_a_browser(browser, tmp_path):
    context = browser.new_context()
    page, said = context.new_page(), []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(build_answers(tmp_path / "key").as_uri())
    page.locator("#answers h2").nth(len(pages()) - 1).wait_for()
    assert page.locator("#answers .reply.failed").count() == 0 and said == []
    assert page.locator("#answers .reply.passed").count() >= 2 * len(pages())
    assert page.locator(".katex-error").count() == 0
    context.close()


@pytest.mark.thorough
def test_a_page_is_shown_part_by_part_in_a_lecture_room(browser, site):
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto((site / "picard.html").as_uri() + "?slides=2#noise=0.01")
    shown = page.locator("#page > :visible")
    assert shown.count() == 1 and page.locator(".stage").is_visible() and not page.locator("h1").is_visible()
    slider = page.locator(".stage input[type=range]").first
    before = page.locator(".stage").inner_html()
    slider.press("ArrowLeft")  # it moves the figure, not the slides
    assert page.locator(".stage").inner_html() != before and page.locator(".bar output").inner_text().startswith("2 / ")
    slider.evaluate("one => one.blur()")
    seen = []
    for _ in range(40):
        seen.append(page.locator("#page :is(h2, .sentence):visible").all_inner_texts())
        if "picard.html" not in page.url:
            break
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(20)
    assert "bias_variance.html?slides" in page.url  # on to the next page of the lecture
    assert len({str(one) for one in seen}) == len(seen) and page.locator("h1").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("#page > :visible").count() > 5 and "slides" not in page.url
    page.get_by_role("button", name="Show as slides").click()
    assert page.locator(".bar output").inner_text().startswith("1 / ") and said == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    context.close()


@pytest.mark.thorough
def test_numbers_that_answer_a_guess_wait_for_it_in_a_browser(browser, site):
    context = browser.new_context()
    for then in (
        lambda page: page.locator(".guess button").first.click(),
        lambda page: slider(page).press("ArrowLeft"),
    ):
        page = context.new_page()
        page.goto((site / "leaks.html").as_uri())
        shown = page.locator(".sentence .number")
        assert shown.all_inner_texts() == ["?"] * 3 and page.locator(".claims li").count() >= 2
        then(page)
        assert all(re.fullmatch(r"[\d.]+", text) for text in shown.all_inner_texts())
        page.close()
    page = context.new_page()
    page.goto((site / "leaks.html").as_uri() + "#size=3")  # settings that somebody has sent
    assert "?" not in page.locator(".sentence").inner_text()
    context.close()


@pytest.mark.thorough
def test_sentences_stay_in_sight_and_figures_follow_the_window(browser, site):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page, said = context.new_page(), []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto((site / "semi_convergence.html").as_uri())
    page.evaluate("scrollTo(0, document.querySelector('.stage').getBoundingClientRect().top + scrollY + 300)")
    top = "document.querySelector('.lead').getBoundingClientRect().top"
    assert page.evaluate(top) == 0  # the sliders are there while the figures below are looked at
    before = page.locator("figure svg").nth(3).get_attribute("viewBox")
    slider(page).press("ArrowRight")
    assert page.evaluate(top) == 0 and slider(page).is_visible()
    for width, height in ((400, 900), (900, 400), (1280, 900)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("document.querySelector('.lead').offsetHeight <= 0.42 * innerHeight") == (
            page.locator(".lead.still").count() == 0
        )
        boxes = page.locator("figure svg[viewBox]:not(.swatch)").evaluate_all(
            "all => all.map((one) => [one.viewBox.baseVal.width, one.clientWidth])"
        )
        assert all(abs(drawn - shown) <= 1 for drawn, shown in boxes)  # drawn anew, not stretched
    assert page.locator("figure svg").nth(3).get_attribute("viewBox") == before and said == []
    context.close()


def slider(page):
    return page.locator(".sentence input[type=range]").first


@pytest.mark.thorough
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("slug", [page.slug for page in pages()])
def test_a_page_lives_in_a_browser(browser, site, slug, width):
    context = browser.new_context(viewport={"width": width, "height": 900})
    page, said, asked = context.new_page(), [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto((site / f"{slug}.html").as_uri())
    assert page.locator(".katex").count() > 3 and page.locator(".katex-error").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator(".guess button").first.click()
    assert page.locator(".guess .reply").inner_text()
    for look in page.locator(".guess .reply button").all():
        before = page.locator(".stage").inner_html()
        look.click()
        assert page.locator(".stage").inner_html() != before
        page.locator(".stage .tools button").last.click()  # which resets
    for slider in page.locator(".sentence input[type=range]:enabled").all():
        before = page.locator(".stage").inner_html()
        for key in ("Home", "ArrowRight", "End"):
            slider.press(key)
        assert page.locator(".stage").inner_html() != before, slider.get_attribute("name")
    for choice in page.locator(".sentence select").all():
        for value in choice.locator("option").evaluate_all("all => all.map((one) => one.value)"):
            choice.select_option(value)
    for button in page.locator(".tools button").all():
        button.click()
    assert "#" not in page.url or page.url.endswith("#")  # the last button resets
    for handle in page.locator(".handle").all()[:1]:
        handle.focus()
        page.keyboard.press("ArrowLeft")
        assert page.evaluate("document.activeElement.classList.contains('handle')")
    for form in page.locator(".exercise form").all():
        form.locator("button[type=submit]").click()
    assert all(reply.inner_text() for reply in page.locator(".exercise .reply").all())
    assert page.locator(".exercise .reply.passed").count() == 0  # nothing was done yet
    assert page.locator(".claims li").count() >= 2 and "NaN" not in page.locator("main").inner_text()
    assert page.locator("svg path[d*='NaN'], svg [cx=NaN], svg [x1=NaN]").count() == 0
    assert said == []
    assert asked and all(url.startswith(("file:", "data:")) for url in asked)
    context.close()
