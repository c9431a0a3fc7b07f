"""Near passages: what of a text a memory holds in one piece but for some differences, and what differs.

Covers: texts of any length, many together, every form that says what follows. Does not cover: following one passage
(near_walking.py), stretches that are held as they are (held_runs.py), where a passage stands (where.py), prompts
(snapping.py).

From the end of a stretch that is held the memory is followed, whatever it says, and laid beside the text. The stretches
of a long text are followed side by side, some by each walker; a passage that reaches the next walker's first stretch is
put together with what that one found.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from memo_dist.recalling.confidence import confidence
from memo_dist.recalling.differences import NearPassage
from memo_dist.recalling.exact import followed_by
from memo_dist.recalling.held_runs import held_runs
from memo_dist.recalling.lookup import Lookup
from memo_dist.recalling.near_walking import SEED, LaidText, Walker
from memo_dist.recalling.snapping import Next
from memo_dist.recalling.walking import next_tokens
from memo_dist.tokenizer import Tokenizer

_TRIED = 16  # tokens that may come next and are tried
_OF_MATRICES = 4  # tokens that matrices may say next
_SAYS = 0.5  # probability of a token that matrices say
_TOGETHER = 8  # stretches of a text that are followed one after the other


def near_passages(
    lookup: Lookup, tokenizer: Tokenizer, texts: Sequence[str], *, least: int = SEED
) -> list[list[NearPassage]]:
    """The passages of each text, of `least` units or more, in order; none lies within another.

    Args:
        tokenizer: of the memory.

    Raises:
        ConfigError: the memory is of the preset paper, or is read from its matrices and `least` is out of range.
    """
    walkers = [_walkers(lookup, tokenizer, text) for text in texts]
    going = [walker for several in walkers for walker in several]
    while going := [walker for walker in going if walker.begin()]:
        contexts = [walker.contexts() for walker in going]
        said = iter(_follow(lookup, [context for several in contexts for context in several]))
        for walker, several in zip(going, contexts, strict=True):
            walker.take([next(said) for _ in several])
    return [_outermost(_joined(several), least) for several in walkers]


def _walkers(lookup: Lookup, tokenizer: Tokenizer, text: str) -> list[Walker]:
    """Who follow the stretches of a text, some each, side by side."""
    laid = LaidText.of(text, tokenizer)
    placed = ((run, *laid.units_of(run)) for run in held_runs(lookup, tokenizer, laid.ids, least=SEED))
    runs = [(run, first, stop) for run, first, stop in placed if stop - first >= SEED]
    shares = [runs[at : at + _TOGETHER] for at in range(0, len(runs), _TOGETHER)]
    limits = [*(share[0][2] for share in shares), len(laid.units) + 1][1:]
    walking = tokenizer, lookup.config.context_length
    return [Walker(laid, share, limit=limit, walking=walking) for share, limit in zip(shares, limits, strict=True)]


def _joined(walkers: Sequence[Walker]) -> Iterator[NearPassage]:
    """What walkers found, passages put together that one handed over to the next."""
    left: NearPassage | None = None
    for walker in walkers:
        found = walker.found
        if left is not None:
            found = [left.joined(found[0]), *found[1:]] if found else [left]
        yield from found[:-1] if walker.hands_over else found
        left = found[-1] if walker.hands_over else None
    if left is not None:
        yield left


def _follow(lookup: Lookup, contexts: list[np.ndarray]) -> list[Next]:
    """What comes after each context, all of which is held."""
    if lookup.reader.is_solved:
        return next_tokens(lookup.solved, contexts)
    end, found = lookup.config.end_of_document, list[Next]()
    if not lookup.reader.has_ledger:
        said = lookup.several(lookup.encoder.query(contexts), _OF_MATRICES)
        sure = (confidence(said.log_odds) >= _SAYS) & (said.tokens != end)
        return [Next(row[ok].tolist()) for row, ok in zip(said.tokens, sure, strict=True)]
    for (tokens, _), rung, depth in followed_by(lookup.exact, contexts):
        ways = tokens[tokens != end] if rung == depth - 1 else tokens[:0]
        found.append(Next(ways[:_TRIED].tolist(), all_known=len(ways) <= _TRIED))
    return found


def _outermost(found: Iterable[NearPassage], least: int) -> list[NearPassage]:
    """Without what is too short or lies within another."""
    kept: list[NearPassage] = []
    for one in sorted(found, key=lambda one: (one.start, -one.stop)):
        if one.units >= least and not (kept and one.stop <= kept[-1].stop):
            kept.append(one)
    return kept
