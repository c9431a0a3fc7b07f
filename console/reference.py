"""The reference of the command line, docs/reference/cli.md, made from the commands themselves.

    python -m console.reference > docs/reference/cli.md

Covers: one section for each command with its usage, arguments, options, defaults and help. Does not cover: examples
and advice (docs/guide/). A test compares the page with what this module makes, so a flag cannot change without it.
"""

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import typer

from console.app import make_app

_OPENING = """\
# The command line

This page is made from the code by `python -m console.reference`; a test compares the two. [Words](words.md) explains
the terms, [errors and exit codes](errors.md) what a command answers when it fails.

Every flag of a command can stand in a YAML file that is given with `--config`; a flag on the command line wins over the
file. With `--json` a command prints one JSON object on stdout and nothing else there. Progress goes to stderr.
"""


def reference() -> str:
    """The page as Markdown: every command of the program, in the order of `memo-dist --help`."""
    program: Any = typer.main.get_command(make_app())
    return "\n".join([_OPENING, *(_section(name, command) for name, command in _commands("memo-dist", program))])


def _commands(prefix: str, group: Any) -> Iterator[tuple[str, Any]]:
    """(full name, command) of every command below a group; a group of commands stands before its own commands."""
    for name, command in group.commands.items():
        yield f"{prefix} {name}", command
        if hasattr(command, "commands"):
            yield from _commands(f"{prefix} {name}", command)


def _section(name: str, command: Any) -> str:
    """One command: help, usage and a table each for its arguments and its options."""
    context = typer.Context(command, info_name=name)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    shown = [(parameter, parameter.get_help_record(context)) for parameter in command.get_params(context)]
    parts = [f"## {name}\n", f"{_paragraphs(command.help or '')}\n", f"    {usage}\n"]
    for kind, title in (("argument", "argument"), ("option", "option")):
        rows = [record for each, record in shown if record and each.param_type_name == kind and each.name != "help"]
        if rows:
            parts.append(_table(title, rows))
    if hasattr(command, "commands"):
        parts.append(f"Commands of `{name}`: {', '.join(f'`{each}`' for each in command.commands)}.\n")
    return "\n".join(parts)


def _table(title: str, rows: Iterable[tuple[str, str]]) -> str:
    lines = [f"| {title} | meaning |", "|---|---|"]
    lines += [f"| `{_cell(spelling)}` | {_cell(meaning)} |" for spelling, meaning in rows]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Text that cannot end its cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def _paragraphs(text: str) -> str:
    """Help as it is shown: \\b, click's mark for lines that are kept, is left out."""
    return "\n".join(line.strip() for line in text.replace("\b", "").strip().splitlines())


if __name__ == "__main__":
    sys.stdout.write(reference())
