"""Memory: the whole thing in one process. Everything else is proved equal to it.

Covers: memorize, forget, merge, recall, digest, save and open. Does not cover: corpora (pipelines), several machines
(cluster). One Shard owns every bank; the equations are in models/, recall is in recalling/.
"""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa

from memo_dist.askable import Askable, require_text
from memo_dist.document_parts import DocumentPart, document_key, parts_of
from memo_dist.documents import numbers, rows_of
from memo_dist.errors import ConfigError, InputError, NotMemorizedError, TokenizerError
from memo_dist.files.format import shard_file
from memo_dist.files.opened import open_memory
from memo_dist.files.shard_writer import write_shard
from memo_dist.files.staging import staged_output, write_contents
from memo_dist.fullness import Fullness
from memo_dist.memory_config import MemoryConfig
from memo_dist.models import cleanup_for
from memo_dist.models.candidates import Candidates, Cleanup
from memo_dist.models.cues import Encoder
from memo_dist.models.protocol import ShardRoom
from memo_dist.models.text.followers import Followers
from memo_dist.recalling.questions import Prompt, ids_of, require_askable, require_long_enough
from memo_dist.recalling.session import Session
from memo_dist.segments import NO_TOKENS, Segment
from memo_dist.shard import Applied, Shard, memory_digest
from memo_dist.tokenizer import Tokenizer


