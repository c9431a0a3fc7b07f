"""The Python interface in one page: memorize, recall, forget, save, open.

    python examples/01_python_api.py

For whoever wants a memory inside a program of their own. It memorizes two modules of the standard library, continues a
text, the same text as a person may type it, and token ids, forgets one module exactly, and opens the saved memory
again. Takes a few seconds, of which most is compiling on the first run; needs neither Ray nor a download.
"""

import inspect
import string
import tempfile
import textwrap
from pathlib import Path

from memo_dist import Memory, TextConfig, Tokenizer, open_memory
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.session import Session

PROMPT = "Object for wrapping/filling text.  The public interface"  # as it stands in the module textwrap
TYPED = "object for WRAPPING/filling text. the\npublic interface"  # neither case nor line breaks matter


def main() -> None:
    tokenizer = Tokenizer.bytes()  # a token a byte; Tokenizer.from_file("tokenizer.json") takes any other
    documents = {"textwrap": inspect.getsource(textwrap), "string": inspect.getsource(string)}
    tokens = {name: tokenizer.encode([text])[0] for name, text in documents.items()}

    memory = Memory(TextConfig(num_banks=60, vocab_size=tokenizer.vocab_size), tokenizer)
    memory.memorize("textwrap", tokens["textwrap"])
    before = memory.digest()
    memory.memorize("string", tokens["string"])
    print(f"memorized {sum(map(len, tokens.values())):,} tokens as {memory.num_associations:,} associations")

    by_text = memory.recall(PROMPT, max_tokens=60)  # one text gives one answer, a list gives a list
    print(f"{PROMPT}{by_text.text}\n-- {by_text.stop}, lowest confidence {min(by_text.confidences):.4f}")

    print(f"-- in {', '.join(by_text.documents)}")  # which documents hold the prompt with its continuation
    as_typed = memory.recall(TYPED, max_tokens=60)
    print(f"typed in another case and broken into other lines, it goes on alike: {as_typed.text == by_text.text}")

    (by_ids,) = memory.recall([tokens["textwrap"][:64]], max_tokens=32)
    print(f"by token ids: {by_ids.tokens == tokens['textwrap'][64:96].tolist()}")

    unknown = memory.recall("It was the best of times, it was the worst of times")
    print(f"of what it does not hold it says {unknown.text!r} ({unknown.stop})")

    memory.forget("string", tokens["string"])
    print(f"after forgetting, equal to the bit to the memory before: {memory.digest() == before}")

    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "modules.memo"
        memory.save(path)
        with open_memory(path) as stored:  # reads from the files; Memory.open loads all of it, to go on memorizing
            (again,) = Session(stored, stored.tokenizer).recall([PROMPT], RecallOptions(max_tokens=60))
        print(f"the saved memory answers the same: {again.text == by_text.text}")
        print(f"and loads with the same digest: {Memory.open(path).digest() == before}")


if __name__ == "__main__":
    main()
