"""Continuation: verbatim, to the end of a document, across ambiguous passages, and abstaining."""

import numpy as np
import pytest

from memo_dist import Memory, TextConfig
from memo_dist.errors import PromptError

VOCAB = 1000


def memory_of(*documents: list[int], banks: int = 8) -> Memory:
    memory = Memory(TextConfig(num_banks=banks, vocab_size=VOCAB))
    for index, tokens in enumerate(documents):
        memory.memorize(str(index), tokens)
    return memory


def random_tokens(count: int, seed: int) -> list[int]:
    return np.random.default_rng(seed).integers(0, VOCAB, count).tolist()


def test_continues_verbatim_from_any_place() -> None:
    text = random_tokens(4000, 0)
    memory = memory_of(text)
    places = range(64, 3900, 97)
    answers = memory.recall([text[p - 64 : p] for p in places])
    assert [a.tokens for a in answers] == [text[p : p + 50] for p in places]
    assert all(a.stop == "length" and min(a.confidences) >= 0.99 for a in answers)


def test_the_whole_document_follows_from_nothing_but_its_beginning() -> None:
    text = random_tokens(300, 1)
    (answer,) = memory_of(text).recall([[]], max_tokens=400, from_start=True)
    assert answer.tokens == text
    assert answer.stop == "end_of_document"
    assert answer.windows[0] == 4
    assert answer.windows[-1] == 64


def test_continuation_ends_with_the_document() -> None:
    text = random_tokens(200, 2)
    (answer,) = memory_of(text).recall([text[-90:-20]])
    assert (answer.tokens, answer.stop) == (text[-20:], "end_of_document")


def test_unknown_prompts_are_met_with_silence() -> None:
    memory = memory_of(random_tokens(8000, 3))
    answers = memory.recall([random_tokens(length, 100 + i) for i, length in enumerate([4, 16, 40, 64, 200] * 20)])
    assert all(a.tokens == [] and a.stop == "abstained" for a in answers)


def test_a_prompt_that_only_ends_like_the_memory_is_not_continued() -> None:
    """The last 20 tokens are memorized, the 44 before them are not: the longest window says no."""
    text = random_tokens(8000, 4)
    (answer,) = memory_of(text).recall([random_tokens(44, 5) + text[500:520]])
    assert answer.tokens == []


def test_a_passage_that_documents_share_leads_on_in_the_right_one() -> None:
    """16 shared tokens: at their end only the beam can tell, once 32 tokens are known, which document it is."""
    shared = random_tokens(16, 6)
    documents = [random_tokens(40, 20 + i) + shared + random_tokens(90, 30 + i) for i in range(4)]
    memory = memory_of(*documents)
    prompts = [d[30:56] for d in documents]  # 26 tokens, the last 16 of them shared
    answers = memory.recall(prompts, max_tokens=60)
    assert [a.tokens for a in answers] == [d[56:116] for d in documents]
    read = memory.recall(prompts, max_tokens=60, read="matrices")
    assert [a.tokens for a in read] == [d[56:116] for d in documents]
    for way in ("exact", "matrices"):
        greedy = memory.recall(prompts, max_tokens=60, beam=1, read=way)
        assert sum(a.tokens == d[56:116] for a, d in zip(greedy, documents, strict=True)) <= 1


def test_greedy_and_beam_agree_where_nothing_is_ambiguous() -> None:
    text = random_tokens(3000, 10)
    memory = memory_of(text)
    prompts = [text[p - 64 : p] for p in range(100, 2900, 300)]
    assert [a.tokens for a in memory.recall(prompts, beam=1)] == [a.tokens for a in memory.recall(prompts, beam=8)]


def test_prompts_do_not_influence_one_another() -> None:
    text = random_tokens(3000, 11)
    memory = memory_of(text)
    prompts = [text[p - 40 : p] for p in range(100, 2900, 300)]
    together = memory.recall(prompts, max_tokens=20)
    assert together == [memory.recall([p], max_tokens=20)[0] for p in prompts]


