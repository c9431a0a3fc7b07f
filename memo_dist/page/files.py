"""Files: the page's own, which the package brings.

Covers: their names and kinds, reading them, what a browser lets them do. Does not cover: HTTP
(http/endpoints/page.py).
"""

from functools import cache
from importlib.resources import files

PAGE = "page.html"
STYLE = "page.css"
#: Name -> media type.
FILES = {
    PAGE: "text/html",
    STYLE: "text/css",
    **dict.fromkeys(("parts.js", "passages.js", "service.js", "ask.js", "trace.js", "memory.js"), "text/javascript"),
}
#: Nothing is loaded from elsewhere, and no text becomes markup: a browser refuses what would make some of it.
POLICY = (
    "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


@cache
def read(name: str) -> str:
    """The text of a file that lies beside this one."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
