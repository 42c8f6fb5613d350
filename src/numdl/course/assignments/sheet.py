"""Sheet of an assignment: what does a student start from?"""

from __future__ import annotations

import textwrap
from pathlib import Path

from numdl.container import whole_file
from numdl.course.assignments.task import Function, Task


def write_sheet(task: Task, folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Write ``<name>.py``, functions without bodies, and ``<name>.md``, what is asked.

    Args:
        task: the assignment.
        folder: made if it does not exist.
        overwrite: whether files of these names are replaced.

    Returns:
        Both paths.

    Raises:
        ValueError: a file exists.
        OSError: the folder cannot be made or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = {folder / f"{task.name}.py": stub(task), folder / f"{task.name}.md": sheet(task)}
    for path in texts:
        if path.exists() and not overwrite:
            raise ValueError(f"{path} exists, and your work may be in it. Choose another folder, or --overwrite.")
    for path, text in texts.items():
        with whole_file(path, f"write_sheet of {task.name}") as write:
            write(text)
    return list(texts)


def stub(task: Task) -> str:
    """Program that a student fills in.

    Args:
        task: the assignment.

    Returns:
        Its text: signatures, shapes, numbers to compare with, and what will be checked.
    """
    asked = "\n".join(f"* {check.name}" for check in task.checks)
    head = (
        f'"""{task.title}.\n\nWhat is to be done stands in {task.name}.md. Checked will be\n\n{asked}\n\n'
        f"with data of your own:    numdl course check {task.name}.py --student YOUR-ID\n"
        f'The numbers below:        python -m doctest {task.name}.py\n"""\n\nimport numpy as np\n'
    )
    return head + "".join(f"\n\n{_definition(one)}" for one in task.functions)


def sheet(task: Task) -> str:
    """What is asked, in words.

    Args:
        task: the assignment.

    Returns:
        Markdown.
    """
    from numdl.course.site.build import questions

    pages = questions()
    asked = "\n".join(f"- {check.name} (page {check.page}; {_points(check.points)})" for check in task.checks)
    read = "\n".join(f"- {page} {pages[page]}" for page in task.pages)
    functions = "\n".join(
        f"- `{one.name}({one.arguments})`: {one.doc.strip().splitlines()[0]}" for one in task.functions
    )
    return (
        f"# {task.title}\n\n{textwrap.dedent(task.text).strip()}\n\n## What you write\n\n{functions}\n\n"
        f"Shapes and two numbers to compare with stand in `{task.name}.py`.\n\n## What is checked\n\n{asked}\n\n"
        f"    numdl course check {task.name}.py --student YOUR-ID\n\n"
        "prints a line for each: what was expected, what came, and which mistake it looks like. The data are drawn\n"
        "from your ID, so they are yours. What your file prints is not shown.\n\n"
        "## In another language\n\n"
        f"    numdl course data {task.name} --student YOUR-ID --out task.mat\n"
        f"    numdl course check {task.name} --student YOUR-ID --answers answers.mat\n\n"
        "write your data and read your answers, as .mat, .npz or .csv (a line name,row,column,value for each number).\n"
        f"{textwrap.dedent(task.elsewhere).strip()}\n\n## Pages of the course\n\n{read}\n"
    )


def _points(points: int) -> str:
    return "1 point" if points == 1 else f"{points} points"


def _definition(function: Function) -> str:
    doc = textwrap.indent(textwrap.dedent(function.doc).strip(), "    ").lstrip()
    return (
        f'def {function.name}({function.arguments}):\n    """{doc}\n    """\n'
        f'    raise NotImplementedError("{function.name} is still to be written")\n'
    )
