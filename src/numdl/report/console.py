"""Terminal report: how does a fit look in the terminal: while it runs, its scores, and how it ended?"""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from numdl import checks
from numdl.plots.wording import duration, finite, number, short
from numdl.report.measures import target_cells
from numdl.report.summary import MAKE, FitSummary, ending

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

    from numdl.contracts import Status

PARTS = (("train", "training"), ("validation", "validation"), ("test", "test"))
STYLES = {"converged": "green", "stalled": "yellow", "max_iter": "yellow", "time_budget": "yellow", "failed": "red"}
SHOWN = 10
REDRAW = 0.1  # seconds between two drawings of the live line


def score_table(summary: FitSummary) -> Table:
    """The scores as a table for ``rich``; parts without any score are left out.

    Args:
        summary: the finished fit.

    Returns:
        One row per model, numbers aligned to the right.
    """
    from rich.table import Table
    from rich.text import Text

    checks.instance("score_table", "summary", summary, FitSummary, MAKE)
    table = Table(title=Text(summary.score_name), title_justify="left", title_style="bold")
    table.add_column("model", overflow="ellipsis", no_wrap=True)
    parts = [(part, head) for part, head in PARTS if any(finite(row.get(part)) is not None for row in summary.scores)]
    for _, head in parts:
        table.add_column(head, justify="right", no_wrap=True)
    for row in summary.scores:
        name = str(row.get("name", ""))
        style = "bold" if name.lower().startswith("numdl") else ""
        table.add_row(Text(short(name, 60)), *(number(row.get(part)) for part, _ in parts), style=style)
    return table


def target_table(summary: FitSummary) -> Table | None:
    """Errors of each target in its unit, the worst ten of many; None for one target, or without rows.

    Args:
        summary: the finished fit.

    Returns:
        One row per target, the least R^2 first where not all are shown.
    """
    from rich.table import Table
    from rich.text import Text

    checks.instance("target_table", "summary", summary, FitSummary, MAKE)
    heads, rows, more = target_cells(summary, SHOWN)
    if len(rows) < 2 and "off by" not in heads:
        return None
    title = f"Each target, {summary.held_out_name} rows{more}"
    table = Table(title=Text(title), title_justify="left", title_style="bold")
    table.add_column(heads[0], overflow="ellipsis", no_wrap=True)
    for head in heads[1:]:
        table.add_column(head, justify="right", no_wrap=True)
    for name, *numbers in rows:
        table.add_row(Text(name), *numbers)
    return table


def print_status(status: Status, console: Console | None = None) -> None:
    """Print why the training ended, as one sentence.

    Args:
        status: code and sentence.
        console: where to print; standard output if not given.

    Example:
        >>> from numdl.contracts import Status
        >>> print_status(Status("converged", "The slope is below its tolerance."))
        converged: The slope is below its tolerance.
    """
    from rich.console import Console
    from rich.text import Text

    from numdl.contracts import Status

    checks.instance("print_status", "status", status, Status, "Take status_ of an estimator.")
    _require_console("print_status", console)
    line = Text.assemble((f"{ending(status)}: ", STYLES.get(status.code, "bold")), status.message)
    (console or Console()).print(line, soft_wrap=True)


class ProgressLine:
    """One line that follows the training: redrawn in place in a terminal, elsewhere printed at every tenth update.

    Use it as a context manager, so that the cursor comes back after an interruption::

        with ProgressLine() as line:
            line.update(iteration=1, objective=0.5)
    """

    def __init__(self, console: Console | None = None, *, every: int = 10) -> None:
        """Prepare the line; nothing is printed yet.

        Args:
            console: where to print; standard error if not given, so that standard output can be piped.
            every: without a terminal, print the first and then every so many updates.

        Raises:
            TypeError: no console.
            ValueError: ``every`` is no whole number, or below one.
        """
        checks.whole("ProgressLine", "every", every, least=1, hint="Leave it at 10.")
        _require_console("ProgressLine", console)
        from rich.console import Console

        self._console = console or Console(stderr=True)
        self._every = every
        self._updates = 0
        self._pending: list[tuple[str, str]] | None = None
        self._drawn = -np.inf
        self._live: Live | None = None

    def __enter__(self) -> ProgressLine:
        """Start following."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last state on the screen."""
        self.close()

    def update(
        self,
        iteration: int,
        objective: float,
        train_error: float | None = None,
        validation_error: float | None = None,
        alpha: object = None,
        damping: float | None = None,
        seconds: float | None = None,
        seconds_left: float | None = None,
    ) -> None:
        """Show where the training stands; what is ``None`` or NaN is left out.

        Args:
            iteration: number of the iteration.
            objective: misfit plus penalty.
            train_error: error on the training rows.
            validation_error: error on the validation rows.
            alpha: one regularisation parameter, or several: their range is shown.
            damping: Levenberg-Marquardt damping.
            seconds: time since the start.
            seconds_left: forecast of the time to the end.
        """
        fields = [("iteration", str(iteration)), ("objective", number(objective))]
        fields += [("training", number(train_error, 3)), ("validation", number(validation_error, 3))]
        fields += [("alpha", _range(alpha)), ("damping", number(damping, 2))]
        fields += [("time", duration(seconds)), ("left", duration(seconds_left))]
        self._pending = [(name, value) for name, value in fields if value != "–"]
        if self._console.is_terminal:
            self._draw()
        elif self._updates % self._every == 0:
            self._print()
        self._updates += 1

    def close(self) -> None:
        """Show the last update and give the terminal back; safe to call twice."""
        if self._console.is_terminal:
            if self._pending is not None:
                self._draw(force=True)
            if self._live is not None:
                self._live.stop()
                self._live = None
        elif self._pending is not None:
            self._print()
        self._pending = None

    def _draw(self, force: bool = False) -> None:
        from rich.live import Live

        now = time.monotonic()
        if self._pending is None or (not force and now - self._drawn < REDRAW):
            return
        self._drawn = now
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.start()
        self._live.update(_styled(_fitted(self._pending, self._console.width)), refresh=True)

    def _print(self) -> None:
        if self._pending is not None:
            text = "  ".join(f"{name} {value}" for name, value in self._pending)
            self._console.print(text, soft_wrap=True, markup=False, highlight=False, emoji=False)
            self._pending = None


def _require_console(call: str, console: object) -> None:
    from rich.console import Console

    if console is not None:
        checks.instance(call, "console", console, Console, "Make one with rich.console.Console().")


def _range(alpha: object) -> str:
    if alpha is None:
        return number(None)
    values = np.atleast_1d(np.asarray(alpha, dtype=float))
    values = values[np.isfinite(values)]
    if not values.size:
        return number(None)
    low, high = number(values.min(), 2), number(values.max(), 2)
    return low if low == high else f"{low}..{high}"


def _fitted(fields: list[tuple[str, str]], width: int) -> list[tuple[str, str]]:
    """As many fields as one line of the terminal holds, the least telling left out first."""
    kept = list(fields)
    for name in ("damping", "alpha", "training", "time", "left", "validation"):
        if sum(len(label) + len(value) + 3 for label, value in kept) - 2 <= width:
            break
        kept = [field for field in kept if field[0] != name]
    return kept


def _styled(fields: list[tuple[str, str]]) -> Text:
    from rich.text import Text

    line = Text(no_wrap=True, overflow="ellipsis")
    for position, (name, value) in enumerate(fields):
        line.append(f"{'  ' if position else ''}{name} ", style="dim")
        line.append(value, style="bold")
    return line
