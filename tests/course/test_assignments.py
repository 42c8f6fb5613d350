"""Assignments: references pass, planted mistakes are named, and nothing that a submission does stops the checks."""

import ast
import csv
import doctest
import json
import re
import types

import numpy as np
import pytest
from planted_mistakes import MISTAKES

from numdl.cli import main
from numdl.course import assignments
from numdl.course.assignments.board import best, board
from numdl.course.assignments.exchange import read_arrays, write_arrays
from numdl.course.assignments.grade import Report, Rules, grade, grade_folder, marks
from numdl.course.assignments.judge import Known, callables, data_of, judged
from numdl.course.assignments.process.wire import Unusable, pack, unpack
from numdl.course.assignments.sheet import sheet, stub
from numdl.course.assignments.submission import complaint, read_program
from numdl.course.assignments.task import Row
from numdl.course.site.build import pages, questions

PAGES = questions()

TASKS = tuple(assignments.REGISTRY)
PLANTED = [(name, k) for name in TASKS for k in range(len(MISTAKES[name]))]


def solution(name, changes=()):
    text = assignments.solution(name)
    for old, new in changes:
        assert old in text, (name, old)
        text = text.replace(old, new)
    return text


def functions(name, changes=()):
    module = types.ModuleType("solution")
    exec(compile(solution(name, changes), f"{name}.py", "exec"), vars(module))
    return vars(module)


def failed(name, changes=(), student=""):
    rows = assignments.check(name, functions(name, changes), student)
    return [row for row in rows if not row.passed]


# ------------------------------------------------------------------------------------------------ references, mistakes
@pytest.mark.parametrize("name", TASKS)
def test_the_reference_passes(name):
    for student in ("", "anna"):
        assert failed(name, student=student) == []


@pytest.mark.parametrize(("name", "k"), PLANTED, ids=[f"{name}-{k}" for name, k in PLANTED])
def test_every_mistake_fails_and_is_named(name, k):
    mistake, changes = MISTAKES[name][k]
    rows = failed(name, changes, "anna")
    assert mistake in {row.mistake for row in rows}, rows
    assert {row.mistake for row in rows} <= {mistake, ""}, rows
    assert all(row.page in PAGES and (row.why or not row.mistake) for row in rows)


@pytest.mark.thorough
@pytest.mark.parametrize("name", TASKS)
def test_the_reference_passes_and_every_mistake_is_named_for_a_hundred_students(name):
    task, right = assignments.find(name), functions(name)
    planted = [(mistake, functions(name, changes)) for mistake, changes in MISTAKES[name]]
    for student in range(100):
        data = data_of(task, str(student))
        known = Known(task, data)
        assert all(row.passed for row in judged(task, right, data, known)), student
        for mistake, given in planted:
            named = {row.mistake for row in judged(task, given, data, known) if not row.passed}
            assert mistake in named and named <= {mistake, ""}, (mistake, student, named)


@pytest.mark.parametrize("name", TASKS)
def test_every_known_mistake_is_planted_and_every_check_can_fail(name):
    task = assignments.find(name)
    assert {mistake.name for mistake in task.mistakes} == {mistake for mistake, _ in MISTAKES[name]}
    nothing = assignments.check(name, {})
    assert [row.passed for row in nothing] == [False] * len(task.checks)
    zero = {one.name: lambda *args, one=one: nought(one.returns(*args)) for one in task.functions if one.returns}
    assert not all(row.passed for row in assignments.check(name, zero))


def nought(shapes):
    if isinstance(shapes, list):
        return tuple(map(nought, shapes))
    return np.zeros([max(length, 1) for length in shapes])


def test_two_mistakes_at_once_are_named():
    rows = failed("softmax", [("(P - C).T @ X / len(X)", "(P + C).T @ X")])
    assert "1/n lost, and gradient of the first term with +" in {row.mistake for row in rows}


def test_other_numbers_are_not_named():
    rows = failed("softmax", [("(P - C)", "(P - 0.9 * C)")])
    assert rows and {row.mistake for row in rows} == {""}
    rows = failed("softmax", [("(P - C).T @ X", "np.float32((P - C).T @ X)")])
    assert {row.mistake for row in rows} == {"right to a few digits only"}


