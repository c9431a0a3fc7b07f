"""memo-dist: corpora memorized exactly in correlation-matrix memories. See README.md and docs/explanation/design.md."""

from memo_dist.config import MemoryConfig
from memo_dist.errors import MemoError
from memo_dist.memory import Memory
from memo_dist.tokenizer import Tokenizer

__version__ = "0.1.0"
__all__ = ["MemoError", "Memory", "MemoryConfig", "Tokenizer", "__version__"]
