"""Find: which files a user's inputs name.

Covers: files, directories, globs and fsspec URLs; --include and --exclude. Does not cover: what an ending means
(formats/), opening files (sources.py), cutting them into splits (plan.py).
"""

import fnmatch
import glob
import os
import re
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

import fsspec
import numpy as np

from memo_dist.errors import InputError
from memo_dist.extras import missing_extra
from pipelines.formats import describe_endings, format_by_name, named_format
from pipelines.formats.text import TextFormat
from pipelines.passed_over import PassedOver
from pipelines.saved_datasets import not_rows
from pipelines.source_list import SourceList
from pipelines.sources import Source

SPOOLED = "memo-dist-input-"
"""What a directory's name begins with in which the standard input lies, as a file called "-"."""
_SPOOLED_NAME = "-"


@dataclass(frozen=True)
class _Patterns:
    """Which names below the input `base` are wanted: globs for a path, its part below `base`, or its last part; and
    which of these are not read.

    `format_name` is that of the format which all are read as, whatever their endings."""

    base: str
    include: str | None
    exclude: str | None
    passed_over: PassedOver
    format_name: str | None = None

    def take(self, name: str) -> bool:
        included = self.include is None or self._match(name, self.include)
        return included and not (self.exclude is not None and self._match(name, self.exclude))

    def _match(self, name: str, pattern: str) -> bool:
        forms = (name, name.removeprefix(self.base).lstrip("/"), PurePosixPath(name).name)
        return any(fnmatch.fnmatch(form, pattern) for form in forms)


def list_sources(
    inputs: list[str], include: str | None = None, exclude: str | None = None, *, format_name: str | None = None
) -> SourceList:
    """The files that inputs name, inputs in the order given, files of a directory or glob sorted.

    Args:
        inputs: files, directories (searched through, hidden names left out), globs, fsspec URLs.
        include, exclude: globs that paths below a directory or glob must, or must not, match.
        format_name: of the format that every file is read as; None lets its ending tell.

    Raises:
        InputError: an input does not exist, has an unknown ending, or names nothing readable.
    """
    sources, hashes = SourceList(), array("q")
    for item in inputs:
        patterns = _Patterns(item, include, exclude, sources.passed_over, format_name=format_name)
        for source in _from_url(item, patterns) if "://" in item else _from_path(item, patterns):
            sources.append(source)
            hashes.append(hash(source.url))
    if not len(sources):
        raise InputError("no input was given; name files, directories, globs or URLs")
    return _without_repeats(sources, np.frombuffer(hashes, np.int64))


def is_spooled(item: str) -> bool:
    """Whether an input is what came from the standard input."""
    path = PurePath(item)
    return path.name == _SPOOLED_NAME and path.parent.name.startswith(SPOOLED)


def _unread(item: str) -> InputError:
    return InputError(
        f"{item} has an ending that is not read; expected one of {describe_endings()}; --format text reads any file "
        "as text"
    )


def _without_repeats(sources: SourceList, hashes: np.ndarray) -> SourceList:
    """Each URL once, where it comes first."""
    ordered = np.sort(hashes)
    twice = set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())  # only these can be of equal URLs
    if not twice:
        return sources
    seen = set[str]()
    kept = SourceList()
    kept.passed_over = sources.passed_over
    for source, mark in zip(sources, hashes.tolist(), strict=True):
        if mark in twice and source.url in seen:
            continue
        if mark in twice:
            seen.add(source.url)
        kept.append(source)
    return kept


def _from_path(item: str, patterns: _Patterns) -> Iterable[Source]:
    path = Path(item)
    if path.is_dir():
        return _readable((name.removeprefix("./") for name in _files_below(str(path), patterns)), patterns)
    if path.is_file():
        spooled = is_spooled(item)
        source = _source(item, format_name=patterns.format_name or (TextFormat.name if spooled else None))
        if spooled and source is not None:
            return [replace(source, name=_SPOOLED_NAME)]
        if source is None:
            raise _unread(item)
        return [source]
    if glob.has_magic(item):
        names = sorted(name for name in glob.glob(item, recursive=True) if Path(name).is_file())
        return _readable(names, patterns)
    if path.exists():
        raise InputError(
            f"{item} is no file but a pipe or a device, which can be read once, and a corpus is read several times: "
            "put its text into a file, and name that, or give - and the text as standard input"
        )
    raise InputError(f"{item} does not exist; expected a file, a directory, a glob in quotes, or a URL")


def _files_below(folder: str, patterns: _Patterns) -> Iterator[str]:
    """Files of a directory and those below it, sorted by path; no hidden names, nor what links to directories lead to.

    In memory are the names of one directory and of those above it.
    """
    names = list[str]()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    names.append(f"{entry.name}/")  # as it stands in the paths of its files, so as they are sorted
                # Path's is_file says no to links that lead nowhere or round in circles
                elif Path(entry.path).is_file() if entry.is_symlink() else entry.is_file():
                    names.append(entry.name)
    except PermissionError as error:
        raise InputError(
            f"the directory {folder} cannot be read ({error.strerror}); let this user read it, or name the others"
        ) from error
    names.sort()
    left_out = set() if patterns.format_name else not_rows(folder, names, lambda one: Path(folder, one).read_bytes())
    for name in names:
        if name in left_out:
            continue
        if name.endswith("/"):
            yield from _files_below(os.path.join(folder, name[:-1]), patterns)
        else:
            yield os.path.join(folder, name)


