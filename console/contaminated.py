"""memo-dist contaminated: which items of a test set a memory holds, verbatim or nearly so."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from console.flags import Address, AsJson, AskedMemory, ConfigFile
from console.output import ProgressLine, print_json, printable
from memo_dist.durable import write_text, writing
from memo_dist.errors import ConfigError, InputError
from memo_dist.files.opened import open_memory
from memo_dist.recalling.contamination import DEFAULTS, NEAR, VERBATIM, Thresholds
from memo_dist.recalling.contamination_report import (
    MOST_SHOWN,
    OUT_OF_REACH,
    ContaminationReport,
    documents_said,
    report_of,
    report_page,
)
from memo_dist.recalling.items import read_items
from memo_dist.recalling.lookup import Lookup

_CHUNK = 64  # items judged together
_TEXT = 60  # characters of a passage in the table


def contaminated_command(
    memory: AskedMemory,
    items: Annotated[Path, typer.Option(help="The test set: JSON lines or .parquet, an item in each row.")],
    field: Annotated[str, typer.Option(help="The field of an item that holds its text.")] = "text",
    verbatim: Annotated[
        float, typer.Option(help="The share of an item that one passage must have for it to count as verbatim.")
    ] = DEFAULTS.verbatim,
    near: Annotated[
        float, typer.Option(help="The share that one passage with differences must have for near-verbatim.")
    ] = DEFAULTS.near,
    least: Annotated[
        int, typer.Option(help="The shortest passage that counts, in words and other characters.")
    ] = DEFAULTS.least,
    out: Annotated[
        Path | None,
        typer.Option(help="A .parquet file for all verdicts; the same command goes on with a stopped job."),
    ] = None,
    html_out: Annotated[Path | None, typer.Option("--html", help="Also write a page of the items held most.")] = None,
    worst: Annotated[int, typer.Option(min=0, help="Items held most that are shown.")] = 10,
    shards: Annotated[int | None, typer.Option(min=1, help="With --out: Ray actors that judge.")] = None,
    address: Address = None,
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Say which items of a test set a memory holds, verbatim or but for some words, and in which documents.

    Items that say the same in other words are out of reach: they share no passages."""
    thresholds = Thresholds(verbatim=verbatim, near=near, least=least)
    if out is not None and out.suffix != ".parquet":
        raise InputError(f"--out {out}: verdicts are written as parquet; give a name that ends in .parquet")
    if out is None and (shards is not None or address is not None):
        raise InputError("--shards and --address are for jobs; name a file for the verdicts with --out")
    with open_memory(memory) as opened:
        if opened.tokenizer is None:
            raise ConfigError(f"{memory} is a memory of bare token ids; contaminated reads text")
        if not (opened.is_solved or opened.has_ledger):
            raise ConfigError(
                f"{memory} has its matrices alone, which do not tell passages with differences; ask the memory that "
                "it was made from, or publish that with its values solved for"
            )
    with ProgressLine("judging", "items") as line:
        total = sum(1 for _ in read_items(items, field))  # also finds bad rows before the work
        if not total:
            raise InputError(f"{items} has no items")
        if out is None:
            rows = _judged(memory, items, field, thresholds=thresholds, line=line, total=total)
        else:
            from cluster.contamination_job import judge_file, rows_in

            judge_file(
                Path(memory),
                items,
                out,
                field=field,
                thresholds=thresholds,
                actors=shards,
                address=address,
                on_progress=lambda n: line.update(n / total, n),
            )
            rows = rows_in(out)
        report = report_of(rows, thresholds, max(worst, MOST_SHOWN if html_out else 0))
    if html_out is not None:
        with writing(html_out):
            write_text(html_out, report_page(report, f"{items.name} in {Path(memory).name}"))
    if as_json:
        print_json(
            {
                "items": report.items,
                "verdicts": dict(report.counts),
                "meaning": report.meaning,
                "out_of_reach": OUT_OF_REACH,
                "worst": report.worst[:worst],
                "out": None if out is None else str(out),
            }
        )
    else:
        _show(report, worst)


def _judged(
    memory: str, items: Path, field: str, *, thresholds: Thresholds, line: ProgressLine, total: int
) -> Iterator[dict[str, Any]]:
    """The rows of all items, in this process."""
    from cluster.contamination_actor import rows_of

    done, asked = 0, read_items(items, field)
    with open_memory(memory) as opened:
        lookup, tokenizer = Lookup(opened), opened.tokenizer
        assert tokenizer is not None
        while chunk := list(itertools.islice(asked, _CHUNK)):
            yield from rows_of(lookup, tokenizer, chunk, thresholds=thresholds)
            done += len(chunk)
            line.update(done / total, done)


def _show(report: ContaminationReport, worst: int) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    told = Console()
    sums = Table("verdict", "items", "meaning")
    for name, meaning in report.meaning.items():
        sums.add_row(name, f"{report.counts[name]:,}", meaning)
    told.print(sums)
    shown = report.worst[:worst]
    if shown:
        columns = ("item", "verdict", "share", "differ", "documents", "passage")
        table = Table(*columns, title="held most", title_justify="left")
        for row in shown:
            share, text = (
                (row["share"], row["text"]) if row["verdict"] == VERBATIM else (row["near_share"], row["near_text"])
            )
            said = " ".join(text.split())
            said = said if len(said) <= _TEXT else f"{said[:_TEXT]}..."
            differ = str(row["differing"]) if row["verdict"] == NEAR else "-"
            cells = (row["id"], row["verdict"], f"{share:.0%}", differ, documents_said(row), said)
            table.add_row(*(Text(str(printable(cell))) for cell in cells))
        told.print(table)
    print(f"-- {OUT_OF_REACH}")
