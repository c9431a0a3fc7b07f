"""Memorize this Python's own standard library, then recall a passage of it beside the original.

    python examples/02_build_and_recall.py [DIRECTORY] [--out M.memo]

For whoever wants to see a corpus memorized and recalled before reading on; `make demo` runs it. It prints the plan, the
progress, what was memorized, and 100 recalled tokens beside the original; then it asks again as a person may type it,
in lower case and on one line. Takes about a minute on two cores. Needs no download: every machine with Python has this
text. Another DIRECTORY has to hold an argparse.py, whose passage is asked.
"""

import argparse
import shutil
import sysconfig
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from console.app import main as memo_dist
from memo_dist.files.opened import open_memory
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.session import Session

PASSAGE = Path("argparse.py"), "class ArgumentParser("  # where the recalled passage begins
EXCLUDE = "*/site-packages/*"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", nargs="?", type=Path, default=Path(sysconfig.get_path("stdlib")))
    parser.add_argument("--out", type=Path, help="keep the memory here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        memory = arguments.out or Path(scratch) / "standard-library.memo"
        print(f"Memorizing {arguments.directory} ...")
        flags = ["--include", "*.py", "--exclude", EXCLUDE, "--errors", "skip"]
        code = memo_dist(["build", str(arguments.directory), "--out", str(memory), *flags])
        if code == 0:
            show_recall(memory, arguments.directory)
        if not arguments.out:
            shutil.rmtree(memory, ignore_errors=True)
    return code


def show_recall(memory: Path, directory: Path) -> None:
    """Ask the memory to go on where a 64-token prompt from the corpus ends, and print the answer beside the truth."""
    name, begin = PASSAGE
    text = (directory / name).read_text(encoding="utf-8")
    passage = text[text.index(begin) :]
    with open_memory(memory) as stored:
        tokenizer = stored.tokenizer
        assert tokenizer is not None
        tokens, places = tokenizer.encode_with_places(passage)
        prompt, truth, ends = tokens[:64], tokens[64:164].tolist(), places[63][1]
        typed = " ".join(passage[:ends].lower().split())
        session, options = Session(stored, tokenizer), RecallOptions(max_tokens=100)
        (answer,), (as_typed,) = (session.recall([one], options) for one in (prompt, typed))
        table = Table(title=f"\n100 tokens recalled after 64 tokens of {name}, {begin}...", title_justify="left")
        table.add_column("recalled from the memory")
        table.add_column("the original file")
        table.add_row(*(tokenizer.continuation(prompt.tolist(), ids) for ids in (answer.tokens, truth)))
        Console().print(table)
        same = sum(a == b for a, b in zip(answer.tokens, truth, strict=False))
        print(
            f"{same} of {len(truth)} tokens equal; stop: {answer.stop}; lowest confidence {min(answer.confidences):.6f}"
        )
        text = as_typed.text or ""
        equal = text != "" and passage[ends:].startswith(text)
        print(f"The same prompt in lower case, on one line: {typed[-60:]!r}")
        print(f"It goes on with {len(text)} characters of the original: {equal}")


if __name__ == "__main__":
    raise SystemExit(main())
