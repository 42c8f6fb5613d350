"""How do the assignments look on a terminal: ``numdl course list``, ``start``, ``check``, ``data``, ``answers``?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from numdl.cli.errors import DONE, MISTAKE, UNUSABLE, UserError, blame_input
from numdl.cli.show import terminal
from numdl.container import whole_file
from numdl.course import assignments
from numdl.course.assignments.grade import Report, Rules


def print_assignments() -> None:
    """Print each assignment with one line about it and its pages."""
    tasks = [assignments.find(name) for name in assignments.REGISTRY]
    width = max(len(task.name) for task in tasks)
    for task in tasks:
        line = Text.assemble((f"{task.name:<{width}}", "bold"), f"  {task.title}  ", (", ".join(task.pages), "dim"))
        Console().print(line, soft_wrap=True)


def start(name: str, folder: Path, *, overwrite: bool) -> None:
    """Write what a student starts from.

    Args:
        name: of the assignment.
        folder: made if it does not exist.
        overwrite: whether files of these names are replaced.

    Raises:
        UserError: there is none of that name, a file exists, or the folder cannot be written.
    """
    from numdl.course.assignments.sheet import write_sheet

    with blame_input():
        program, sheet = write_sheet(assignments.find(name), folder, overwrite=overwrite)
    console = terminal()
    console.print(f"Program  {program}\nText     {sheet}", markup=False, highlight=False, soft_wrap=True)
    console.print(Text(f"Next     numdl course check {program} --student YOUR-ID", style="dim"), soft_wrap=True)


def answer(name: str, out: Path) -> str:
    """The key of one assignment, or of the whole course.

    Args:
        name: of the assignment; all pages and assignments if empty.
        out: folder for the latter.

    Returns:
        The program, or where the key of all pages was written.

    Raises:
        UserError: there is none of that name, or the folder holds something else or cannot be written.
    """
    from numdl.course.site.build import build_answers

    with blame_input():
        return assignments.solution(name).rstrip() if name else f"Answers  {build_answers(out)}"


def write_data(name: str, student: str, out: Path, *, overwrite: bool) -> None:
    """Write the data of one student for another language.

    Args:
        name: of the assignment.
        student: whose data are drawn.
        out: file that ends in .npz, .mat or .csv.
        overwrite: whether a file of this name is replaced.

    Raises:
        UserError: there is none of that name, or the file exists or cannot be written.
    """
    from numdl.course.assignments.exchange import write_arrays
    from numdl.course.assignments.judge import answers_of, data_of

    with blame_input():
        task = assignments.find(name)
        data = data_of(task, student)
        written = write_arrays(out, task.tables(data), overwrite=overwrite)
        wanted = answers_of(task, data)
    shapes = [f"{one} {' x '.join(map(str, value.shape)) or 'a number'}" for one, value in wanted.items()]
    console = terminal()
    console.print(f"Data     {written}\nAnswers  {', '.join(shapes)}", markup=False, highlight=False, soft_wrap=True)
    again = f"numdl course check {name} --answers answers{out.suffix}" + (f" --student {student}" if student else "")
    console.print(Text(f"Next     {again}", style="dim"), soft_wrap=True)


def rules_of(allow: str | None, seconds: float, megabytes: int) -> Rules:
    """How programs are run, from options.

    Args:
        allow: names of packages with commas between; None for all that no task refuses.
        seconds: that a call may take.
        megabytes: that a program may take.

    Returns:
        The rules.

    Raises:
        UserError: a limit is not positive.
    """
    if not (seconds > 0 and megabytes > 0):
        raise UserError(
            f"numdl course check --time {seconds:g} --memory {megabytes}: needed are positive limits.", code=UNUSABLE
        )
    names = None if allow is None else tuple(name.strip() for name in allow.split(",") if name.strip())
    return Rules(names, seconds, megabytes << 20)


def check(
    file: Path, *, student: str, task: str, answers: Path | None, table: Path | None, rules: Rules, form: str
) -> int:
    """Check a submission, a folder of them, or answers of another language.

    Args:
        file: program, notebook or folder; with answers the name of the assignment.
        student: whose data are drawn.
        task: name of the assignment; found out if empty.
        answers: file of answers.
        table: file for the marks of a folder.
        rules: how programs are run.
        form: ``text``, ``points`` or ``json``.

    Returns:
        The exit code: 0 all passed, 1 some failed.

    Raises:
        UserError: what was given cannot be run; exit code 2.
    """
    try:
        with blame_input():
            reports = _reports(file, student, task, answers, table, rules)
            if file.is_dir() and answers is None:
                return _many(reports, table, form)
    except UserError as error:
        raise UserError(str(error), code=UNUSABLE) from error
    (report,) = reports
    if form == "json":
        print(json.dumps(report.as_json(), indent=2, ensure_ascii=False))
    if report.error:
        raise UserError(report.error, code=UNUSABLE)
    if form != "json":
        _show(report, points=form == "points")
    return DONE if report.passed else MISTAKE


def _reports(
    file: Path, student: str, task: str, answers: Path | None, table: Path | None, rules: Rules
) -> list[Report]:
    from numdl.course.assignments.grade import grade, grade_answers, grade_folder

    if answers is not None:
        return [grade_answers(task or file.stem, answers, student)]
    if file.is_dir():
        if student:
            raise ValueError("--student belongs to one file; in a folder, names of folders and files say who it is.")
        return list(grade_folder(file, name=task, rules=rules))
    if table is not None:
        raise ValueError(f"--table is for a folder of submissions; {file} is none.")
    return [grade(file, student, name=task, rules=rules)]


def _show(report: Report, *, points: bool) -> None:
    console = terminal()
    task = assignments.find(report.task)
    whose = f", data of {report.student}" if report.student else ""
    console.print(Text.assemble((task.title, "bold"), (f"  {report.file}{whose}", "dim")), soft_wrap=True)
    for row in report.rows:
        worth = f"{row.points if row.passed else 0}/{row.points}  " if points else ""
        line = Text.assemble(("pass  ", "green") if row.passed else ("FAIL  ", "bold red"), worth, row.check)
        if not row.passed:
            line.append(f": expected {row.expected}, came {row.found}" if row.expected else f": {row.found}")
            said = [(row.mistake, "yellow"), ", "] if row.mistake else []
            line.append_text(Text.assemble("  [", *said, (f"page {row.page}", "cyan"), "]"))
        console.print(line, soft_wrap=True)
    good = sum(row.passed for row in report.rows)
    total = f"{report.points} of {report.of} points, " if points else ""
    style = "bold green" if report.passed else "bold"
    console.print(Text(f"{total}{good} of {len(report.rows)} checks passed", style=style), soft_wrap=True)
    _explain(report, console)


def _explain(report: Report, console: Console) -> None:
    """What is wrong with each mistake, once, and the names of the pages."""
    from numdl.course.site.build import questions

    failed, pages = [row for row in report.rows if not row.passed], questions()
    for mistake, why in {row.mistake: row.why for row in failed if row.mistake}.items():
        console.print(Text.assemble("Looks like  ", (mistake, "bold yellow"), f". {why}"), soft_wrap=True)
    for page in sorted({row.page for row in failed}, key=lambda page: [int(part) for part in page.split(".")]):
        console.print(Text.assemble("Read        ", (f"page {page}", "cyan"), f" {pages[page]}"), soft_wrap=True)


def _many(reports: Sequence[Report], table: Path | None, form: str) -> int:
    """Print one line for each submission, write the table of marks."""
    from numdl.course.assignments.board import board
    from numdl.course.assignments.grade import marks

    if form == "json":
        print(json.dumps([report.as_json() for report in reports], indent=2, ensure_ascii=False))
    else:
        console = terminal()
        widths = [
            max(len(text) for text in column) for column in zip(*((r.student, r.task) for r in reports), strict=True)
        ]
        for one in reports:
            style = "green" if one.passed else "bold red" if one.error else ""
            mark = (f"{one.points:>3} of {one.of:<3}", style)
            said = ("; ".join(one.mistakes), "yellow") if one.mistakes else (one.trouble, "red")
            line = Text.assemble(
                (f"{one.student:<{widths[0]}}", "bold"), f"  {one.task:<{widths[1]}}  ", mark, "  ", said
            )
            console.print(line, soft_wrap=True)
    if table is not None:
        page = table.suffix.lower() in (".html", ".htm")
        with whole_file(table, "numdl course check --table", binary=True) as write:
            write(board(reports).encode() if page else marks(reports))
        if form != "json":
            terminal().print(f"Marks  {table}", markup=False, highlight=False, soft_wrap=True)
    return DONE if all(report.passed for report in reports) else MISTAKE
