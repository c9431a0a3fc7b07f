"""Makes the inputs of the golden recordings: token ids, prompts and texts to trace, from a fixed seed.

Covers: token_ids.parquet, more_token_ids.parquet, prompts*.jsonl, traced*.txt. Does not cover: corpus/text and
corpus/unseen.txt, which are copies of this repository's documents and of pipelines/sources.py as they once were, nor
tokenizer.json, which was trained on corpus/text by `build --tokenizer auto`. What it made is kept beside it, because
another version of numpy or pyarrow may make other bytes; running it again is never needed.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer

HERE = Path(__file__).parent
PAPER = (1, 3)  # documents in the memory with the preset paper, which holds few
SHORTEST_WINDOW = 4  # tokens; recall refuses shorter prompts


def main() -> None:
    """Write every input."""
    rng = np.random.default_rng(20)
    shared = rng.integers(0, 500, 90).tolist()
    rows = [row + shared * (i % 3 == 0) for i, row in enumerate(_random_rows(rng, 60))]
    for name, first, stop in (("token_ids", 0, 40), ("more_token_ids", 40, 60)):
        table = pa.table({"id": [f"doc-{i}" for i in range(first, stop)], "tokens": rows[first:stop]})
        pq.write_table(table, HERE / "corpus" / f"{name}.parquet")
    long = [row for row in rows[:40] if len(row) > 30]
    cuts = [(row, int(rng.integers(0, len(row) - 20)), int(rng.integers(4, 80))) for row in long[:30]]
    asked = [row[start : start + length] for row, start, length in cuts] + list(_random_rows(rng, 10))
    _write("prompts_tokens.jsonl", [{"id": f"t{i}", "tokens": row} for i, row in enumerate(asked)])

    texts = [path.read_text(encoding="utf-8") for path in sorted((HERE / "corpus" / "text").rglob("*.md"))]
    unseen = (HERE / "corpus" / "unseen.txt").read_text(encoding="utf-8")
    tokenizer = Tokenizer.from_file(str(HERE / "tokenizer.json"))
    prompts: list[str] = []
    while len(prompts) < 200:
        prompt = _prompt(rng, len(prompts), texts, unseen)
        if len(tokenizer.encode(prompt).ids) >= SHORTEST_WINDOW:
            prompts.append(prompt)
    _write("prompts.jsonl", [{"id": f"p{i}", "text": prompt} for i, prompt in enumerate(prompts)])
    small = "".join(texts[i] for i in PAPER)
    begins = [int(rng.integers(0, len(small) - 300)) for _ in range(30)]
    passages = [{"id": f"q{i}", "text": small[at : at + 150 + 5 * i]} for i, at in enumerate(begins)]
    _write("prompts_paper.jsonl", [*passages, {"id": "unseen", "text": unseen[700:900]}])
    starts = [text[: int(rng.integers(1, 200))] for text in texts for _ in range(2)]
    _write("prompts_start.jsonl", [{"id": f"s{i}", "text": prompt} for i, prompt in enumerate(starts)])
    pieces = [texts[2][1000:2500], unseen[500:1200], texts[9][300:1100], unseen[3000:3400]]
    (HERE / "traced.txt").write_text("".join(pieces), encoding="utf-8")
    (HERE / "traced_changed.txt").write_text(texts[0][:1500].replace(" the ", " every "), encoding="utf-8")


def _random_rows(rng: np.random.Generator, count: int) -> list[list[int]]:
    return [rng.integers(0, 500, int(rng.integers(5, 200))).tolist() for _ in range(count)]


def _prompt(rng: np.random.Generator, index: int, texts: list[str], unseen: str) -> str:
    """Of every ten prompts five are cut between words, three within them, one is unseen text, one noise or changed."""
    kind, length = index % 10, int(rng.integers(16, 401))
    text = unseen if kind == 8 else texts[int(rng.integers(len(texts)))]
    start = int(rng.integers(0, len(text) - length - 20))
    if kind < 5:
        start = text.index(" ", start) if " " in text[start : start + 40] else start
        stop = text.find(" ", start + length)
        return text[start : stop if 0 < stop - start - length < 40 else start + length][:400]
    if kind == 9 and index % 20 == 9:
        return "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz äé€ \n"), length))
    if kind == 9:
        return text[start : start + length // 2] + text[start + length : start + 2 * length]
    return text[start : start + length]


def _write(name: str, rows: list[dict[str, Any]]) -> None:
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    (HERE / name).write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
