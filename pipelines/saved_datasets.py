"""Saved datasets: directories that Hugging Face's `save_to_disk` writes, or its cache holds.

Covers: which files of such a directory are its rows, rows that are missing. Does not cover: reading them
(formats/arrow.py), finding directories (find.py).

Beside data-00000-of-00002.arrow lie dataset_info.json and state.json, which names the files of rows; other .arrow files
there are what `map` and `filter` have cached. A directory of several splits has dataset_dict.json and a directory each.
"""

from collections.abc import Callable, Collection
from typing import Any

from memo_dist.errors import InputError
from memo_dist.json_text import parse_json

_STATE, _SPLITS = "state.json", "dataset_dict.json"
_INFORMATION = (_STATE, "dataset_info.json")


def not_rows(folder: str, names: Collection[str], read: Callable[[str], bytes]) -> set[str]:
    """The files of a directory that belong to a saved dataset, but are not its rows.

    Args:
        folder: the directory, for messages.
        names: what is in it; directories with "/" behind them.
        read: the content of a file in it.

    Raises:
        InputError: a file of rows is missing.
    """
    left_out = set[str]()
    if _SPLITS in names:
        splits = _read(read, _SPLITS).get("splits")
        if isinstance(splits, list) and splits and all(f"{split}/" in names for split in splits):
            left_out.add(_SPLITS)
    tables = {name for name in names if name.endswith(".arrow")}
    if not tables and _STATE not in names:
        return left_out
    listed = _read(read, _STATE).get("_data_files") if _STATE in names else None
    told = [one.get("filename") for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    files = {name for name in told if isinstance(name, str)}
    if not tables and not files:
        return left_out  # a state.json of something else
    if missing := sorted(files - tables):
        raise InputError(
            f"{folder} is a saved dataset of {len(files)} files, of which {', '.join(missing[:3])} "
            f"{'is' if len(missing) == 1 else 'are'} missing: copy it again as a whole"
        )
    left_out |= {name for name in _INFORMATION if name in names}
    return left_out | (tables - files if files else set())


def _read(read: Callable[[str], bytes], name: str) -> dict[str, Any]:
    """A file of facts about a dataset; {} of one that is something else, which is read as any other."""
    try:
        found = parse_json(read(name))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
