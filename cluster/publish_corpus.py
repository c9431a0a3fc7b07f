"""Publish, of a corpus: a solved memory of a memory that keeps no tokens, from the texts that it was made of.

Covers: making the tokens anew, that they are those memorized. Does not cover: publishing (publish.py), building
(build.py).

The corpus is memorized again, with its tokens kept, as a memory of the same shape, tokenizer and seed beside the
output, `.NAME.corpus`. Digests of equal memories are equal, however they were made: the two are compared, so nothing
else than what the memory holds is published. Then that is published and removed. A stopped command goes on in either
half.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cluster.build import build
from cluster.prepare import BuildOptions
from cluster.publish import PublishOptions, PublishProgress, publish_solved
from cluster.run_state import Progress
from memo_dist.documents import LOW
from memo_dist.errors import ConfigError, InputError
from memo_dist.files.manifest import TOKENIZER_FILE, Manifest
from memo_dist.files.opened import OpenMemory, open_memory
from memo_dist.files.staging import refuse_existing
from memo_dist.models.text.config import TextConfig
from pipelines.plan import CorpusOptions


def publish_from_corpus(
    memory: Path,
    inputs: list[str],
    out: Path,
    *,
    options: PublishOptions,
    corpus: CorpusOptions,
    on_reading: Callable[[Progress], None] = lambda progress: None,
    on_progress: Callable[[PublishProgress], None] = lambda progress: None,
) -> Manifest:
    """Publish a memory without kept tokens, solved; `memory` is not changed.

    Args:
        inputs, corpus: what all that it holds was memorized from, and how that was read.
        on_reading: while the corpus is memorized. on_progress: while it is published.

    Raises:
        ConfigError: the memory is published already, keeps its tokens, or is of another preset.
        InputError: the corpus is not what the memory holds; the first difference is named.
        MemoError: as `build` and `publish_solved` raise it.
    """
    refuse_existing(out)
    again = _shape(memory, options, corpus)
    named = out if out.name else out.absolute()  # "." has no name
    kept = named.with_name(f".{named.name}.corpus")
    if not kept.exists():
        build(inputs, kept, again, on_progress=on_reading)
    try:
        _require_same_texts(memory, kept)
    except InputError:
        shutil.rmtree(kept, ignore_errors=True)
        raise
    manifest = publish_solved(kept, out, options, named=memory, on_progress=on_progress)
    shutil.rmtree(kept, ignore_errors=True)
    return manifest


def _shape(memory: Path, options: PublishOptions, corpus: CorpusOptions) -> BuildOptions:
    """How the corpus is memorized: as the memory is."""
    with open_memory(memory) as opened:
        opened.require_working()
        manifest, config, bare = opened.manifest, opened.config, opened.tokenizer is None
    if not isinstance(config, TextConfig):
        raise ConfigError(f"{memory} is of the preset {config.preset!r}; only memories of the preset text publish")
    if manifest.keeps_tokens:
        raise ConfigError(f"{memory} keeps its tokens, and is published from these; leave out --corpus")
    return BuildOptions(
        resources=options.resources,
        corpus=corpus,
        tokenizer="auto" if bare else str(memory / TOKENIZER_FILE),
        token_ids=bare,
        vocab_size=config.vocab_size if bare else None,
        inner_dim=config.inner_dim,
        windows=config.windows,
        keys=config.keys,
        num_banks=config.num_banks,
        seed=config.seed,
    )


def _require_same_texts(memory: Path, kept: Path) -> None:
    with open_memory(memory) as held, open_memory(kept) as read:
        if held.manifest.digest != read.manifest.digest or held.manifest.documents != read.manifest.documents:
            raise InputError(f"the corpus is not what {memory} holds: {_difference(held, read)}; nothing was published")
        ours, theirs = (one.require_working().identities() for one in (held, read))
        if not np.array_equal(ours, theirs):
            raise InputError(f"the corpus is not what {memory} holds: {_difference(held, read)}; nothing was published")


def _difference(held: OpenMemory, read: OpenMemory) -> str:
    """The first document that differs, in the order of keys."""
    ours, theirs = (one.require_working().identities() for one in (held, read))
    others = np.setxor1d(ours, theirs)
    if not len(others):
        return "the same documents have other tokens, as with other --errors or --text-key"
    key = others["key"][0]
    mine, other = key in ours["key"], key in theirs["key"]
    low = int(key) & LOW
    name = ", ".join((held if mine else read).documents_named([low])[low])
    if mine and other:
        return f"{name} has another text"
    return f"{name} is not in the corpus" if mine else f"{name} is in the corpus alone"
