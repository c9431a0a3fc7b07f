"""Telling: an answer in a line, and in HTML for notebooks.

Covers: what a person wants of it at first sight. Does not cover: the terminal (console/recall.py), the answer itself
(recall.py).
"""

import html
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from memo_dist.result import shortened

if TYPE_CHECKING:
    from memo_dist.recalling.recall import Continuation

_NOT_TOLD = (
    "prompt",
    "text",
    "matched_text",
    "healed",
    "tokens",
    "scores",
    "confidences",
    "windows",
    "stop",
    "stop_confidence",
    "alternatives",
)


def told(found: "Continuation") -> str:
    """The continuation, where it stops, how sure it is, and where it stands."""
    said = found.tokens if found.text is None else found.text
    facts = ", ".join(f"{name}={value!r}" for name, value in _facts(found).items())
    return f"Continuation({shortened(said)}, {facts})"


def told_in_html(found: "Continuation") -> str:
    """The prompt, paler, with its continuation, and below it the same facts; all of it is text."""
    prompt, said = found.prompt, found.tokens if found.text is None else found.text
    if not isinstance(prompt, str) or not isinstance(said, str):
        prompt, said = (" ".join(map(str, ids)) for ids in (prompt, said))
        said = f" {said}"
    facts = ", ".join(f"{name} {value}" for name, value in _facts(found).items())
    return (
        f"<p style='white-space:pre-wrap;margin:0.5em 0 0 0'><span style='opacity:0.6'>{html.escape(prompt)}</span>"
        f"<b>{html.escape(said)}</b></p><p style='font-size:smaller;margin:0'>{html.escape(facts)}</p>"
    )


def _facts(found: "Continuation") -> dict[str, Any]:
    """Where it stops, the least of its confidences, and whatever else it says."""
    least = min(found.confidences, default=found.stop_confidence)
    more = {one.name: getattr(found, one.name) for one in fields(found) if one.name not in _NOT_TOLD}
    if found.num_documents <= len(found.documents):
        del more["num_documents"]
    for name in ("snapped", "reason"):
        more[name] = more[name] and more[name].text
    return {"stop": found.stop, "confidence": round(least, 6)} | {
        name: value for name, value in more.items() if value not in (None, "", [])
    }
