"""memo-dist: corpora memorized exactly in correlation-matrix memories. See README.md and docs/explanation/design.md.

The names below are loaded when they are first used, so that `import memo_dist` takes milliseconds.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memo_dist.errors import MemoError
    from memo_dist.files.opened import open_memory
    from memo_dist.memory import Memory
    from memo_dist.memory_config import MemoryConfig
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
    "PaperConfig",
    "RecallOptions",
    "Session",
    "TextConfig",
    "Tokenizer",
    "__version__",
    "open_memory",
]

_MODULE_OF = {
    "MemoError": "errors",
    "Memory": "memory",
    "MemoryConfig": "memory_config",
    "PaperConfig": "models.paper.config",
    "RecallOptions": "recalling.options",
    "Session": "recalling.session",
    "TextConfig": "models.text.config",
    "Tokenizer": "tokenizer",
    "open_memory": "files.opened",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
