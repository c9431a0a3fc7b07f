"""The reference pages are what the code says: the command line's page and the table of errors."""

import re
from pathlib import Path

from console.app import make_app
from console.reference import reference
from memo_dist import errors

PAGES = Path(__file__).parents[2] / "docs" / "reference"


def test_the_page_of_the_command_line_is_made_from_the_code() -> None:
    written = (PAGES / "cli.md").read_text(encoding="utf-8")
    assert written == reference(), "run: python -m console.reference > docs/reference/cli.md"


def test_every_command_has_a_section_with_its_flags() -> None:
    """Against typer's own list, and one flag that is known to exist."""
    page = reference()
    for command in make_app().registered_commands:
        assert f"## memo-dist {command.name}\n" in page
    build = page.split("## memo-dist build\n")[1].split("\n## ")[0]
    assert "`--checkpoint-every <str>`" in build
    assert "[default: 60s]" in build


def test_the_page_of_errors_lists_every_error_with_its_built_in_parent() -> None:
    page = (PAGES / "errors.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(\w+Error)` \| `(\w+)` \|", page, re.MULTILINE))
    defined = {
        (name, built_in(kind))
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.MemoError) and kind is not errors.MemoError
    }
    assert listed == defined


def test_the_page_of_errors_lists_every_exit_code() -> None:
    page = (PAGES / "errors.md").read_text(encoding="utf-8")
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    codes = {kind.exit_code for kind in vars(errors).values() if hasattr(kind, "exit_code")}
    assert codes | {0, 130} <= listed


def built_in(kind: type) -> str:
    """The built-in error that an error is as well."""
    return next(base.__name__ for base in kind.__mro__ if base.__module__ == "builtins")
