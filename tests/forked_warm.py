"""Imported by the process that others are forked from: what they all need, numba's functions compiled."""

from importlib import import_module

from memo_dist import Memory, TextConfig, Tokenizer

_TEXT = "a text of some words, of which a memory is made"
for _name in ("cluster.change", "cluster.compact", "cluster.publish"):
    import_module(_name)
_memory = Memory(TextConfig(num_banks=1, vocab_size=256, inner_dim=64), Tokenizer.bytes())
_memory.memorize("a", _TEXT)
_memory.recall(_TEXT[:20])
_memory.digest()
