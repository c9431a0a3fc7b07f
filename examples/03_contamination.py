"""Which questions of a test set stand in a training corpus?

    python examples/03_contamination.py [M.memo QUESTIONS.txt] [--least 16]

For whoever trains or evaluates a model. `M.memo` is a memory of the training corpus (`memo-dist build`, and `publish`
to make it small); QUESTIONS.txt has one question in each line. For each question the program prints the share of it
that lies in passages of at least `--least` units that the corpus holds, and the longest of these passages with the
documents that it stands in, where the memory can name them. A unit is a word or another character; case, white space
and line breaks do not matter.

Without arguments it memorizes two modules of the standard library, byte by byte, and asks four questions of its own:
one is copied from a module in other letters, one begins with a copy, two are new. That takes a few seconds.
"""

import argparse
import inspect
import string
import tempfile
import textwrap
from pathlib import Path

from memo_dist import Memory, TextConfig, Tokenizer, open_memory
from memo_dist.recalling.lookup import Lookup
from memo_dist.recalling.trace import trace_text

QUESTIONS = [
    "REMOVE ANY common leading whitespace from every line in `text`.",
    "Collapse and truncate the given text to fit in the given width. The text first has its whitespace collapsed: who?",
    "How many legs does a spider have, and how many has a crab?",
    "Name the largest planet that goes round our sun.",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("memory", nargs="?", type=Path, help="a memory of the corpus")
    parser.add_argument("questions", nargs="?", type=Path, help="a question in each line")
    parser.add_argument("--least", type=int, help="the shortest passage that counts, in units; else 16")
    arguments = parser.parse_args()
    if (arguments.memory is None) != (arguments.questions is None):
        parser.error("give both M.memo and QUESTIONS.txt, or neither")
    if arguments.memory is not None:
        asked = arguments.questions.read_text(encoding="utf-8").splitlines()
        report(arguments.memory, [line for line in asked if line.strip()], least=arguments.least or 16)
        return
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "modules.memo"
        memorize(path, {"textwrap.py": inspect.getsource(textwrap), "string.py": inspect.getsource(string)})
        report(path, QUESTIONS, least=arguments.least or 8)


def memorize(path: Path, texts: dict[str, str]) -> None:
    """A memory of texts, a token for each byte."""
    tokenizer = Tokenizer.bytes()
    memory = Memory(TextConfig(num_banks=60, vocab_size=tokenizer.vocab_size), tokenizer)
    for name, text in texts.items():
        memory.memorize(name, tokenizer.encode([text])[0])
    memory.save(path)


def report(path: Path, questions: list[str], *, least: int) -> None:
    """Print how much of each question a memory holds."""
    with open_memory(path) as memory:
        tokenizer = memory.tokenizer
        if tokenizer is None:
            raise SystemExit(f"{path} is a memory of bare token ids; give a memory of text")
        lookup, held = Lookup(memory), 0
        for question in questions:
            found = trace_text(lookup, tokenizer, question, least=least).to_dict()
            longest = max(found["spans"], key=lambda span: span["stop"] - span["start"], default=None)
            held += longest is not None
            print(f"{found['held']:6.1%}  {question}")
            if longest is not None:
                print(f"        held: {longest['text']!r}")
                if longest["documents"]:
                    print(f"        in {', '.join(longest['documents'])}")
    print(f"{held} of {len(questions)} questions hold a passage of {least} units or more of the corpus")


if __name__ == "__main__":
    main()
