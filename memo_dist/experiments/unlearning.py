"""Unlearning: documents taken out of a memory one after the other, beside a memory that never held them.

Covers: one run with its controls, after MUSE (arXiv 2407.06460) and TOFU (2401.06121). Does not cover: the scores of a
document (unlearning_scores.py), tables and plots (unlearning_report.py), questions about a text's contents.

Forgetting subtracts what was added, so equality to the other memory holds by construction; here it is measured, with
what must stay: a second copy, a near duplicate.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memo_dist.errors import InputError, NotMemorizedError
from memo_dist.experiments.evaluation_run import Run
from memo_dist.experiments.unlearning_scores import auc, cells_scores, ks_p, ledger_scores, privacy_leak, verbatim
from memo_dist.memory import Memory
from memo_dist.models.text.config import TextConfig
from memo_dist.tokenizer import Tokenizer
from memo_dist.tokenizer_training import train_tokenizer

_BANKS = 64
_CHARACTERS = 600  # of a document at least: about 130 tokens
_RETAINED = 40  # documents of those kept that are recalled; all are compared by digest
_CHANGED = 0.75  # where in a near duplicate one word is another
Texts = Sequence[str]


def documents_of(paragraphs: Sequence[str], count: int) -> list[str]:
    """The first `count` documents, of consecutive paragraphs.

    Raises:
        InputError: there are not as many.
    """
    found: list[str] = []
    open_ones: list[str] = []
    for paragraph in paragraphs:
        open_ones.append(paragraph)
        if sum(map(len, open_ones)) >= _CHARACTERS:
            found.append("\n\n".join(open_ones))
            open_ones = []
            if len(found) == count:
                return found
    raise InputError(
        f"the text makes {len(found)} documents of {_CHARACTERS} characters, not {count}; give a longer --text or "
        "fewer --documents"
    )


@dataclass(frozen=True)
class UnlearningRow:
    """What a run gave; shares, ROUGE-L and AUC in [0, 1].

    Attributes:
        forgotten: documents taken out. tokens: of all documents. associations: of the memory that held all.
        forget_before, forget_after, forget_never: ROUGE-L F of the forgotten documents' continuations: with all held,
            with these taken out, and in a memory that never held them. retain_before, retain_after: of documents kept.
        ledger_before, ledger_after, ledger_never: membership inference: AUC of forgotten against never-held documents,
            scored by the ledger. cells_before, cells_after, cells_never: scored by the matrices alone.
        leak_before, leak_after: PrivLeak of the latter, in percent; -100 where all are told apart.
        ks_before, ks_after: p of a Kolmogorov-Smirnov test of the forgotten documents' scores by the matrices against
            those by the memory that never held them.
        requests_equal: share of requests in a row after each of which the digest is that of a memory built without.
        copied: control: ROUGE-L F of forgotten documents of which a second copy is held. near: the same where a
            document is held that differs in one word. cells_near: AUC by the matrices then.
        refused: shares of documents never held, and of held ones with a word changed, whose forgetting is refused.
    """

    percent: int
    documents: int
    text: str
    seed: int
    forgotten: int
    tokens: int
    associations: int
    forget_before: float
    forget_after: float
    forget_never: float
    retain_before: float
    retain_after: float
    ledger_before: float
    ledger_after: float
    ledger_never: float
    cells_before: float
    cells_after: float
    cells_never: float
    leak_before: float
    leak_after: float
    ks_before: float
    ks_after: float
    requests_equal: float
    copied: float
    near: float
    cells_near: float
    refused: float
    seconds: float


@dataclass(frozen=True)
class UnlearningRun(Run):
    """One run: `percent` of so many documents are forgotten, each by a request of its own."""

    percent: int
    documents: int
    text: str
    seed: int


class Corpus:
    """Documents to hold and documents never held, with one tokenizer.

    Args:
        texts: different ones. documents: how many of them are held in the beginning.
    """

    def __init__(self, texts: Texts, documents: int) -> None:
        self.texts, self.documents = list(texts), documents
        self.tokenizer: Tokenizer = train_tokenizer(self.texts)

    def ids(self, texts: Texts) -> list[np.ndarray]:
        """The token ids of each."""
        return [np.asarray(ids, np.int64) for ids in self.tokenizer.encode(list(texts))]

    def memory(self, texts: Texts, seed: int) -> Memory:
        """A memory of these texts; each is its own name."""
        memory = Memory(TextConfig(num_banks=_BANKS, vocab_size=self.tokenizer.vocab_size, seed=seed), self.tokenizer)
        memory.memorize_several((text, text) for text in texts)
        return memory


def near_duplicate(text: str) -> str:
    """The text with one word replaced, three quarters in."""
    words = text.split(" ")
    words[int(len(words) * _CHANGED)] = "otherwise-so"
    return " ".join(words)


def run_unlearning(run: UnlearningRun, corpus: Corpus) -> UnlearningRow:
    """Hold all, forget one after the other, and ask before, after, and a memory that never held them."""
    began = time.perf_counter()
    order = np.random.default_rng([run.seed, run.documents]).permutation(len(corpus.texts))
    shuffled = [corpus.texts[place] for place in order]
    held, never_held = shuffled[: run.documents], shuffled[run.documents :]
    count = max(1, round(run.documents * run.percent / 100))
    forget, retain = held[:count], held[count:]
    asked = [corpus.ids(some) for some in (forget, retain[:_RETAINED], never_held)]
    never = corpus.memory(retain, run.seed)
    found, scores = {"forget_never": verbatim(never, asked[0])}, {"never": cells_scores(never, asked[0])}
    found |= _inference(never, asked[0], asked[2], when="never")
    expected = _digests(never, forget)

    memory = corpus.memory(held, run.seed)
    size = memory.num_associations
    found |= {"forget_before": verbatim(memory, asked[0]), "retain_before": verbatim(memory, asked[1])}
    scores["before"] = cells_scores(memory, asked[0])
    found |= _inference(memory, asked[0], asked[2], when="before") | {"refused": _refused(memory, forget, never_held)}
    equal = []
    for text, digest in zip(forget, expected, strict=True):
        memory.forget(text, text)
        equal.append(memory.digest() == digest)
    found |= {"forget_after": verbatim(memory, asked[0]), "retain_after": verbatim(memory, asked[1])}
    scores["after"] = cells_scores(memory, asked[0])
    found |= _inference(memory, asked[0], asked[2], when="after")
    for when in ("before", "after"):
        found[f"leak_{when}"] = privacy_leak(found[f"cells_{when}"], found["cells_never"])
        found[f"ks_{when}"] = ks_p(scores[when], scores["never"])
    return UnlearningRow(
        percent=run.percent,
        documents=run.documents,
        text=run.text,
        seed=run.seed,
        forgotten=count,
        tokens=sum(len(ids) for ids in corpus.ids(held)),
        associations=size,
        requests_equal=float(np.mean(equal)),
        **found,
        **_left_in(memory, forget, asked),
        seconds=round(time.perf_counter() - began, 3),
    )


def _digests(never: Memory, forget: Texts) -> list[str]:
    """The digest that is due after each request; `never` holds in the end what is to be forgotten, too."""
    found = []
    for text in reversed(forget):
        found.append(never.digest())
        never.memorize(text, text)
    return found[::-1]


def _inference(memory: Memory, inside: list[np.ndarray], outside: list[np.ndarray], *, when: str) -> dict[str, float]:
    return {
        f"ledger_{when}": auc(ledger_scores(memory, inside), ledger_scores(memory, outside)),
        f"cells_{when}": auc(cells_scores(memory, inside), cells_scores(memory, outside)),
    }


def _refused(memory: Memory, held: Texts, never_held: Texts) -> float:
    """Share of wrong requests that are refused and change nothing."""
    digest, refused = memory.digest(), []
    wrong = [(text, text) for text in never_held[: len(held)]] + [(text, near_duplicate(text)) for text in held]
    for name, text in wrong:
        try:
            memory.forget(name, text)
        except NotMemorizedError:
            refused.append(memory.digest() == digest)
        else:
            refused.append(False)
    return float(np.mean(refused))


def _left_in(memory: Memory, forget: Texts, asked: list[list[np.ndarray]]) -> dict[str, float]:
    """The controls: what is recalled of forgotten documents where others stay that say the same, or nearly so.

    The memory holds none of `forget` before, and holds near duplicates in the end.
    """
    memory.memorize_several((text, text) for text in forget)
    memory.memorize_several((f"copy of {text}", text) for text in forget)
    for text in forget:
        memory.forget(text, text)
    found = {"copied": verbatim(memory, asked[0])}
    memory.memorize_several((f"near {text}", near_duplicate(text)) for text in forget)
    for text in forget:
        memory.forget(f"copy of {text}", text)
    found["near"] = verbatim(memory, asked[0])
    found["cells_near"] = auc(cells_scores(memory, asked[0]), cells_scores(memory, asked[2]))
    return found
