"""Snapping: a prompt that a memory holds in parts only -> the memory's own text, as far as the prompt goes.

Covers: which stretches of it are held, recalling on from each, which of what is recalled fits. Does not cover: how a
fit is measured (aligning.py), what a memory says next (lookup.py), one letter tried for another (corrections.py).

A difference spoils the windows over it, and no others, so some stretch before it is held. From where that ends the
memory is followed, whatever it says, for as long as that may still be what the rest of the prompt says with some
differences. It fits with up to one difference in six characters, those of the stretch included; of several that fit,
the one is taken that has most text and least differences.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from memo_dist.recalling.aligning import WORD, Alignment, Typed
from memo_dist.recalling.seeds import Seed
from memo_dist.recalling.support import Support
from memo_dist.tokenizer import Tokenizer

_UNSURE = 12  # characters of a rest that confirm what is one of several continuations
_STRETCHES = 8  # that are followed
_LONGEST = 600  # characters of a prompt's rest
_LAST_WORD = re.compile(r"\w+(?=\W*$)")
_BEFORE = 8  # tokens that spelling looks back to
_PATHS = 16  # of one stretch, at a time
_FITS = 6  # characters for each difference
_WORTH = 4  # characters of text that speak for it as much as one difference against it


@dataclass(frozen=True)
class Next:
    """What a memory says after a context that it holds.

    Attributes:
        tokens: that may come next. all_known: there are no others.
    """

    tokens: list[int]
    all_known: bool = True


Follow = Callable[[list[np.ndarray]], list[Next]]


@dataclass(frozen=True, kw_only=True)
class Snapped:
    """A prompt as a memory has it.

    Attributes:
        tokens: (n,) of the held stretch and what was recalled after it. owed: text that the memory says next, which
            the prompt has as well.
        text: the prompt, from the stretch on as the memory has it.
        aligned: characters that were compared, the stretch among them. differing: differences.
    """

    tokens: np.ndarray
    owed: str
    text: str
    aligned: int
    differing: int

    @property
    def weight(self) -> int:
        """What speaks for it, in characters of text."""
        return self.aligned - _WORTH * self.differing


@dataclass(frozen=True, kw_only=True)
class _Stretch:
    """A part of a prompt that is held.

    Attributes:
        tokens: (n,) of it. size: its characters. rest: of the prompt after it.
        kept: the prompt up to its end, as it is read. differing: differences there.
    """

    tokens: np.ndarray
    size: int
    rest: str
    typed: Typed
    kept: str = ""
    differing: int = 0

    @property
    def limit(self) -> int:
        """How many differences fit; of a short rest, no more than a quarter may be wrong, or a word."""
        return min(max(1, (self.size + len(self.typed)) // _FITS), max(WORD, len(self.typed) // 4))


@dataclass(frozen=True, kw_only=True)
class _Path:
    """What was recalled from a stretch.

    Attributes:
        tokens, texts: recalled, and the text that each adds. all_known: there were no others.
        ended: the memory says nothing more.
    """

    stretch: _Stretch
    alignment: Alignment
    all_known: bool = True
    tokens: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    ended: bool = False

    @property
    def context(self) -> np.ndarray:
        return np.concatenate([self.stretch.tokens, np.array(self.tokens, np.int64)])

    @property
    def fits(self) -> bool:
        least, typed = self.alignment.least, self.stretch.typed
        sure = self.all_known or len(typed) - _WORTH * least >= _UNSURE
        return sure and least <= self.stretch.limit and self._ends_alike()

    def _ends_alike(self) -> bool:
        """Whether the last word is about the prompt's: it is what follows it that is asked for."""
        rest, recalled = self.stretch.rest.rstrip(), "".join(self.texts)[: self.alignment.at].rstrip()
        word, said = _LAST_WORD.search(rest), _LAST_WORD.search(recalled)
        if word is None or said is None:
            return rest[-1:] == recalled[-1:]
        found = Alignment.begun(Typed.of(word[0])).longer(said[0]).ended()
        return int(found.row[-1]) <= min((len(word[0]) + 1) // 2, len(word[0]) - 1)

    @property
    def may_fit(self) -> bool:
        """Whether more may be recalled of it."""
        return not self.ended and self.alignment.may_improve and self.alignment.bound <= self.stretch.limit


class Snapper:
    """Snaps prompts to one memory.

    Args:
        follow: what the memory says next of contexts that it holds.
        units_begun: see Encoder.
        tokenizer: of the memory.
    """

    def __init__(self, follow: Follow, units_begun: Callable[[np.ndarray], np.ndarray], tokenizer: Tokenizer) -> None:
        self._follow, self._units_begun, self._tokenizer = follow, units_begun, tokenizer

    def snap(self, text: str, tokens: np.ndarray, *, support: Support, ends: np.ndarray) -> Snapped | None:
        """The prompt as the memory has it; None where nothing fits.

        Args:
            text: of the prompt, and its (n,) `tokens`. support: of its places, whatever follows them there.
            ends: (k,) bool, of each place whether the memory surely goes on otherwise.
        """
        return self._best(self._stretches(text, tokens, support, ends=ends))

    def snap_seeds(self, text: str, seeds: Sequence[Seed]) -> Snapped | None:
        """The prompt as the memory has it, from one of some seeds on; None where nothing fits."""
        stretches = []
        for seed, tokens in zip(seeds, self._tokenizer.encode([f" {seed.text}" for seed in seeds]), strict=True):
            rest = text[seed.end :]
            stretches.append(
                _Stretch(
                    tokens=tokens.astype(np.int64),
                    size=seed.end - seed.begin,
                    rest=rest,
                    typed=Typed.of(rest),
                    kept=text[: seed.begin] + seed.text,
                    differing=1,
                )
            )
        return self._best(stretches)

    def _best(self, stretches: list[_Stretch]) -> Snapped | None:
        fitting = self._fitting([one for one in stretches if 0 < len(one.typed) <= _LONGEST])
        return max(map(self._snapped, fitting), key=lambda one: one.weight, default=None)

    def follow_on(self, parts: Sequence[tuple[np.ndarray, str, str]]) -> list[Snapped | None]:
        """What the memory says after each of some held parts of a text that fits what follows there; None where nothing
        does. The text of a fit is of what follows alone.

        Args:
            parts: (n,) tokens that are held, their text, and the text after them.
        """
        stretches = [
            _Stretch(tokens=tokens, size=len(text), rest=rest, typed=Typed.of(rest)) for tokens, text, rest in parts
        ]
        best: dict[int, Snapped] = {}
        for path in self._fitting([one for one in stretches if 0 < len(one.typed) <= _LONGEST]):
            found, known = self._snapped(path), best.get(id(path.stretch))
            if known is None or found.weight > known.weight:
                best[id(path.stretch)] = found
        return [best.get(id(stretch)) for stretch in stretches]

    def _stretches(self, text: str, tokens: np.ndarray, support: Support, *, ends: np.ndarray) -> list[_Stretch]:
        """The parts that are held, the longest first."""
        before = np.concatenate([[0], np.cumsum(self._units_begun(tokens))])
        places = []
        for first, last in _runs(support.longest > 0, ends):
            begun = max(int(support.units[first] - support.longest[first]), 0)
            begin = int(np.searchsorted(before, begun, side="right")) - 1  # the token in which that unit begins
            end = int(support.ends[last])
            if len(tokens) - end <= _LONGEST:  # the rest of a page is spelled for a few alone
                places.append((begin, end))
        found = []
        for begin, end in sorted(places, key=lambda place: place[0] - place[1])[:_STRETCHES]:
            rest = self._said(tokens[:end], tokens[end:])
            held = tokens[begin:end]
            size = len(self._said(tokens[:begin], held))
            kept = text[: len(text) - len(rest)]
            found.append(_Stretch(tokens=held, size=size, rest=rest, typed=Typed.of(rest), kept=kept))
        return found

    def _fitting(self, stretches: list[_Stretch]) -> Iterator[_Path]:
        """What fits of what is recalled from each, each as far as it may fit better."""
        grown = {id(one): [_Path(stretch=one, alignment=Alignment.begun(one.typed))] for one in stretches}
        while paths := [path for several in grown.values() for path in sorted(several, key=_least)[:_PATHS]]:
            said = self._follow([path.context for path in paths])
            longer = [self._longer(path, tokens) for path, tokens in zip(paths, said, strict=True)]
            yield from (path for several in longer for path in several if not path.may_fit and path.fits)
            grown = {id(one): [] for one in stretches}
            for path in (path for several in longer for path in several if path.may_fit):
                grown[id(path.stretch)].append(path)

    def _longer(self, path: _Path, said: Next) -> list[_Path]:
        if not said.tokens:
            alignment = path.alignment.ended()
            return [replace(path, alignment=alignment, ended=True)]
        found = []
        for token in said.tokens:
            text = self._said(path.context, np.array([token]))
            alignment = path.alignment.longer(text)
            found.append(
                _Path(
                    stretch=path.stretch,
                    alignment=alignment,
                    all_known=path.all_known and said.all_known,
                    tokens=[*path.tokens, token],
                    texts=[*path.texts, text],
                )
            )
        return found

    def _snapped(self, path: _Path) -> Snapped:
        whole, left = 0, path.alignment.at
        while whole < len(path.texts) and left >= len(path.texts[whole]):
            left -= len(path.texts[whole])
            whole += 1
        owed = path.texts[whole][:left] if left else ""
        return Snapped(
            tokens=path.context[: len(path.stretch.tokens) + whole],
            owed=owed,
            text=path.stretch.kept + "".join(path.texts[:whole]) + owed,
            # what was typed and left aside speaks for nothing
            aligned=path.stretch.size + min(len(path.stretch.typed), path.alignment.at),
            differing=int(path.alignment.least) + path.stretch.differing,
        )

    def _said(self, before: np.ndarray, tokens: np.ndarray) -> str:
        return self._tokenizer.continuation(before[-_BEFORE:].tolist(), tokens.tolist())


def _least(path: _Path) -> float:
    return path.alignment.bound


def _runs(held: np.ndarray, ends: np.ndarray) -> Iterator[tuple[int, int]]:
    """The first and last places of what is held one after the other, up to one that ends a stretch."""
    first = 0
    for place in range(len(held)):
        if not held[place]:
            first = place + 1
        elif ends[place] or place + 1 == len(held) or not held[place + 1]:
            yield first, place
            first = place + 1