class Memory(Askable):
    """An associative memory of token sequences.

    Example:
        >>> memory = Memory(TextConfig(num_banks=1, vocab_size=100))
        >>> memory.memorize("a", [3, 1, 4, 1, 5, 9, 2, 6])
        >>> memory.recall([3, 1, 4, 1], max_tokens=4).tokens
        [5, 9, 2, 6]
        >>> tokenizer = Tokenizer.bytes()
        >>> memory = Memory(TextConfig(num_banks=1, vocab_size=tokenizer.vocab_size), tokenizer)
        >>> memory.memorize("b", "It was the best of times, it was the worst of times")
        >>> memory.recall("it was the best of times, it").text
        ' was the worst of times'

    memo_dist.build chooses tokenizer and number of banks; memo_dist.open opens a directory without loading it.

    Args:
        config: shape and seed.
        tokenizer: for text; None for a memory of bare token ids.
        xp: numpy or cupy.
        expected: associations expected, to size the ledger by; any number works.

    Raises:
        TokenizerError: the tokenizer's vocabulary is not the config's.
    """

    def __init__(
        self, config: MemoryConfig, tokenizer: Tokenizer | None = None, *, xp: ModuleType = np, expected: int = 0
    ) -> None:
        if tokenizer is not None and tokenizer.vocab_size != config.vocab_size:
            raise TokenizerError(
                f"the tokenizer has {tokenizer.vocab_size} ids, the config says vocab_size={config.vocab_size}"
            )
        self.config = config
        self.tokenizer, self._xp, self._fullness = tokenizer, xp, Fullness()
        self._latest: tuple[np.ndarray | None, Cleanup] | None = None  # the last cleanup, and what its prior counts
        self.shard = Shard(
            config,
            range(config.num_banks),
            tokenizer=tokenizer,
            room=ShardRoom(expected=expected, xp=xp),
        )

    @property
    def _tokenizer_hash(self) -> str:
        return self.tokenizer.hash if self.tokenizer else ""

    def memorize(self, document_id: str, tokens: "str | list[int] | np.ndarray") -> None:
        """Memorize one document, a text or token ids: every (window, next token) it holds, its end included.

        Raises:
            InputError: the id is taken, the document is empty, or a token is outside the vocabulary.
        """
        self.memorize_several([(document_id, tokens)])

    def memorize_several(self, documents: "Iterable[tuple[str, str | list[int] | np.ndarray]]") -> None:
        """Memorize documents together, as (id, text or token ids) pairs; errors as for `memorize`, before any is."""
        segments: dict[str, Segment] = {}
        for document_id, tokens in documents:
            if document_id in segments or self.shard.registry.parts(document_key(document_id)):
                raise InputError(f"document {document_id!r} is memorized already; forget it first or use another id")
            segments[document_id] = self._document(document_id, tokens)
        self.shard.memorize_segments(list(segments.items()))
        self._fullness.grew(self.shard, sum(len(segment.tokens) for segment in segments.values()))

    def memorize_batch(self, batch: pa.Table) -> Applied:
        """Memorize a batch of the Arrow contract; one that was applied before changes nothing."""
        return self.shard.memorize_batch(batch)

    def forget_batch(self, batch: pa.Table) -> Applied:
        """Take out a batch that was memorized; see Shard.forget_batch."""
        return self.shard.forget_batch(batch)

    def forget(self, document_id: str, tokens: "str | list[int] | np.ndarray") -> None:
        """Undo `memorize` of the same document exactly; what other documents share with it stays.

        Raises:
            NotMemorizedError: this document was not memorized with these tokens; nothing is changed.
        """
        segment = self._document(document_id, tokens)
        key = document_key(document_id)
        if not self.shard.registry.holds(key, parts_of([(document_id, segment)], [key])[0]):
            raise NotMemorizedError(
                f"document {document_id!r} was not memorized with these {len(segment.tokens)} tokens; nothing changed"
            )
        self.shard.forget_segments([(document_id, segment)])

    def documents(self) -> list[DocumentPart]:
        """The documents held, by source and position, then by id."""
        parts = [part for _, part in rows_of(self.shard.registry.table())]
        return sorted(parts, key=lambda part: (part.origin, part.id))

    def _document(self, document_id: str, tokens: "str | list[int] | np.ndarray") -> Segment:
        if isinstance(tokens, str) and self.tokenizer is not None:
            require_text(tokens, f"document {document_id!r}")
            tokens = self.tokenizer.encode([tokens])[0]
        given = np.asarray(tokens)
        if given.ndim != 1 or (len(given) and given.dtype.kind not in "iu"):
            raise InputError(
                f"document {document_id!r} is {str(tokens)[:40]!r}; expected token ids, whole numbers in a row"
                + ("; this memory has no tokenizer to read text with" if isinstance(tokens, str) else ", or a text")
            )
        ids = given.astype(np.int64)
        if not len(ids):
            raise InputError(f"document {document_id!r} is empty")
        if ids.min() < 0 or ids.max() >= self.config.vocab_size:
            raise InputError(
                f"document {document_id!r} has token ids from {ids.min()} to {ids.max()}; "
                f"the vocabulary is 0 to {self.config.vocab_size - 1}"
            )
        return Segment(0, NO_TOKENS, ids.astype(np.uint32), True)

    def merge(self, other: "Memory") -> None:
        """Add another memory to this one; `other` is not changed.

        Raises:
            ConfigError: the memories have different shapes, seeds or tokenizers, or share a batch or a document.
        """
        mine, theirs = self.shard, other.shard
        if self.config != other.config or self._tokenizer_hash != other._tokenizer_hash:
            raise ConfigError(
                f"memories can only be merged if config and tokenizer are equal: {self.config} with tokenizer "
                f"{self._tokenizer_hash!r}, and {other.config} with {other._tokenizer_hash!r}"
            )
        ours, others = (numbers(registry.table(), "key") for registry in (mine.registry, theirs.registry))
        shared = len(np.intersect1d(ours, others))
        if mine.applied & theirs.applied or shared:
            raise ConfigError(
                f"both memories hold {len(mine.applied & theirs.applied)} equal batches and {shared} equal "
                "documents; merging would count them twice"
            )
        mine.merge(theirs)
        self._fullness.grew(mine, theirs.registry.num_tokens)

    @property
    def encoder(self) -> Encoder:
        """Tokens -> cues."""
        return self.shard.contents.encoder

    @cached_property
    def session(self) -> Session:
        """What answers prompts."""
        return Session(self, self.tokenizer, lambda: self.cleanup)

    @property
    def cleanup(self) -> Cleanup:
        """Vectors -> tokens for this memory; its prior is of what is held now."""
        counts = self.token_counts()
        if self._latest is None or self._latest[0] is not counts:
            self._latest = counts, self._codebook.with_prior(counts)
        return self._latest[1]

    @cached_property
    def _codebook(self) -> Cleanup:
        return cleanup_for(self.config, self.encoder, self._xp)

    def read(self, cues: np.ndarray) -> np.ndarray:
        """Answer cues; see models/cues.py."""
        return self.shard.retrieve(cues)

    @property
    def has_ledger(self) -> bool:
        """Whether associations are counted, so that they can be read without noise."""
        return self.shard.contents.with_ledger is not None

    @property
    def is_solved(self) -> bool:
        """No: it can be changed."""
        return False

    def followers(self, hashes: np.ndarray) -> Followers:
        """What follows each of (m,) window hashes; see models/cues.py."""
        return self.shard.followers(hashes)

    def documents_at(self, hashes: np.ndarray) -> Followers:
        """The documents that each of (m,) window hashes is an anchor of; see models/cues.py."""
        return self.shard.documents_at(hashes)

    def documents_named(self, low: Iterable[int]) -> dict[int, list[str]]:
        """The ids of documents by the low halves of their keys."""
        return self.shard.registry.named(low)

    def retrieve(self, contexts: "list[list[int]] | list[np.ndarray]", from_start: bool = False) -> Candidates:
        """One step: the best next token after each context, with scores and log-odds; contexts are token ids.

        Raises:
            PromptError: a context is shorter than the shortest window, or has an id outside the vocabulary.
        """
        given: list[Prompt] = list(contexts)
        asked = [ids_of(context, name=f"context {index}") for index, context in enumerate(given, start=1)]
        for index, context in enumerate(asked):
            require_askable(context, self.config, name=f"context {index + 1}")
            if not from_start:
                require_long_enough(context, self.encoder, name=f"context {index + 1}")
        lookup = self.session.lookup
        return lookup.rank(lookup.encoder.query(asked, from_start))

    @property
    def num_associations(self) -> int:
        return self.shard.num_associations

    def _size(self) -> tuple[int, int]:
        return self.shard.registry.num_tokens, self.num_associations

    def __repr__(self) -> str:
        registry = self.shard.registry
        return f"<memory in this process: {registry.num_tokens:,} tokens of {len(registry):,} documents>"

    def token_counts(self) -> np.ndarray | None:
        """(V + 1,) uint64, how many distinct associations have each token as the next one; None without a ledger."""
        return self.shard.token_counts()

    def digest(self) -> str:
        """One hash over config, tokenizer, matrices and ledger; equal for equal memories, however they were made."""
        return memory_digest(self.config, self._tokenizer_hash, self.shard.bank_digests())

    def save(self, path: str | Path) -> None:
        """Write the memory to a new directory, atomically.

        Raises:
            OutputExistsError: `path` exists. StorageError: it cannot be written.
        """
        registry = self.shard.registry
        with staged_output(Path(path)) as staging:
            written = write_shard(self.shard, staging / shard_file(0))
            tokens, documents = registry.num_tokens, len(registry)
            write_contents(
                staging,
                self.config,
                self.tokenizer,
                shards=[written],
                tokens=tokens,
                documents=documents,
                sources=[],
            )

    @classmethod
    def open(cls, path: str | Path, xp: ModuleType = np) -> "Memory":
        """Load a memory directory into this process, to change it; memo_dist.open reads one as it is.

        Raises:
            ConfigError: the memory is published, for recall only: memo_dist.open opens it.
            DamagedMemoryError: a file is missing, altered or foreign; it is named.
        """
        with open_memory(path) as opened:
            if opened.is_published:
                raise ConfigError(f"{path} is published for recall only; memo_dist.open({str(path)!r}) opens it")
            working = opened.require_working()
            memory = cls(opened.config, opened.tokenizer, xp=xp, expected=opened.manifest.associations)
            working.load_into(memory.shard)
        return memory