def _hidden(path: PurePath) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _from_url(item: str, patterns: _Patterns) -> Iterable[Source]:
    try:
        system, path = fsspec.core.url_to_fs(item)
        link = _link(item, patterns.format_name)
        if link is not None:
            _require_length(item, system.info(path))
            return [link]
        if system.isdir(path):
            names = sorted(n for n in system.find(path) if not _hidden(PurePosixPath(n).relative_to(path.rstrip("/"))))
            names = names if patterns.format_name else _without_information(names, system)
        elif glob.has_magic(path):
            names = sorted(system.glob(path))
        elif system.exists(path):
            source = _member(item, system.unstrip_protocol(path), name=item, format_name=patterns.format_name)
            if source is None:
                raise _unread(item)
            return [source]
        else:
            raise InputError(f"{item} does not exist")
        return list(_readable((system.unstrip_protocol(name) for name in names), patterns, of=item))
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{item} does not exist") from None
    except Exception as error:  # every remote file system raises its own classes
        raise missing_extra(error) or InputError(f"{item} cannot be listed: {error}") from error


def _without_information(names: list[str], system: Any) -> list[str]:
    """Files of a remote directory and those below it, but for what is no row of a saved dataset."""
    contents: dict[str, set[str]] = {}
    for name in names:
        folder, _, base = name.rpartition("/")
        contents.setdefault(folder, set()).add(base)
        above, _, last = folder.rpartition("/")
        contents.setdefault(above, set()).add(f"{last}/")
    left_out = set[str]()
    for folder, inside in contents.items():
        read = partial(_cat, system, folder)
        left_out |= {f"{folder}/{name}" for name in not_rows(folder, inside, read)}
    return [name for name in names if name not in left_out]


def _cat(system: Any, folder: str, name: str) -> bytes:
    return bytes(system.cat_file(f"{folder}/{name}"))


def _member(item: str, url: str, *, name: str | None = None, format_name: str | None) -> Source | None:
    """The source of a URL that the input `item` names; of a file in an archive, "zip://FILE::ARCHIVE", the URL says
    which file, and the input in which archive.

    Args:
        name: what the source is called; None: its URL.
    """
    _, chained, archive = item.partition("::")
    whole = f"{url}{chained}{archive}"
    found = _source(url, whole, format_name=format_name)
    return None if found is None else replace(found, name=name or whole)


def _link(item: str, format_name: str | None) -> Source | None:
    """The source of a link to one file over HTTP, its query aside, which names nothing; None if it is none."""
    bare = re.split("[?#]", item, maxsplit=1)[0]
    if not item.startswith(("http://", "https://")) or glob.has_magic(bare):
        return None
    return _source(bare, item, format_name=format_name)


def _require_length(item: str, known: dict[str, Any]) -> None:
    """Raise InputError for a file whose server does not say how many bytes of it lie there."""
    if known.get("size") is None:
        raise InputError(
            f"{item} is sent without its length, or packed for the way (Content-Encoding), so no part of it can be "
            "asked for; expected a server that gives ranges of bytes: download the file and build from that"
        )


def _readable(names: Iterable[str], patterns: _Patterns, of: str = "") -> Iterator[Source]:
    """The sources among `names` that the patterns take; files of other kinds in a directory are passed over.

    Args:
        of: the input, where names are URLs.

    Raises:
        InputError: there is none.
    """
    files = taken = 0
    for name in names:
        files += 1
        if not patterns.take(name):
            continue
        as_what = patterns.format_name
        source = _member(of, name, format_name=as_what) if of else _source(name, format_name=as_what)
        if source is None:
            patterns.passed_over.add(name)
            continue
        taken += 1
        yield source
    if not taken:
        chosen = f" that match --include {patterns.include}" if patterns.include else ""
        raise InputError(
            f"{patterns.base} holds nothing to read: {files} files, none{chosen} with an ending of {describe_endings()}"
        )


def _source(name: str, url: str | None = None, *, format_name: str | None = None) -> Source | None:
    """The source of a path or URL, if it can be read; `url` where the name does not say it all."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"the file name {name!r} is not UTF-8; rename the file") from error
    meant = format_by_name(name) if format_name is None else named_format(format_name, name)
    if meant is None:
        return None
    format_, compression = meant
    return Source(name, url or (name if "://" in name else _absolute(name)), format_.name, compression)


def _absolute(name: str) -> str:
    """Path.absolute, without its work for most names."""
    return (
        str(Path(name).absolute())
        if "//" in name or "/." in name or name[0] == "."
        else os.path.join(os.getcwd(), name)
    )
