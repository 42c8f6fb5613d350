"""Board of a course: who has solved what, and which mistakes should the next lecture talk about?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from numdl.course.assignments import REGISTRY
from numdl.course.assignments.grade import Report
from numdl.course.site.build import questions
from numdl.report.template import card, document, element, table


def best(reports: Sequence[Report]) -> dict[str, dict[str, Report]]:
    """The submission with most points of each student and assignment.

    Args:
        reports: of `numdl.course.assignments.grade.grade_folder`.

    Returns:
        Student to assignment to report, most points first, then by name. Submissions of which nobody knows the
        assignment count for none.
    """
    found: dict[str, dict[str, Report]] = {}
    for one in reports:
        kept = found.setdefault(one.student, {})
        if one.task and (one.task not in kept or one.points > kept[one.task].points):
            kept[one.task] = one
    earned = {student: sum(one.points for one in own.values()) for student, own in found.items()}
    return {student: found[student] for student in sorted(found, key=lambda name: (-earned[name], name))}


def board(reports: Sequence[Report]) -> str:
    """A page with the standing, the mistakes by how many made them, and what could not be run.

    Args:
        reports: of `numdl.course.assignments.grade.grade_folder`.

    Returns:
        An HTML5 document that loads nothing.
    """
    standing = best(reports)
    tasks = [name for name in REGISTRY if any(name in own for own in standing.values())]
    possible = sum(max(own[task].of for own in standing.values() if task in own) for task in tasks)
    points = {student: sum(one.points for one in own.values()) for student, own in standing.items()}
    rows = []
    for student, own in standing.items():
        place = 1 + sum(other > points[student] for other in points.values())
        marks = [f"{own[task].points} of {own[task].of}" if task in own else "" for task in tasks]
        rows.append([str(place), student, str(points[student]), *marks])
    parts = [card(f"Points of {possible}", table(["place", "student", "points", *tasks], rows))]
    made = Counter(
        (one.task, row.mistake, row.page)
        for own in standing.values()
        for one in own.values()
        for row in {row.mistake: row for row in one.rows if row.mistake}.values()
    )
    if made:
        asked = questions()
        lines = [
            [mistake, task, str(count), f"{page} {asked[page]}"] for (task, mistake, page), count in made.most_common()
        ]
        parts.append(card("Mistakes", table(["mistake", "assignment", "students", "page that explains it"], lines)))
    lost = [[one.file, one.student, one.error] for one in reports if one.error]
    if lost:
        parts.append(card("Could not be run", table(["file", "student", "why"], lost)))
    head = element("p", "numdl course", "eyebrow") + element("h1", "Marks")
    return document("Marks", f"<header>{head}</header>\n{''.join(parts)}")
