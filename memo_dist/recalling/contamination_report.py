"""ContaminationReport: what a test set shares with a memory, summed up, and as one page of HTML.

Covers: counts of verdicts, the worst items, HTML without outside resources. Does not cover: verdicts
(contamination.py), terminals.

Whatever comes from items or from a memory is escaped text in the page, never markup.
"""

import html
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import nlargest
from typing import Any

from memo_dist.recalling.contamination import CLEAN, NEAR, SHORT, VERBATIM, VERDICTS, Thresholds

MOST_SHOWN = 200  # items of a page
OUT_OF_REACH = (
    "An item that says the same in other words shares no passages with the memory and counts as clean: rephrasing is "
    "out of reach of this report."
)
_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222;"
    "background:#fff}table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;"
    "padding:.3rem .6rem;border-bottom:1px solid #ccc;overflow-wrap:anywhere}"
    "del{background:#ffd8a8;color:#222}ins{background:#d3f9d8;color:#222}@media(prefers-color-scheme:dark){body{color:#ddd;background:#1a1a1a}}"
)


@dataclass(frozen=True)
class ContaminationReport:
    """What a test set shares with a memory.

    Attributes:
        counts: of each verdict. worst: rows of the items that are held most, as JSON has them, the most first.
        thresholds: of the verdicts.
    """

    counts: Mapping[str, int]
    worst: list[dict[str, Any]]
    thresholds: Thresholds

    @property
    def items(self) -> int:
        """All of them."""
        return sum(self.counts.values())

    @property
    def contaminated(self) -> int:
        """Those that are held, verbatim or nearly so."""
        return self.counts[VERBATIM] + self.counts[NEAR]

    @property
    def meaning(self) -> dict[str, str]:
        """What each verdict says."""
        at = self.thresholds
        return {
            VERBATIM: f"one passage held as it is has {at.verbatim:.0%} of the item or more",
            NEAR: f"one passage held but for some words has {at.near:.0%} of the item or more",
            CLEAN: "neither",
            SHORT: f"fewer than {at.least} words and other characters: too few to tell",
        }


def report_of(rows: Iterable[dict[str, Any]], thresholds: Thresholds, most: int = MOST_SHOWN) -> ContaminationReport:
    """A report on rows of verdicts, each with an id, without holding them all."""
    counts = dict.fromkeys(VERDICTS, 0)

    def counted() -> Iterable[dict[str, Any]]:
        for row in rows:
            counts[row["verdict"]] += 1
            if row["verdict"] in (VERBATIM, NEAR):
                yield row

    worst = nlargest(most, counted(), key=lambda row: (row["verdict"] == VERBATIM, row["near_share"], row["units"]))
    return ContaminationReport(counts, worst, thresholds)


def report_page(report: ContaminationReport, title: str) -> str:
    """One self-contained page."""
    esc = html.escape
    sums = "".join(
        f"<tr><th scope=row>{esc(name)}<td>{report.counts[name]:,}<td>{esc(meaning)}"
        for name, meaning in report.meaning.items()
    )
    rows = "".join(_row(row) for row in report.worst)
    shown = f"The {len(report.worst):,} items that are held most" if report.worst else "No item is held"
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{esc(title)}</title><style>{_STYLE}</style><h1>{esc(title)}</h1>"
        f"<p>{report.contaminated:,} of {report.items:,} items are held, verbatim or nearly so.</p>"
        f"<table><thead><tr><th scope=col>verdict<th scope=col>items<th scope=col>meaning<tbody>{sums}</table>"
        f"<p>{esc(OUT_OF_REACH)}</p><h2>{shown}</h2>"
        "<table><thead><tr><th scope=col>item<th scope=col>verdict<th scope=col>share<th scope=col>documents"
        "<th scope=col>passage; <del>what the item says</del> <ins>where the memory says this</ins>"
        f"<tbody>{rows}</table>\n"
    )


def _row(row: Mapping[str, Any]) -> str:
    esc = html.escape
    verbatim = row["verdict"] == VERBATIM
    share, text = (row["share"], row["text"]) if verbatim else (row["near_share"], row["near_text"])
    differences = (
        ""
        if verbatim
        else "".join(f"<br><del>{esc(one['typed'])}</del> <ins>{esc(one['held'])}</ins>" for one in row["differences"])
    )
    return (
        f"<tr><td>{esc(str(row['id']))}<td>{esc(row['verdict'])}<td>{share:.0%}<td>{esc(documents_said(row))}"
        f"<td>{esc(text)}{differences}"
    )


def documents_said(row: Mapping[str, Any]) -> str:
    """The documents of a row, in words."""
    if row["num_documents"]:
        more = row["num_documents"] - len(row["documents"])
        return ", ".join(row["documents"]) + (f" and {more} more" if more > 0 else "")
    return "several, which are not told" if row["several"] else "not told"
