"""contaminated: verdicts on a test set, its report, what is refused; jobs that stop go on."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cluster import contamination_job
from cluster.contamination_job import judge_file, rows_in
from console.app import main
from memo_dist import Memory, TextConfig, Tokenizer
from memo_dist.errors import ConfigError, InputError
from memo_dist.recalling.contamination import Thresholds
from memo_dist.recalling.items import Item, read_items

HELD = " ".join(f"word{n * n}" for n in range(300))
WORDS = HELD.split()
NEARLY = [*WORDS[100:115], "<script>alert(1)</script>", *WORDS[116:140]]
ITEMS = {
    "same": " ".join(WORDS[20:60]),
    "nearly": " ".join([*NEARLY[:15], "<script>", *NEARLY[16:]]),
    "other": " ".join(f"strange{n}" for n in range(40)),
    "short": "two words",
}
VERDICTS = {"same": "verbatim", "nearly": "near-verbatim", "other": "clean", "short": "too short"}


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("contaminated") / "m.memo"
    made = Memory(TextConfig(num_banks=40, vocab_size=256), Tokenizer.bytes())
    made.memorize("held.txt", list(HELD.encode()))
    made.save(path)
    return path


@pytest.fixture
def items(tmp_path: Path) -> Path:
    path = tmp_path / "items.jsonl"
    path.write_text("".join(json.dumps({"id": name, "text": text}) + "\n" for name, text in ITEMS.items()))
    return path


def test_each_item_has_its_verdict_and_documents(
    memory: Path, items: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "r.html"
    assert main(["contaminated", str(memory), "--items", str(items), "--html", str(page), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["verdicts"] == {"verbatim": 1, "near-verbatim": 1, "clean": 1, "too short": 1}
    same, nearly = told["worst"]
    assert (same["id"], same["text"], same["share"]) == ("same", ITEMS["same"], 1.0)
    assert nearly["differences"] == [{"typed": "<script>", "held": WORDS[115]}]
    assert same["documents"] == nearly["documents"] == ["held.txt"]
    assert "out of reach" in told["out_of_reach"]
    text = page.read_text()
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_the_table_shows_the_items_held_most(memory: Path, items: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["contaminated", str(memory), "--items", str(items), "--worst", "1"]) == 0
    said = capsys.readouterr().out
    assert "same" in said
    assert "nearly" not in said
    assert "out of reach" in said


def test_items_of_all_formats_are_the_same(items: Path, tmp_path: Path) -> None:
    (tmp_path / "i.jsonl.gz").write_bytes(gzip.compress(items.read_bytes()))
    pq.write_table(pa.table({"id": list(ITEMS), "text": list(ITEMS.values())}), tmp_path / "i.parquet")
    expected = [Item(name, text) for name, text in ITEMS.items()]
    for path in (items, tmp_path / "i.jsonl.gz", tmp_path / "i.parquet"):
        assert list(read_items(path)) == expected


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('{"question": "x"}', r"line 2 has no field 'text', but \['question'\]; name one with --field"),
        ('{"text": 3}', "line 2: 'text' is a number; expected a text"),
        ('"bare"', "line 2 is text"),
        ("{", "line 2 is not JSON"),
    ],
)
def test_a_bad_item_is_named_with_file_and_line(tmp_path: Path, row: str, said: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"text": "x"}\n' + row + "\n")
    with pytest.raises(InputError, match=f"bad.jsonl {said}"):
        list(read_items(path))


def test_thresholds_out_of_range_are_refused() -> None:
    for wrong in ({"verbatim": 0.0}, {"near": 1.5}, {"least": 2}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            Thresholds(**wrong)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.usefixtures("ray_local")
def test_a_job_that_stopped_goes_on(memory: Path, items: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contamination_job, "CHUNK", 1)
    options = {"field": "text", "thresholds": Thresholds(), "actors": 1}
    out = tmp_path / "out.parquet"

    def stop(done: int) -> None:
        if done >= 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        judge_file(memory, items, out, on_progress=stop, **options)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"contamination job .* near differs"):
        judge_file(memory, items, out, **{**options, "thresholds": Thresholds(near=0.4)})  # type: ignore[arg-type]
    assert judge_file(memory, items, out, **options) == (4, 2)  # type: ignore[arg-type]
    assert {row["id"]: row["verdict"] for row in rows_in(out)} == VERDICTS
    assert not list(tmp_path.glob(".out*"))
