"""RoundTrip: what a tokenizer does not give back is told by kind before anything is built; what it gives back is not.

Covers: pipelines/round_trip.py, and the plan's and the build's words for it. Truth: `decode(encode(text)) == text`.
"""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer as Model
from tokenizers import normalizers
from tokenizers_of_all_makes import MAKES, SAMPLE, byte_level, make, mixed_text

from console.app import main
from memo_dist import Tokenizer
from memo_dist.errors import TokenizerError
from pipelines.plan import CorpusOptions, plan_corpus
from pipelines.round_trip import SampleText, losses
from pipelines.tokenizing import choose_tokenizer

TEXTS = [SampleText(text, begins=True) for text in (SAMPLE, mixed_text(1, 3000), "  two spaces first", "Ⅷ ﬁne ½")]


def normalized(*parts: object) -> Tokenizer:
    model: Model = byte_level()
    model.normalizer = normalizers.Sequence(list(parts))
    return Tokenizer(model.to_str())


@pytest.mark.parametrize("name", MAKES)
def test_losses_are_told_where_text_does_not_come_back_and_only_there(name: str) -> None:
    tokenizer = make(name)
    back = [tokenizer.decode(tokenizer.encode([one.text])[0].tolist()) for one in TEXTS]
    lossless = back == [one.text for one in TEXTS]
    assert bool(losses(tokenizer, TEXTS)) != lossless
    assert lossless == (name.startswith("byte") and name != "byte-level BPE, a space before")


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ([normalizers.Lowercase()], "capital letters of a sample do not come back, such as"),
        ([normalizers.NFKC()], "characters of a sample do not come back, such as '½', 'Ⅷ', 'ﬁ'"),
        ([normalizers.Strip()], r"white spaces of a sample do not come back, such as '\t'"),
        ([normalizers.NFD(), normalizers.StripAccents()], "characters of a sample do not come back, such as 'ö'"),
        ([normalizers.Replace("\n", " ")], r"white spaces of a sample do not come back, such as '\n'"),
    ],
)
def test_a_normalizer_is_named_with_what_it_takes_away(parts: list[object], told: str) -> None:
    found = losses(normalized(*parts), TEXTS)
    assert any(told in sentence for sentence in found), found
    assert all(type(part).__name__ in found[-1] for part in parts)


def test_what_is_not_known_is_counted_as_such() -> None:
    (first, *_) = losses(make("WordPiece"), [SampleText("the quick \N{GRINNING FACE} fox", begins=True)])
    assert first == "1 tokens of a sample are '[UNK]': text that the tokenizer does not know"


def test_a_piece_inside_a_document_loses_nothing_where_it_was_cut() -> None:
    tokenizer = make("byte-level BPE, a space before")
    assert losses(tokenizer, [SampleText("    indented", begins=False), SampleText("word", begins=False)]) == ()
    assert losses(tokenizer, [SampleText("word", begins=True)])


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_text(SAMPLE + "Capital Letters\n" * 30)
    (tmp_path / "lower.json").write_text(normalized(normalizers.Lowercase()).definition)
    return tmp_path


def test_the_chosen_tokenizer_is_told_by_plan_in_words_and_json(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["plan", "--sample", str(corpus / "a.txt"), "--tokenizer", str(corpus / "lower.json")]
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["tokenizer_losses"]
    assert any("capital letters" in sentence for sentence in told)
    assert main(words) == 0
    assert "capital letters" in " ".join(capsys.readouterr().out.split())
    assert main([*words[:3], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tokenizer_losses"] == []


def test_plan_refuses_a_tokenizer_without_text(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--tokens", "1e6", "--tokenizer", str(corpus / "lower.json")]) == 2
    assert "--sample" in capsys.readouterr().err


def test_a_tokenizer_with_dropout_is_refused_by_name(corpus: Path) -> None:
    definition = json.loads(byte_level().to_str())
    for dropout in (None, 0.0):
        definition["model"]["dropout"] = dropout
        Tokenizer(json.dumps(definition))
    definition["model"]["dropout"] = 0.1
    (corpus / "drop.json").write_text(json.dumps(definition))
    with pytest.raises(TokenizerError, match=r"drop\.json has a dropout of 0\.1.*null"):
        choose_tokenizer(plan_corpus([str(corpus / "a.txt")], CorpusOptions()), str(corpus / "drop.json"))
