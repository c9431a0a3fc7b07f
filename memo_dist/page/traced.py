"""A traced text as one file that shows itself: the page's own view, with nothing to load.

Covers: the file. Does not cover: finding the passages (recalling/trace.py), the view (passages.js).
"""

import hashlib
import html
import json
from base64 import b64encode

from memo_dist.page.files import POLICY, STYLE, read
from memo_dist.recalling.trace import TracedText

_SCRIPTS = ("parts.js", "passages.js", "file.js")


def traced_page(traced: TracedText, title: str) -> str:
    """HTML that needs no other file and no network; the text is in it as data, which its script shows as text."""
    told = {"title": title, "text": traced.text, **traced.to_dict()}
    del told["tokens"]
    data = json.dumps(told, ensure_ascii=True).replace("<", "\\u003c")  # no end of a script is spelled in it
    style, script = f"\n{read(STYLE)}", "\n" + "\n".join(read(name) for name in _SCRIPTS)
    policy = f"{POLICY}; style-src {_hash(style)}; script-src {_hash(script)}"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        '<header><h1 id="name"></h1><p id="trace-told"></p></header>\n<main id="passages">'
        "<noscript>This page shows its text by a script of its own.</noscript></main>\n"
        f'<script type="application/json" id="traced">{data}</script>\n<script>{script}</script>\n</body>\n</html>\n'
    )


def _hash(text: str) -> str:
    """As a policy names what may stand in a page."""
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
