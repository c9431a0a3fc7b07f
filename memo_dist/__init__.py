"""memo-dist: corpora memorized exactly in correlation-matrix memories. See README.md and docs/explanation/design.md.

    import memo_dist

    memory = memo_dist.open("my.memo")                  # a memory directory of any form
    found = memory.recall("It was the best of times, it was the")
    found.text, found.stop, found.documents             # verbatim, or empty; and which documents it stands in
    memory.trace("a page of text ...").passages         # what of a text is held, and where
    memory.evaluate()                                   # how well it recalls what it was given

    memory = memo_dist.build({"a.txt": "a text ...", "b.txt": "another ..."}, "new.memo")
    memory.memorize("c.txt", "a third ...")             # in this process; `build` saved it before

Of more text than fits in memory, the command `memo-dist build` makes memories. Results are dataclasses with
`to_arrow()`, and tables in notebooks; help(memo_dist.MemoryOnDisk) and help(memo_dist.RecallOptions) say more.

The names below are loaded when they are first used, so that `import memo_dist` takes milliseconds.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memo_dist.building import build
    from memo_dist.errors import MemoError
    from memo_dist.files.opened import open_memory
    from memo_dist.memory import Memory
    from memo_dist.memory_config import MemoryConfig
    from memo_dist.memory_on_disk import MemoryOnDisk
    from memo_dist.memory_on_disk import open as open
    from memo_dist.models.paper.config import PaperConfig
    from memo_dist.models.text.config import TextConfig
    from memo_dist.recalling.options import RecallOptions
    from memo_dist.recalling.session import Session
    from memo_dist.tokenizer import Tokenizer

__version__ = "0.1.0"
__all__ = [
    "MemoError",
    "Memory",
    "MemoryConfig",
    "MemoryOnDisk",
    "PaperConfig",
    "RecallOptions",
    "Session",
    "TextConfig",
    "Tokenizer",
    "__version__",
    "build",
    "open_memory",
]

_MODULE_OF = {
    "MemoError": "errors",
    "Memory": "memory",
    "MemoryConfig": "memory_config",
    "MemoryOnDisk": "memory_on_disk",
    "PaperConfig": "models.paper.config",
    "RecallOptions": "recalling.options",
    "Session": "recalling.session",
    "TextConfig": "models.text.config",
    "Tokenizer": "tokenizer",
    "build": "building",
    "open": "memory_on_disk",  # not in __all__: `from memo_dist import *` must leave Python's own
    "open_memory": "files.opened",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