def test_bad_prompts_are_named() -> None:
    memory = memory_of(random_tokens(100, 12))
    with pytest.raises(PromptError, match="token id 1000"):
        memory.recall([[1, 2, 3, 1000]])
    with pytest.raises(PromptError, match="no tokenizer"):
        memory.recall(["text"])


def test_alternatives_of_each_step_are_its_best_tokens_in_order() -> None:
    """Two documents share 80 tokens: where they part, both continuations lead the list; elsewhere one does."""
    shared, one, two = random_tokens(80, 20), random_tokens(40, 21), random_tokens(40, 22)
    memory = memory_of(shared + one, shared + two)
    (answer,) = memory.recall([shared[-70:-5]], max_tokens=10, top_k=4, read="matrices")
    assert len(answer.alternatives) == len(answer.tokens) == 10
    for step, (others, token, score) in enumerate(zip(answer.alternatives, answer.tokens, answer.scores, strict=True)):
        scores = [other.score for other in others]
        assert len(others) == 4
        assert scores == sorted(scores, reverse=True)
        assert dict(zip([o.token for o in others], scores, strict=True))[token] == score
        likely = {other.token for other in others if other.score > 0}
        assert likely == ({one[0], two[0]} if step == 5 else {token})


def test_alternatives_of_the_ledger_are_what_follows_and_how_often() -> None:
    shared, one, two = random_tokens(80, 20), random_tokens(40, 21), random_tokens(40, 22)
    memory = memory_of(shared + one, shared + one, shared + two)
    answer = memory.recall(shared[-70:-5], max_tokens=10, top_k=4, min_confidence=0.6)
    assert answer.tokens == (shared[-5:] + one)[:10]
    assert [[other.token for other in step] for step in answer.alternatives[:5]] == [[t] for t in shared[-5:]]
    assert [other.token for other in answer.alternatives[5]] == [one[0], two[0]]
    assert [other.score for other in answer.alternatives[5]] == pytest.approx([np.log(2), -np.log(2)])
    assert answer.confidences == pytest.approx([1.0] * 5 + [2 / 3] * 5)


@pytest.mark.parametrize("read", ["exact", "matrices"])
def test_alternatives_do_not_change_the_answer(read: str) -> None:
    text = random_tokens(2000, 23)
    memory = memory_of(text)
    prompts = [text[p - 30 : p] for p in range(64, 1900, 131)]
    plain, more = (memory.recall(prompts, beam=2, top_k=top_k, read=read) for top_k in (0, 9))
    assert [a.tokens for a in plain] == [a.tokens for a in more]
    assert [a.confidences for a in plain] == [a.confidences for a in more]
    assert all(len(step) == 9 if read == "matrices" else 1 for a in more for step in a.alternatives)
    assert all(a.alternatives == [[]] * len(a.tokens) for a in plain)


def test_several_prompts_come_in_any_container_and_one_as_numbers_in_a_row() -> None:
    text = random_tokens(400, 11)
    memory = memory_of(text)
    one, other = text[100:170], text[200:270]
    expected = [memory.recall(one).tokens, memory.recall(other).tokens]
    assert expected == [text[170:220], text[270:320]]
    for several in ([one, other], (one, other), np.array([one, other]), np.array([one, other], np.uint64)):
        assert [answer.tokens for answer in memory.recall(several)] == expected
    for alone in (tuple(one), np.array(one), np.array(one, np.uint64)):
        assert memory.recall(alone).tokens == expected[0]


def test_numbers_of_numpy_are_settings() -> None:
    text = random_tokens(400, 12)
    memory = memory_of(text)
    plain = memory.recall(text[:64], max_tokens=4, min_confidence=0.5)
    assert memory.recall(text[:64], max_tokens=np.int64(4), min_confidence=np.float32(0.5)) == plain


def test_an_id_beyond_int64_is_refused_as_it_was_given() -> None:
    with pytest.raises(PromptError, match="is no list of token ids"):
        memory_of(random_tokens(100, 13)).recall(np.array([1, 2, 3, 2**63 + 5], np.uint64))