# ------------------------------------------------------------------------------------------------ what is handed out
@pytest.mark.parametrize("name", TASKS)
def test_the_numbers_of_the_stub_are_those_of_the_reference(name):
    task = assignments.find(name)
    text = stub(task)
    assert [node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)] == [
        one.name for one in task.functions
    ]
    tests = [test for test in doctest.DocTestParser().get_examples(text) if not test.source.startswith("import")]
    assert sum(bool(test.want) for test in tests) >= 2
    names = functions(name)
    for one in task.functions:
        found = doctest.DocTestParser().get_doctest(one.doc, names, one.name, None, None)
        assert doctest.DocTestRunner(verbose=False).run(found).failed == 0
    assert max(map(len, text.splitlines())) <= 120
    assert all(f"page {check.page}" in sheet(task) and check.name in text for check in task.checks)


@pytest.mark.parametrize("name", TASKS)
def test_what_other_languages_need_is_said(name):
    task = assignments.find(name)
    data = data_of(task, "anna")
    names = [*task.tables(data), *task.answers(callables(task, functions(name)), data)]
    assert [one for one in names if f"`{one}`" not in task.elsewhere] == []
    assert task.elsewhere.strip() and all(np.asarray(table).ndim <= 2 for table in task.tables(data).values())


def test_pages_that_assignments_lead_to_exist():
    tasks = [assignments.find(name) for name in assignments.REGISTRY]
    named = {page for task in tasks for page in (*task.pages, *(check.page for check in task.checks))}
    assert named and named <= set(PAGES)


def test_data_belong_to_the_student():
    task = assignments.find("softmax")
    assert np.array_equal(data_of(task, "anna").W, data_of(task, " anna\n").W)
    assert not np.array_equal(data_of(task, "anna").W, data_of(task, "bob").W)


