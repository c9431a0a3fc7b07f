"""memo-dist bench: how fast this machine tokenizes, memorizes and recalls; about a minute."""

import os
import platform
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.flags import AsJson, ConfigFile
from console.output import ProgressLine, print_json, print_table
from memo_dist.planning.rates import Rates
from memo_dist.sizes import show_bytes

if TYPE_CHECKING:
    from pipelines.plan import CorpusPlan

_TOKENS = 2_000_000
_BYTES_PER_TOKEN = 3  # of source code, by a vocabulary of 32,000
_PARAMETERS_PER_TOKEN = 45


def bench_command(
    *,
    tokens: Annotated[int, typer.Option(min=1000, help="About how many tokens of text to measure with.")] = _TOKENS,
    device: Annotated[str, typer.Option(help="Where banks are: cpu, gpu or auto.")] = "cpu",
    build: Annotated[bool, typer.Option(help="Also time a build of a tiny text, which starts Ray.")] = True,
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Measure this machine, in about a minute, on the sources of Python's standard library; `plan --rates` reads it."""
    with tempfile.TemporaryDirectory(prefix="memo-bench-") as folder, ProgressLine("measuring", "stages") as line:
        rates, more = measure(tokens, device, with_build=build, work=Path(folder), line=line)
    if as_json:
        print_json({**rates.to_dict(), **more})
        return
    print_table("This machine", _rows(rates))


def measure(
    wanted: int, device: str, *, with_build: bool, work: Path, line: ProgressLine
) -> tuple[Rates, dict[str, Any]]:
    """All rates, and the machine, the Python and the seconds with which they were measured.

    Args:
        wanted: number of tokens of text, about.
        with_build: also time a whole build of a tiny text.
        work: an empty directory.
    """
    from memo_dist.device.backend import array_module
    from memo_dist.measuring.bench import gemm_gflops, measure_core, measure_memory
    from memo_dist.measuring.together import run_together
    from memo_dist.models import encoder_for
    from memo_dist.models.text.config import TextConfig
    from memo_dist.planning.repetition import SAMPLE_TOKENS, measure_repetition
    from pipelines.batching import stream_batches
    from pipelines.tokenizing import choose_tokenizer

    device = "cpu" if array_module(device).__name__ == "numpy" else "gpu"
    cores = len(os.sched_getaffinity(0)) if device == "cpu" else 1
    began = time.perf_counter()
    corpus = standard_library(wanted * _BYTES_PER_TOKEN)
    line.update(0, 0)
    gemm = gemm_gflops(device)
    line.update(0.1, 1)
    started_training = time.perf_counter()
    choice = choose_tokenizer(corpus)
    small = TextConfig(num_banks=1, vocab_size=choice.vocab_size)
    measure_repetition(list(choice.sample), encoder_for(small, choice.tokenizer), SAMPLE_TOKENS)
    training = time.perf_counter() - started_training
    line.update(0.2, 2)
    assert choice.tokenizer is not None
    config = TextConfig(
        num_banks=max(cores, choice.tokens * _PARAMETERS_PER_TOKEN // 256**2), vocab_size=choice.vocab_size
    )
    readers = len(os.sched_getaffinity(0))
    shares = [(corpus.splits[i::readers], corpus.options, choice.tokenizer.definition) for i in range(readers)]
    _, tokenized = run_together(tokenize_stages, shares)
    count = sum(tokenized.results)
    line.update(0.35, 3)
    batches = list(stream_batches(corpus, choice.tokenizer, config.context_length))
    tokenizer = choice.tokenizer
    figures = measure_memory(config, batches, tokenizer=tokenizer, cores=cores, device=device, work=work)
    line.update(0.6, 4)
    figures |= measure_core(config, batches[: max(1, len(batches) // 4)], tokenizer=tokenizer, device=device)
    line.update(0.8, 5)
    overhead = build_seconds(work) if with_build else None
    line.update(1, 6)
    flops = 2 * config.inner_dim**2 * figures["associations_per_token"] * figures["memorize_tokens_per_s"]
    rates = Rates(
        cores=cores,
        readers=readers,
        device=device,
        tokens=count,
        documents=choice.documents,
        vocab_size=choice.vocab_size,
        banks=config.num_banks,
        gemm_gflops=gemm,
        tokenizer_bytes_per_s=choice.trained_bytes / training,
        tokenize_tokens_per_s=count / tokenized.seconds,
        memorize_share_of_gemm=flops / gemm / 1e9,
        build_overhead_s=overhead,
        **figures,
    )
    more = {"machine": platform.machine(), "python": platform.python_version(), "seconds": time.perf_counter() - began}
    return rates, more


def standard_library(size: int) -> "CorpusPlan":
    """About `size` bytes of the standard library's own sources, from all over it."""
    from pipelines.formats import span_bytes
    from pipelines.plan import CorpusOptions, plan_corpus
    from pipelines.split_list import SplitList

    options = CorpusOptions(include="*.py", exclude="*site-packages*", errors="skip")
    whole = plan_corpus([sysconfig.get_path("stdlib")], options)
    step = max(1, whole.text_bytes // size)
    splits = SplitList.of(whole.splits[::step])
    return replace(whole, splits=splits, text_bytes=sum(span_bytes(span) for split in splits for span in split.spans))


def tokenize_stages(task: Any) -> Iterator[Any]:
    """Stages of one process: getting ready; reading, tokenizing and packing its splits."""
    from memo_dist.measuring.bench import token_count
    from memo_dist.tokenizer import Tokenizer
    from pipelines.batching import split_batch

    splits, options, definition = task
    tokenizer = Tokenizer(definition)
    yield None
    yield sum(token_count(split_batch(split, options, tokenizer=tokenizer, context_length=64)) for split in splits)


def build_seconds(work: Path) -> float:
    """Seconds of a whole build of a tiny text."""
    import sys

    from cluster.build import build
    from cluster.prepare import BuildOptions
    from cluster.resources import LOCAL, Resources

    text = work / "text.txt"
    text.write_text("a text of next to nothing\n" * 1000)
    resources = Resources(address=LOCAL)
    began = time.perf_counter()
    with redirect_stdout(sys.stderr):
        build([str(text)], work / "small.memo", BuildOptions(tokenizer="bytes", num_banks=16, resources=resources))
    return time.perf_counter() - began


def _rows(rates: Rates) -> dict[str, str]:
    overhead = "not measured" if rates.build_overhead_s is None else f"{rates.build_overhead_s:.1f} s"
    return {
        "on": f"{rates.cores} cores, banks on the {rates.device}; {rates.tokens:,} tokens, {rates.banks:,} banks",
        "matrix product": f"{rates.gemm_gflops:,.0f} GFLOP/s, float32",
        "learning from a sample": f"{show_bytes(rates.tokenizer_bytes_per_s)} of text a second",
        "tokenizing": f"{rates.tokenize_tokens_per_s:,.0f} tokens/s",
        "memorizing": f"{rates.memorize_tokens_per_s:,.0f} tokens/s, {rates.associations_per_token:.2f} distinct "
        f"associations a token; {rates.memorize_share_of_gemm:.2f} of the matrix product's rate",
        "hashing only": f"{rates.scan_tokens_per_s:,.0f} tokens/s a core, the most that any one shard takes in",
        "updates": f"{rates.update_associations_per_s:,.0f} associations/s a core",
        "ledger": f"{rates.ledger_lookups_per_s:,.0f} look-ups/s a core, "
        f"{rates.ledger_bytes_per_association:.0f} bytes an association",
        "recall": f"{rates.recall_queries_per_s:,.0f} next tokens/s, {rates.recall:.3f} right",
        "memory files": f"{show_bytes(rates.disk_write_bytes_per_s)}/s written, "
        f"{show_bytes(rates.disk_read_bytes_per_s)}/s read",
        "a build's overhead": overhead,
    }
