"""Paths: which continuations are followed, how sure, and when they are given up; against a memory written out by hand.

Covers: the chain of priors, rivals, the beam, ends, lost paths. Does not cover: what is said of them (test_recall.py).
"""

import math

import numpy as np
import pytest

from memo_dist import RecallOptions, TextConfig
from memo_dist.models.candidates import Alternative, Candidates
from memo_dist.models.cues import Cues, Reader
from memo_dist.recalling.lookup import Lookup
from memo_dist.recalling.paths import Path, follow

CONFIG = TextConfig(num_banks=1, vocab_size=10, inner_dim=64, windows=(2, 4), keys="tokens")
END = CONFIG.end_of_document
Script = dict[tuple[int, ...], list[tuple[int, float]]]  # context -> (next token, log-odds), best first
STAYS, AHEAD = 0.999, 4
NOISE = -30.0


class Written:
    """Encoder and cleanup of a memory that is a script: what is not in it is noise."""

    def __init__(self, script: Script) -> None:
        self.config, self.script = CONFIG, script
        self.contexts: list[tuple[int, ...]] = []
        self.steps: list[int] = []

    @property
    def encoder(self) -> "Written":
        return self

    def query(self, contexts: list[np.ndarray], at_start: bool = False) -> Cues:
        self.contexts = [tuple(int(token) for token in context) for context in contexts]
        self.steps.append(len(contexts))
        assert all(len(context) <= CONFIG.context_length for context in self.contexts)
        filled = np.array([[len(context) >= 2 or at_start, len(context) >= 4] for context in self.contexts])
        return Cues(np.arange(len(contexts)), filled)

    def read(self, cues: np.ndarray) -> np.ndarray:
        raise AssertionError("the script is looked up, not read")

    def token_counts(self) -> None:
        pass

    def retrieve(self, reader: Reader, cues: Cues) -> np.ndarray:
        return cues.values

    def several(self, reads: np.ndarray, filled: np.ndarray, count: int) -> Candidates:
        return self.rank(reads, filled, count)

    def with_prior(self, counts: np.ndarray | None) -> "Written":
        return self

    def is_best(self, reads: np.ndarray, filled: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        return np.asarray(self.rank(reads, filled).tokens[:, 0] == tokens)

    def rank(self, reads: np.ndarray, filled: np.ndarray, top_k: int = 1) -> Candidates:
        rows = []
        for row in reads.tolist():
            known = self.script.get(self.contexts[row], [])
            others = [(token, NOISE) for token in range(END + 1) if token not in dict(known)]
            rows.append([*known, *others][:top_k])
        tokens = np.array([[token for token, _ in row] for row in rows])
        log_odds = np.array([[odds for _, odds in row] for row in rows], float)
        return Candidates(tokens, log_odds, np.zeros((*tokens.shape, 1)))


def followed(
    written: Written, prompts: list[list[int]], *, max_tokens: int, beam: int = 8, top_k: int = 0
) -> list[list[Path]]:
    options = RecallOptions(max_tokens=max_tokens, beam=beam, top_k=top_k)
    return follow(Lookup(written, lambda: written), [np.array(prompt) for prompt in prompts], options)


def sure(log_odds: float, prior: float) -> float:
    """Bayes' rule, written out."""
    return 1 / (1 + math.exp(-log_odds) * (1 - prior) / prior)


def chain(prompt: list[int], steps: list[tuple[int, float]]) -> Script:
    """A script in which one token follows another."""
    script: Script = {}
    line = list(prompt)
    for token, log_odds in steps:
        script[tuple(line[-4:])] = [(token, log_odds)]
        line.append(token)
    return script


def test_the_prior_of_a_step_is_the_confidence_of_the_one_before() -> None:
    """One noisy read, of log-odds -3, is no reason to stop: what came before vouches for the path."""
    odds = [2.0, 4.0, -3.0, 3.0, 1.0, 5.0]
    steps = list(zip([3, 4, 5, 6, 7, 8], odds, strict=True))
    ((path,),) = followed(Written(chain([1, 2], steps)), [[1, 2]], max_tokens=2)
    prior, log_score = 0.5, 0.0
    for value in odds:
        inside = sure(value, prior)
        log_score, prior = log_score + math.log(inside), inside * STAYS
    assert path.tokens == [3, 4, 5, 6, 7, 8]  # 2 asked for, and 4 beyond to confirm them
    assert path.scores == odds
    assert path.confidences == pytest.approx([sure(value, 0.5) for value in odds])
    assert path.windows == [2, 2, 4, 4, 4, 4]
    assert path.log_score == pytest.approx(log_score)
    assert path.prior == pytest.approx(prior)
    assert (path.stop, path.prompt, path.context) == ("length", 0, [5, 6, 7, 8])


@pytest.mark.parametrize("max_tokens", [1, 3, 5])
def test_steps_are_the_tokens_asked_for_and_four_more(max_tokens: int) -> None:
    script = chain([1, 2], [(token % 10, 9.0) for token in range(3, 30)])
    written = Written(script)
    ((path,),) = followed(written, [[1, 2]], max_tokens=max_tokens)
    assert len(path.tokens) == len(written.steps) == max_tokens + AHEAD
    assert path.tokens == [token % 10 for token in range(3, 3 + max_tokens + AHEAD)]


def test_a_path_that_nothing_continues_is_lost() -> None:
    ((path,),) = followed(Written(chain([1, 2], [(3, 5.0), (4, 5.0)])), [[1, 2]], max_tokens=9)
    first = sure(5.0, 0.5)
    second = sure(5.0, first * STAYS)
    assert path.tokens == [3, 4]
    assert (path.stop, path.lost_window) == ("lost", 4)
    assert path.stop_confidence == pytest.approx(sure(NOISE, second * STAYS))


@pytest.mark.parametrize(("log_odds", "lost"), [(-6.8, False), (-7.0, True)])
def test_lost_is_less_sure_than_one_in_a_thousand(log_odds: float, lost: bool) -> None:
    """At the prior of a prompt, 1/2: exp(-6.8) is 1.1 in 1,000, exp(-7) 0.9."""
    ((path,),) = followed(Written({(1, 2): [(3, log_odds)]}), [[1, 2]], max_tokens=1)
    assert path.tokens == ([] if lost else [3])
    assert (path.stop, path.lost_window) == ("lost", 2)  # at once, or one token later


def test_rivals_are_followed_and_the_likelier_path_comes_first() -> None:
    script = {
        **chain([1, 2, 3, 4], [(5, 3.0), *[(6, 9.0)] * 4]),
        **chain([2, 3, 4, 7], [(8, 9.0)] * 4),
    }
    script[(1, 2, 3, 4)] = [(5, 3.0), (7, 2.0)]
    (paths,) = followed(Written(script), [[1, 2, 3, 4]], max_tokens=1)
    assert [path.tokens for path in paths] == [[5, 6, 6, 6, 6], [7, 8, 8, 8, 8]]
    assert paths[0].log_score > paths[1].log_score
    (greedy,) = followed(Written(script), [[1, 2, 3, 4]], max_tokens=1, beam=1)
    assert [path.tokens for path in greedy] == [[5, 6, 6, 6, 6]]


@pytest.mark.parametrize(
    ("rival", "worth"), [(0.5, True), (-1.9, True), (-2.1, False)], ids=["likely", "just", "too far behind"]
)
def test_a_rival_that_is_itself_unlikely_may_be_five_behind(rival: float, worth: bool) -> None:
    script: Script = {(1, 2): [(3, 3.0), (4, rival)]}
    (paths,) = followed(Written(script), [[1, 2]], max_tokens=1)
    assert sorted(path.tokens for path in paths) == ([[3], [4]] if worth else [[3]])


def test_a_likely_rival_is_followed_however_far_behind() -> None:
    (paths,) = followed(Written({(1, 2): [(3, 40.0), (4, 1.0)]}), [[1, 2]], max_tokens=1)
    assert sorted(path.tokens for path in paths) == [[3], [4]]


def test_the_beam_keeps_the_likeliest_paths_of_each_prompt() -> None:
    """Three rivals and two places: the third goes, though it would have been sure at the next step."""
    script: Script = {(1, 2): [(3, 3.0), (4, 2.0), (5, 1.0)], (1, 2, 5): [(6, 50.0)]}
    for token in (3, 4):
        script |= chain([1, 2, token], [(7, 9.0)] * 5)
    script[(8, 9)] = [(1, 9.0)]
    first, second = followed(Written(script), [[1, 2], [8, 9]], max_tokens=1, beam=2)
    assert [path.tokens[0] for path in first] == [3, 4]
    assert [path.tokens for path in second] == [[1]]


def test_branches_of_all_paths_of_a_prompt_compete_for_the_beam() -> None:
    """Two paths of two branches each and two places: of four, the two likeliest go on, here one of each path."""
    script: Script = {
        (1, 2): [(3, 3.0), (4, 2.9)],
        (1, 2, 3): [(5, 4.0), (6, 0.1)],
        (1, 2, 4): [(7, 4.0), (8, 0.2)],
    }
    written = Written(script)
    (paths,) = followed(written, [[1, 2]], max_tokens=1, beam=2)
    assert [path.tokens for path in paths] == [[3, 5], [4, 7]]
    assert written.steps == [1, 2, 2]


def test_only_as_many_candidates_as_the_beam_are_followed_though_more_are_told() -> None:
    script: Script = {(1, 2): [(3, 3.0), (4, 2.0), (5, 1.0)]}
    (paths,) = followed(Written(script), [[1, 2]], max_tokens=1, beam=1, top_k=3)
    assert [path.tokens for path in paths] == [[3]]
    assert paths[0].alternatives == [[Alternative(3, 3.0), Alternative(4, 2.0), Alternative(5, 1.0)]]


def test_the_end_of_a_document_ends_a_path_and_no_other() -> None:
    script: Script = {(1, 2): [(END, 3.0), (4, 2.0)]}
    script |= chain([1, 2, 4], [(5, 9.0)] * 5)
    (paths,) = followed(Written(script), [[1, 2]], max_tokens=1)
    ended, other = paths
    assert (ended.tokens, ended.stop) == ([], "end_of_document")
    assert ended.stop_confidence == pytest.approx(sure(3.0, 0.5))
    assert ended.log_score == pytest.approx(math.log(sure(3.0, 0.5)))
    assert (other.tokens, other.stop) == ([4, 5, 5, 5, 5], "length")


def test_prompts_are_followed_side_by_side_and_kept_apart() -> None:
    script = {**chain([1, 2], [(3, 9.0), (END, 9.0)]), **chain([4, 5], [(6, 9.0)] * 5)}
    written = Written(script)
    found = followed(written, [[1, 2], [7, 7], [4, 5]], max_tokens=1)
    assert [[path.tokens for path in paths] for paths in found] == [[[3]], [[]], [[6] * 5]]
    assert [paths[0].stop for paths in found] == ["end_of_document", "lost", "length"]
    assert [paths[0].prompt for paths in found] == [0, 1, 2]
    assert written.steps == [3, 2, 1, 1, 1]  # whatever has ended is asked no more


def test_no_prompts_ask_nothing() -> None:
    written = Written({})
    assert followed(written, [], max_tokens=5) == []
    assert written.steps == []