# ------------------------------------------------------------------------------------------------ commands
@pytest.fixture
def numdl(capsys):
    def run(*args):
        code = main(["course", *map(str, args)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_list_and_start(numdl, tmp_path):
    code, out, _ = numdl("list")
    assert code == 0 and [line.split()[0] for line in out.splitlines()] == list(TASKS)
    assert numdl("start", "softmax", "--dir", tmp_path / "new")[0] == 0
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"softmax.py", "softmax.md"}
    (tmp_path / "new" / "softmax.py").write_text("mine")
    code, _, err = numdl("start", "softmax", "--dir", tmp_path / "new")
    assert code == 1 and "your work may be in it" in err and (tmp_path / "new" / "softmax.py").read_text() == "mine"
    assert "Did you mean 'softmax'?" in numdl("start", "sofmax")[2]


def test_the_answer_key_holds_a_program_that_passes_and_all_exercises(numdl, tmp_path):
    code, out, _ = numdl("answers", "softmax")
    assert code == 0 and out == solution("softmax") and "Did you mean 'softmax'?" in numdl("answers", "sofmax")[2]
    assert numdl("answers", "--out", tmp_path / "key")[1] == f"Answers  {tmp_path / 'key' / 'answers.html'}\n"
    text = (tmp_path / "key" / "answers.html").read_text()
    assert text.count("<pre>") == len(TASKS) and "style=" not in text
    script = (tmp_path / "key" / "assets" / "answers.js").read_text()
    assert script.count('"use strict"') == 1 and all(f'"{page.slug}"' in script for page in pages())
    assert "answers" not in (tmp_path / "key" / "index.html").read_text()  # not for the readers of the pages


def test_the_course_without_a_command_still_opens_the_pages(numdl, monkeypatch):
    opened = []
    monkeypatch.setattr("numdl.course.site.serve.serve", lambda say, browser: opened.append(browser))
    assert numdl("--no-browser")[0] == 0 and opened == [False]


def test_check_says_what_passed_what_came_and_which_mistake_it_is(numdl, tmp_path):
    right, wrong = tmp_path / "softmax.py", tmp_path / "mine.py"
    right.write_text("print('x' * 10**7)\n" + solution("softmax"))
    wrong.write_text(solution("softmax", [(" / len(X)", "")]))
    code, out, _ = numdl("check", right, "--points", "--student", "anna")
    assert code == 0 and out.splitlines()[-1] == "13 of 13 points, 10 of 10 checks passed" and "FAIL" not in out
    code, out, _ = numdl("check", wrong)
    assert code == 1
    line = next(line for line in out.splitlines() if line.startswith("FAIL  gradient:"))
    assert "expected [" in line and ", came " in line and line.endswith("[1/n lost, page 1.12]")
    assert "Looks like  1/n lost. E is the mean" in out and "Read        page 1.12 Is my derivative right?" in out
    code, out, _ = numdl("check", wrong, "--json")
    found = json.loads(out)
    assert code == 1 and found["mistakes"] == ["1/n lost"] and found["points"] < found["of"] == 13
    assert sum(row["points"] for row in found["checks"] if row["passed"]) == found["points"]


def test_what_cannot_be_run_is_exit_code_2(numdl, tmp_path):
    (tmp_path / "softmax.py").write_text("def value(: pass")
    code, out, err = numdl("check", tmp_path / "softmax.py")
    assert (code, out) == (2, "") and "softmax.py: line 1 is no Python" in err
    code, out, err = numdl("check", tmp_path / "softmax.py", "--json")
    assert code == 2 and json.loads(out)["error"] in err
    for args, said in (
        ([tmp_path / "no.py"], "cannot be read"),
        ([tmp_path / "softmax.py", "--task", "sofmax"], "Did you mean 'softmax'?"),
        ([tmp_path / "softmax.py", "--table", "x.csv"], "is for a folder"),
        ([tmp_path / "softmax.py", "--time", 0], "positive limits"),
        (["softmax", "--answers", tmp_path / "no.csv"], "cannot be read"),
        ([tmp_path, "--student", "anna"], "belongs to one file"),
    ):
        code, _, err = numdl("check", *args)
        assert code == 2 and said in err, (args, err)


@pytest.mark.quick("csv")
@pytest.mark.parametrize("kind", ["csv", "mat", "npz"])
def test_other_languages_answer_through_files(numdl, tmp_path, kind):
    data, answers = tmp_path / f"task.{kind}", tmp_path / f"answers.{kind}"
    assert numdl("data", "softmax", "--student", "anna", "--out", data)[0] == 0
    assert numdl("data", "softmax", "--student", "anna", "--out", data)[0] == 1
    z, f = read_arrays(data), functions("softmax")
    found = {"value": f["value"](z["W"], z["X"], z["C"]), "hessian": f["hessian"](z["W"], z["X"], z["C"], z["V"])}
    for ending, X in (("", z["X"]), ("large", z["Xlarge"])):
        found["value" + ending] = f["value"](z["W"], X, z["C"])
        found["gradient" + ending] = f["gradient"](z["W"], X, z["C"])
    write_arrays(answers, found)
    code, out, _ = numdl("check", "softmax", "--answers", answers, "--student", "anna")
    assert code == 0 and out.count("pass ") == 5
    del found["hessian"]
    write_arrays(answers, found | {"value": 20 * found["value"], "gradient": found["gradient"].T}, overwrite=True)
    code, out, _ = numdl("check", "softmax", "--answers", answers, "--student", "anna")
    assert code == 1 and "[1/n lost" in out and "no hessian in the file" in out and "[transposed" in out


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"name,row\n", "the first line must be name,row,column,value"),
        ("a.csv", b"name,row,column,value\nvalue,1,1,x\n", "could not convert"),
        ("a.csv", b"name,row,column,value\nvalue,2,1,3\n", "has 1 numbers for 2 x 1 places"),
        ("a.csv", b"name,row,column,value\nvalue,999999999,999999999,3\n", "has 1 numbers for"),
        ("a.csv", b"\xff", "is not UTF-8"),
        ("a.npz", b"PK", "is no .npz file"),
        ("a.npz", b"", "is no .npz file"),
        ("a.mat", b"x" * 200, "is no .mat file"),
        ("a.txt", b"", "needs a name that ends in"),
    ],
)
def test_answers_that_cannot_be_read_are_refused(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=said):
        read_arrays(tmp_path / name)


def damaged(raw, rng):
    """Bytes with some changed, taken out or cut off."""
    raw, at = bytearray(raw), int(rng.integers(len(raw)))
    match rng.integers(3):
        case 0:
            return bytes(raw[:at])
        case 1:
            del raw[at : at + int(rng.integers(1, 30))]
            return bytes(raw)
    for _ in range(int(rng.integers(1, 5))):
        raw[int(rng.integers(len(raw)))] = int(rng.integers(256))
    return bytes(raw)


