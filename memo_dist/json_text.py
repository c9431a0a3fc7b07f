"""JSON text: what somebody else wrote is parsed, or is no JSON.

Covers: brackets nested more deeply than Python's parser goes. Does not cover: what the values have to be.
"""

import json
from typing import Any


def parse_json(text: str | bytes) -> Any:
    """`json.loads`.

    Raises:
        ValueError: the text is no JSON, or is nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("its brackets are nested too deeply") from None
