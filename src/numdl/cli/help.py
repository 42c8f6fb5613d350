"""Help of the command: how is what typer knows of a command laid out, in the words of its user?

typer prints the Python type behind each argument (``DATA <path>``), braces in the usage, and cuts the lines of a list
of commands. All of it is its layout, so that two classes lay out anew.
"""

from __future__ import annotations

import re
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

_TYPE = re.compile(r"\s+<[^<>]*>$")


def _lists(command: TyperCommand | TyperGroup, ctx: Any, formatter: Any) -> None:
    """Arguments and options, each with its name alone and its sentence."""
    for heading, kind in (("Arguments", "argument"), ("Options", "option")):
        records = [param.get_help_record(ctx) for param in command.get_params(ctx) if param.param_type_name == kind]
        lines = [(_TYPE.sub("", record[0]), record[1]) for record in records if record is not None]
        if lines:
            with formatter.section(heading):
                formatter.write_dl(lines)


def _usage(pieces: list[str]) -> list[str]:
    """``{DATA}`` is what must be given: without braces, as manuals have it."""
    return [piece[1:-1] if piece.startswith("{") and piece.endswith("}") else piece for piece in pieces]


class Command(TyperCommand):
    """A command whose help shows no types of Python."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Words of the line ``Usage:``."""
        return _usage(super().collect_usage_pieces(ctx))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the lists of arguments and options."""
        _lists(self, ctx, formatter)


class Group(TyperGroup):
    """Several commands, whose sentences are not cut."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the lists of options and commands."""
        _lists(self, ctx, formatter)
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        lines = [(name, one.get_short_help_str(1000)) for name, one in commands.items() if one and not one.hidden]
        with formatter.section("Commands"):
            formatter.write_dl(lines)


class App(typer.Typer):
    """Commands and groups whose help is laid out here, each with an example."""

    def __init__(self, *, example: str, **options: Any) -> None:
        super().__init__(cls=Group, epilog=f"Example: {example}", rich_markup_mode=None, **options)

    def command(self, name: str | None = None, *, example: str, **options: Any) -> Any:
        """As in `typer.Typer`, with a line for the shell."""
        return super().command(name, cls=Command, epilog=f"Example: {example}", **options)
