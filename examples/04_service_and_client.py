"""A memory behind HTTP, asked by OpenAI's own client.

    python examples/04_service_and_client.py [M.memo] [--prompt TEXT]

For whoever wants to ask a memory from another program or language. It starts `memo-dist serve` on a free port, asks
what models there are, completes a prompt, and stops the service. Without a memory it makes one of a module of the
standard library. Takes about twenty seconds, most of it starting Ray; needs the extra `serve` and `pip install openai`.
"""

import argparse
import inspect
import json
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openai

from memo_dist import Memory, TextConfig, Tokenizer

PROMPT = "object for WRAPPING/filling text. the\npublic interface"  # in any case, broken into any lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("memory", nargs="?", type=Path, help="a memory of text")
    parser.add_argument("--prompt", default=PROMPT)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        path = arguments.memory or memorized(Path(scratch) / "textwrap.memo", inspect.getsource(textwrap))
        with service(path) as url:
            client = openai.OpenAI(base_url=f"{url}/v1", api_key="none")
            (model,) = client.models.list().data
            print(f"{url} serves {model.id!r}")
            answer = client.completions.create(model=model.id, prompt=arguments.prompt, max_tokens=60)
            print(f"{arguments.prompt}{answer.choices[0].text}\n-- {answer.choices[0].finish_reason}")
            nothing = client.completions.create(model=model.id, prompt="It was the best of times, it was the worst")
            print(f"of what it does not hold it says {nothing.choices[0].text!r}")
    print("the service has ended")


def memorized(path: Path, text: str) -> Path:
    """A memory of one text, a token for each byte."""
    tokenizer = Tokenizer.bytes()
    memory = Memory(TextConfig(num_banks=60, vocab_size=tokenizer.vocab_size), tokenizer)
    memory.memorize("text", tokenizer.encode([text])[0])
    memory.save(path)
    return path


@contextmanager
def service(memory: Path) -> Iterator[str]:
    """`memo-dist serve` on a free port of this machine, until the block ends; gives its address."""
    command = [sys.executable, "-m", "console", "serve", str(memory), "--port", "0", "--replicas", "1", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = process.stdout.readline()  # one JSON object, as soon as the service answers
        if not said:
            raise SystemExit(f"memo-dist serve ended with exit code {process.wait()}; it said why above")
        yield json.loads(said)["url"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


if __name__ == "__main__":
    main()