@pytest.mark.parametrize("count", [6, pytest.param(120, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("name", ["a.npz", "a.mat", "a.csv", "a.py", "a.ipynb"])
def test_damaged_answers_are_read_or_refused(tmp_path, name, count):
    """A damaged MAT file may end SciPy's reader, and this process with it."""
    path, rng = tmp_path / name, np.random.default_rng(0)
    program = "import numpy as np\n\ndef value(W, X, C):\n    return {'a': [1, 2.5]}, np.exp(W @ X)\n"
    if path.suffix in (".py", ".ipynb"):
        cells = [{"cell_type": "code", "source": program.splitlines(keepends=True)}]
        path.write_text(program if path.suffix == ".py" else json.dumps({"cells": cells}))
    else:
        write_arrays(path, {"value": np.array([[2.0]]), "gradient": np.arange(12.0).reshape(3, 4)})
    whole, told = path.read_bytes(), []
    for i in range(count):
        path.write_bytes(damaged(whole, rng))
        try:
            read_program(path, ["value"]) if path.suffix in (".py", ".ipynb") else read_arrays(path)
        except ValueError as error:
            if "\n" in str(error) or name not in str(error):
                told.append(f"{i}: {error}")
        except Exception as error:
            told.append(f"{i}: {type(error).__name__}: {error}")
    assert told == []


def test_answers_never_run(tmp_path):
    np.savez(tmp_path / "a.npz", value=np.array([object()], dtype=object))
    with pytest.raises(ValueError, match=r"is no \.npz file"):
        read_arrays(tmp_path / "a.npz")


# ------------------------------------------------------------------------------------------------ hostile submissions
SHORT = Rules(seconds=0.5)
HOSTILE = {
    "loop": ("def value(W, X, C):\n    while True: pass\n", "value did not end within 0.5 s"),
    "exit": ("import sys\ndef value(W, X, C): sys.exit(0)\n", "raised SystemExit in line 2"),
    "end": ("import os\ndef value(W, X, C): os._exit(0)\n", "value ended its process (with code 0)"),
    "memory": ("import numpy\ndef value(W, X, C): return numpy.ones(1 << 37)\n", "raised MemoryError in line 2"),
    "kind": ("def value(W, X, C): return {'a': 1}\n", "value returned a dict, no numbers"),
    "nothing": ("def value(W, X, C): pass\n", "value returned nothing; is a return missing?"),
    "shape": ("def value(W, X, C): return [1.0]\n", "value returned shape (1,)"),
    "nan": ("def value(W, X, C): return float('nan')\n", "nan"),
    "huge": ("def value(W, X, C): return 10**5000\n", "value ended its process"),
    "stop": ("import os, signal\ndef value(W, X, C): os.kill(os.getpid(), signal.SIGSTOP)\n", "did not end within"),
    "circle": ("def value(W, X, C):\n    a = []\n    a.append(a)\n    return a\n", "raised RecursionError"),
    "array": (
        "class A:\n    def __array__(self, *a, **k): raise SystemExit\ndef value(W, X, C): return A()\n",
        "raised SystemExit in line 2",
    ),
    "signal": ("import os, signal\ndef value(W, X, C): os.kill(os.getpid(), signal.SIGKILL)\n", "by signal 9"),
    "forks": (
        "import os, time\ndef value(W, X, C):\n    if os.fork() == 0:\n        os.setsid()\n        time.sleep(3)\n"
        "    os._exit(1)\n",
        "did not end within",
    ),
    "colours": (
        "def value(W, X, C): raise ValueError('\\x1b[31m\\u202e' + 'x' * 10**6)\n",
        "raised ValueError in line 1",
    ),
}


@pytest.mark.quick("loop", "end", "memory")
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_functions_fail_their_own_checks_and_no_others(tmp_path, kind):
    text, said = HOSTILE[kind]
    path = tmp_path / "softmax.py"
    path.write_text(
        text + solution("softmax").split("def value")[0] + "def gradient" + solution("softmax").split("def gradient")[1]
    )
    report = grade(path, rules=SHORT)
    assert said in report.rows[0].found and not report.rows[0].passed
    assert len(report.rows[0].found) <= 500 and report.rows[0].found.isprintable()
    rows = {row.check: row.passed for row in report.rows}
    assert rows["gradient"] and rows["Hessian product"]


PROGRAMS = {
    "syntax": (b"def value(: pass", "line 1 is no Python"),
    "latin": ('def value(): return "é"'.encode("latin-1"), "byte 21 is not UTF-8"),
    "zero": (b"x = 1\0", "softmax.py: "),
    "deep": (b"(" * 10_000, "softmax.py: "),
    "long": (b"#" * (1 << 21), "has more than 1 MB"),
    "other": (b"def other(): pass", "defines none of value, gradient, hessian"),
    "leaves": (b"import sys; sys.exit()", "raised SystemExit in line 1"),
    "raises": (b"\n1 / 0", "raised ZeroDivisionError in line 2"),
    "numdl": (b"import numdl", "line 1 uses numdl, which is not allowed here"),
    "inside": (b"def value():\n    from scipy import optimize", "line 2 uses scipy.optimize"),
    "alias": (b"import scipy as s\ns.optimize.minimize", "line 2 uses scipy.optimize"),
    "own": (b"import scipy.special", "line 1 uses scipy.special"),
    "hidden": (b"__import__('numdl')", "line 1 calls __import__"),
}


@pytest.mark.quick("syntax", "latin", "deep", "long", "numdl", "inside", "alias", "own", "hidden", "leaves")
@pytest.mark.parametrize("kind", PROGRAMS)
def test_programs_that_cannot_be_run_say_why(tmp_path, kind):
    content, said = PROGRAMS[kind]
    path = tmp_path / "softmax.py"
    path.write_bytes(content)
    report = grade(path, rules=SHORT)
    assert said in report.error and not report.passed and report.points == 0 and report.of == 13


@pytest.mark.quick("sgd")
@pytest.mark.parametrize("name", TASKS)
def test_references_pass_in_a_process_of_their_own(name, tmp_path):
    (tmp_path / f"{name}.py").write_text(assignments.solution(name))
    report = grade(tmp_path / f"{name}.py", "anna", rules=Rules(allow=("numpy",)))
    assert report.passed and report.points == report.of == assignments.find(name).points


@pytest.mark.thorough
def test_a_jacobian_that_is_formed_does_not_fit(tmp_path):
    (tmp_path / "layer.py").write_text(
        "import numpy as np\n"
        "def layer(K, b, Y): return np.tanh(K @ Y + b[:, None])\n"
        "def dense(K, b, Y):\n"
        "    Z = layer(K, b, Y)\n"
        "    D, m, n = np.diag((1 - Z**2).ravel()), *Z.shape\n"
        "    parts = np.kron(np.eye(m), Y.T), np.kron(np.eye(m), np.ones((n, 1))), np.kron(K, np.eye(n))\n"
        "    return [D @ part for part in parts]\n"
        "def jacobian(K, b, Y, *V):\n"
        "    return sum(J @ v.ravel() for J, v in zip(dense(K, b, Y), V)).reshape(len(b), -1)\n"
        "def transposed(K, b, Y, U):\n"
        "    return [(J.T @ U.ravel()).reshape(p.shape) for J, p in zip(dense(K, b, Y), (K, b, Y))]\n"
    )
    rows = [row for row in grade(tmp_path / "layer.py").rows if not row.passed]
    assert [row.mistake for row in rows] == ["Jacobian formed"] and "MemoryError" in rows[0].found


def test_packages_that_are_allowed(tmp_path):
    path, task = tmp_path / "softmax.py", assignments.find("softmax")
    text = "import math\nimport numpy.linalg as la\nimport scipy.optimize"
    assert complaint(path, text, task, None).startswith("softmax.py: line 3 uses scipy.optimize")
    assert complaint(path, text, task, ["numpy", "scipy.optimize"]) == ""
    assert "line 2 imports numpy; allowed are jax" in complaint(path, text, task, ["jax"])
    assert complaint(path, "x.eval = 1\nnumdl = 2", task, []) == ""


def test_cells_of_a_notebook_that_the_functions_need(tmp_path):
    cells = [
        "%matplotlib inline\nimport numpy as np",
        "1 / 0",
        "!ls\nn = 3",
        "def value(W, X, C):\n    return half(n)",
        "def half(x): return x / 2",
    ]
    path = tmp_path / "softmax.ipynb"
    path.write_text(json.dumps({"cells": [{"cell_type": "code", "source": cell} for cell in ["# a", *cells]]}))
    names = {}
    exec(read_program(path, ["value"]), names)
    assert names["value"](0, 0, 0) == 1.5 and "np" not in names
    for text in ("{}", "[1]", '{"cells": [{"cell_type": "code"}]}'):
        path.write_text(text)
        with pytest.raises(ValueError, match="is no notebook"):
            read_program(path, ["value"])


def test_a_folder_becomes_a_table_of_marks(numdl, tmp_path):
    folder = tmp_path / "submissions"
    (folder / "anna").mkdir(parents=True)
    (folder / "anna" / "softmax.py").write_text(solution("softmax"))
    (folder / "=cmd.py").write_text("def value(W, X, C): return 1.0")
    (folder / "softmax_bob.py").write_text("import numdl")
    (folder / "loop.py").symlink_to(folder / "=cmd.py")
    code, out, _ = numdl("check", folder, "--table", tmp_path / "marks.csv")
    assert code == 1 and "13 of 13" in out
    assert numdl("check", folder, "--table", tmp_path / "marks.html")[0] == 1
    assert "<h1>Marks</h1>" in (tmp_path / "marks.html").read_text()
    rows = list(csv.DictReader((tmp_path / "marks.csv").read_text().splitlines()))
    assert [(row["student"], row["task"], row["points"]) for row in rows] == [
        ("'=cmd", "softmax", "0"), ("anna", "softmax", "13"), ("bob", "softmax", "0"),
    ]  # fmt: skip
    assert rows[0]["file"] == "'=cmd.py" and "not allowed here" in rows[2]["error"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no submission"):
        list(grade_folder(tmp_path / "empty"))


def test_marks_become_a_board_with_the_mistakes_that_were_made():
    def report(student, task, good, mistake="", error=""):
        row = Row("a", False, 2, "x", "y", mistake, "why", "1.11")
        rows = () if error else (Row("b", True, good, "", "", "", "", "1.11"), row)
        return Report(task, student, f"{task}.py", rows, error)

    reports = [
        report("anna", "softmax", 1, "1/n lost"), report("anna", "softmax", 5, "1/n lost"), report("anna", "graph", 2),
        report("<b>bob", "softmax", 3, "1/n lost"), report("carl", "softmax", 7), report("eve", "", 0, error="<i>no"),
    ]  # fmt: skip
    standing = best(reports)
    assert list(standing) == ["anna", "carl", "<b>bob", "eve"] and standing["anna"]["softmax"].points == 5
    page = re.sub(r"<style>.*?</style>", "", board(reports), flags=re.S)
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", page)]
    assert rows[0] == ["place", "student", "points", "graph", "softmax"]
    assert rows[1:5] == [
        ["1", "anna", "7", "2 of 4", "5 of 7"], ["1", "carl", "7", "", "7 of 9"],
        ["3", "&lt;b&gt;bob", "3", "", "3 of 5"], ["4", "eve", "0", "", ""],
    ]  # fmt: skip
    assert ["1/n lost", "softmax", "2", f"1.11 {PAGES['1.11']}"] in rows
    assert rows[-1][-1:] == ["&lt;i&gt;no"] and "http" not in page.replace("http-equiv", "")


def test_cells_of_the_table_are_never_run():
    report = Report("softmax", "@x", "=a\n.py", error="+bad\x1b[0m")
    line = list(csv.reader(marks([report]).decode().splitlines()))[1]
    assert (line[0], line[2], line[-1]) == ("'@x", "'=a .py", "'+bad [0m")


# ------------------------------------------------------------------------------------------------ messages
def test_values_cross_as_they_are_and_nothing_else_does():
    functions = {}
    given = [1, 2.5, "x", None, (np.arange(6.0).reshape(2, 3), {"a": np.complex128(1j)}), float("nan"), np.sum]
    back = unpack(json.loads(json.dumps(pack(given, functions))), lambda name, *args: functions[name](*args))
    assert back[:4] == given[:4] and np.array_equal(back[4][0], given[4][0]) and back[4][1]["a"] == 1j
    assert np.isnan(back[5]) and back[6]([1, 2]) == 3
    assert isinstance(unpack(pack(object(), {})), Unusable)
    assert isinstance(unpack(pack(np.array([object()]), {})), Unusable)
    with pytest.raises(ValueError, match="needs numbers"):
        unpack({"array": ["|O", [1], "AAAAAAAAAAA="]})


def test_pages_lead_to_their_assignments(tmp_path):
    from numdl.course.site.build import build

    site = build(tmp_path / "site").parent
    assert "numdl course start choose_alpha" in (site / "picard.html").read_text()
    assert "Assignments" not in (site / "rotation.html").read_text()
