"""HashedEncoder: tokens -> the key of every window before every position, rung by rung (design-2 section 2).

Covers: lines of documents and segments, their associations, the cues of a query. Does not cover: the equations of keys
(keys.py), how text is read (units.py), codes of hashes (codes.py).

Hashing runs on the CPU, whatever device holds the banks: reading text is one pass of small steps, and docs/decisions/
0015 says what sending its results to a GPU costs.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

import numpy as np

from memo_dist.models.cues import Cues, Reader
from memo_dist.models.text.associations import DOCUMENT_SALT, TOKEN_SALT, Associations, associate
from memo_dist.models.text.bank_assignment import bank_edge, bank_of
from memo_dist.models.text.config import TextConfig
from memo_dist.models.text.keys import REACH, block_sizes, is_anchor, seed_words
from memo_dist.models.text.lines import BEGIN, CUT, PART, Chunk, lay_out
from memo_dist.models.text.units import Alphabet, Kind, alphabet_of, opaque_alphabet
from memo_dist.segments import NO_TOKENS, Segment
from memo_dist.token_texts import token_texts
from memo_dist.tokenizer import Tokenizer

_CHUNK = 1 << 18  # positions hashed at a time: temporaries stay near the caches
_FAR = 1 << 40  # steps: further than any


class HashedEncoder:
    """Encoder of the preset `text`.

    Args:
        config: the memory's definition.
        tokenizer: of the memory; None for bare token ids, of which each is a unit.
    """

    def __init__(self, config: TextConfig, tokenizer: Tokenizer | None = None) -> None:
        self.config = config
        self._tokenizer = tokenizer if config.keys == "text" else None
        self._of_text = self._tokenizer is not None
        self._reach = REACH if self._of_text else _FAR  # tokens know how far they reach; steps of text do not
        self._words = seed_words(config.seed)
        self._windows, self._sizes = np.array(config.windows, np.int64), block_sizes(config.windows)

    def __getstate__(self) -> dict[str, object]:
        """What another process needs: the alphabet, which is arrays, instead of the tokenizer, which takes long to
        load."""
        return {**self.__dict__, "_alphabet": self._alphabet, "_tokenizer": None}

    def with_windows(self, windows: tuple[int, ...]) -> "HashedEncoder":
        """The same keys over other windows."""
        other = HashedEncoder(replace(self.config, windows=windows), self._tokenizer)
        other.__dict__["_alphabet"] = self._alphabet
        return other

    @cached_property
    def _alphabet(self) -> Alphabet:
        if self._tokenizer is None:
            return opaque_alphabet(self.config.vocab_size)
        return alphabet_of(token_texts(self._tokenizer))

    def associations(self, segments: list[Segment], banks: range) -> Iterator[Associations]:
        """Every (window, next token) of the segments whose bank is in `banks`; see `kinds`."""
        yield from (following for following, _ in self.kinds(segments, banks))

    def kinds(self, segments: list[Segment], banks: range) -> Iterator[tuple[Associations, Associations]]:
        """Every (window, next token), and every (window, document) of anchors, whose bank is in `banks`, repeats
        included, unordered.

        The first rung is padded before a document's first units; a longer window counts only once it is full. Of the
        windows of the anchor rung, those are anchors whose hash is 0 modulo ANCHOR_EVERY. They come chunk by chunk of
        at most 2**18 positions.
        """
        from memo_dist.kernels.windows import choose_associations

        low, high = bank_edge(banks.start, self.config.num_banks), bank_edge(banks.stop, self.config.num_banks)
        if not len(banks):
            return
        for chunk in lay_out(segments, self.config, _CHUNK):
            hashes, depths = self._keys(chunk)
            room = hashes.size + 1
            names, tokens = np.empty(room, np.uint64), np.empty(room, np.uint32)
            edges = np.uint64(TOKEN_SALT), np.uint64(low), np.uint64(high - 1)
            found = choose_associations(hashes, depths, chunk.targets, *edges, names, tokens)
            following = Associations(names[:found].copy(), tokens[:found].copy())
            yield following, self._anchors(hashes, depths, chunk.owners, banks=banks)

    def _anchors(self, hashes: np.ndarray, depths: np.ndarray, owners: np.ndarray, *, banks: range) -> Associations:
        rung = self.config.anchor_rung
        here = (depths > rung) & is_anchor(hashes[:, rung])
        chosen, documents = hashes[here, rung], owners[here]
        bank = bank_of(chosen, self.config.num_banks)
        mine = (bank >= banks.start) & (bank < banks.stop)
        return associate(chosen[mine], documents[mine], DOCUMENT_SALT)

    def targets(self, segments: list[Segment]) -> Iterator[tuple[Cues, np.ndarray]]:
        """(cues, next tokens) of every position of the segments, in order, chunk by chunk."""
        for chunk in lay_out(segments, self.config, _CHUNK):
            yield self._cues(*self._keys(chunk)), chunk.targets

    def retrieve(self, reader: Reader, cues: Cues) -> np.ndarray:
        """Read all filled windows: (n, L, d) int32, zero where not filled."""
        reads = np.zeros((*cues.values.shape, self.config.inner_dim), np.int32)
        reads[cues.filled] = reader.read(cues.values[cues.filled])
        return reads

    def length(self, tokens: np.ndarray) -> tuple[int, str]:
        """See models.cues.Encoder."""
        if not self._of_text:
            return len(tokens), "tokens"
        return int(self.units_begun(tokens).sum()), "words and other characters"

    def query(self, contexts: list[np.ndarray], at_start: bool | np.ndarray = False) -> Cues:
        """The cue after each context; see models.cues.Encoder."""
        return self._after(contexts, at_start, self.config.context_length)

    def query_near(self, contexts: list[np.ndarray], near: int, at_start: bool | np.ndarray = False) -> Cues:
        """The same of what the last `near` tokens tell: a cue of which fewer rungs may be filled."""
        return self._after(contexts, at_start, near)

    def _after(self, contexts: list[np.ndarray], at_start: bool | np.ndarray, reach: int) -> Cues:
        parts = [context[-reach:] for context in contexts]
        lengths = np.fromiter(map(len, parts), np.int64, len(parts))
        marks = np.where(at_start, BEGIN, CUT)
        if reach < self.config.context_length:
            whole = np.fromiter(map(len, contexts), np.int64, len(contexts))
            marks = np.where(whole > reach, PART, marks)
        # each line has its mark before it and, behind it, any token: what is asked is before that
        ends = np.cumsum(lengths + 2)
        line, asked, told = (np.zeros(int(lengths.sum()) + 2 * len(parts), kind) for kind in (np.int64, bool, bool))
        line[ends - lengths - 2], asked[ends - 1], told[:] = marks, True, True
        told[ends - 1] = told[ends - lengths - 2] = False
        if parts:
            line[told] = np.concatenate(parts)
        return self._cues(*self._keys(Chunk(line, asked, NO_TOKENS)))

    def unit_ends(self, tokens: np.ndarray) -> np.ndarray:
        """(k,) int64, rising: the places in (n,) token ids, 1 .. n - 1, at which a unit ends, the token after it known;
        whatever white space is there, a token of any text that holds the same units may begin at such a place."""
        table = self._alphabet
        last, first = table.bounds[tokens[:-1] + 1] - 1, table.bounds[tokens[1:]]
        same = table.kinds[last] == table.kinds[first]
        alike = same & (table.values[last] == table.values[first]) & (table.kinds[last] == Kind.OTHER)
        ends = (table.kinds[last] != Kind.SPACE) & ~alike & ~(same & (table.kinds[last] == Kind.WORD))
        return np.flatnonzero(ends) + 1

    def may_go_on(self, token: int) -> bool:
        """Whether a token may be the rest of a unit: it begins with a character of a word, or is no text alone."""
        table = self._alphabet
        return bool(table.kinds[table.bounds[token]] in (Kind.WORD, Kind.OPAQUE))

    def units_begun(self, tokens: np.ndarray) -> np.ndarray:
        """(n,) int64: how many units begin with each of (n,) token ids that follow one another."""
        table = self._alphabet
        first, count = table.bounds[tokens], table.bounds[tokens + 1] - table.bounds[tokens]
        owner = np.repeat(np.arange(len(tokens)), count)
        steps = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
        kinds, values = table.kinds[steps], table.values[steps]
        begins = kinds != Kind.SPACE
        same = kinds[1:] == kinds[:-1]
        begins[1:] &= ~(same & ((kinds[1:] == Kind.WORD) | ((kinds[1:] == Kind.OTHER) & (values[1:] == values[:-1]))))
        return np.bincount(owner[begins], minlength=len(tokens)).astype(np.int64)

    def prefixes(self, tokens: np.ndarray, places: np.ndarray, at_start: bool = False) -> Cues:
        """The cues before the `places`, rising, of (n,) token ids; as `query` of each beginning, in one pass."""
        line = np.concatenate([[BEGIN if at_start else CUT], tokens, [0]]).astype(np.int64)
        asked = np.zeros(len(line), bool)
        asked[places + 1] = True
        return self._cues(*self._keys(Chunk(line, asked, NO_TOKENS)))

    def _keys(self, chunk: Chunk) -> tuple[np.ndarray, np.ndarray]:
        """(m, L) uint64 keys of a chunk's places, 0 where not filled, and (m,) how many are."""
        from memo_dist.kernels.windows import window_keys

        count, table = int(chunk.asked.sum()), self._alphabet
        hashes, depths = np.empty((count, len(self._windows)), np.uint64), np.empty(count, np.int64)
        steps, shape = (table.bounds, table.kinds, table.values), (self._windows, self._sizes, self._words)
        window_keys(chunk.line, chunk.asked, *steps, *shape, self._reach, hashes, depths)
        return hashes, depths

    def _cues(self, hashes: np.ndarray, depths: np.ndarray) -> Cues:
        return Cues(hashes, np.arange(hashes.shape[1]) < depths[:, None])
