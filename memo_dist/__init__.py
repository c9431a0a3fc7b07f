"""memo-dist: corpora memorized exactly in correlation-matrix memories. See README.md and docs/design.md."""

from memo_dist.config import MemoryConfig
from memo_dist.errors import MemoError
from memo_dist.files.opened import open_memory
from memo_dist.memory import Memory
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
