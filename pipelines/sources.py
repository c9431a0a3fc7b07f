"""Sources: which files a user's inputs name, what they are, how large their text is.

Covers: files, directories, globs and fsspec URLs; formats and compressions by suffix. Does not cover: reading
documents (reading.py), cutting into units (plan.py).
"""

import fnmatch
import glob
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePath, PurePosixPath
from typing import IO

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from memo_dist.errors import InputError
from memo_dist.extras import missing_extra

TEXT_SUFFIXES = (".txt", ".md", ".rst", ".py")
TOKEN_IDS = "token ids"  # the format of a parquet file of tokenized documents
ROW_SUFFIXES = {".jsonl": "jsonl", ".parquet": "parquet"}
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".xz": "xz"}
_ENDINGS = (*TEXT_SUFFIXES, *ROW_SUFFIXES, *COMPRESSIONS)
_READ = 1 << 20
_LARGE = 1 << 20  # bytes of a file that takes milliseconds to decompress, more than a thread costs


@dataclass(frozen=True)
class Source:
    """One input file.

    Attributes:
        name: as the user would call it; document ids begin with it.
        url: absolute path or URL, valid on every worker.
        format: "text" (one document), "jsonl", "parquet" or TOKEN_IDS (one document a row).
        compression: an fsspec name, or None.
        size: bytes of text once decompressed; of a parquet file, those of its text column; 4 a token id.
        rows: of a parquet file or one of token ids.
    """

    name: str
    url: str
    format: str
    compression: str | None
    size: int = 0
    rows: int = 0

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The decompressed bytes, from the start.

        Raises:
            InputError: the file cannot be opened or decompressed; raised also while reading inside the block.
        """
        try:
            with self._opened() as handle:
                yield handle
        except InputError:
            raise
        except Exception as error:  # each codec and file system has its own class of error
            what = self.compression or self.format
            raise InputError(
                f"{self.name} cannot be read as {what}: {error}. Is it whole? Replace it or leave it out"
            ) from error

    def _opened(self) -> AbstractContextManager[IO[bytes]]:
        if "://" in self.url:
            return fsspec.open(self.url, "rb", compression=self.compression)  # type: ignore[no-any-return]  # fsspec ships no types
        if self.compression is None:
            return open(self.url, "rb")
        # a local name is no URL: "::" in it means nothing
        opened: AbstractContextManager[IO[bytes]] = LocalFileSystem().open(self.url, compression=self.compression)
        return opened

    def is_quick(self) -> bool:
        """Whether `measured` takes less than starting a thread: no remote file, nor a large one that is read through.

        Raises:
            InputError: the file cannot be asked.
        """
        unread = self.compression is None and self.format != "parquet"
        return "://" not in self.url and (unread or int(source_stamp(self)[0]) < _LARGE)

    def measured(self, text_key: str) -> "Source":
        """The same source with its size; a compressed file is read through once, which also proves it whole.

        Raises:
            InputError: the file is broken.
        """
        size = rows = 0
        with self.open() as handle:
            if self.format == "parquet":
                with pq.ParquetFile(handle) as file:
                    rows = file.metadata.num_rows
                    if text_key in file.schema_arrow.names:  # the reader says so if it is not
                        for batch in file.iter_batches(columns=[text_key]):
                            size += pc.sum(pc.binary_length(batch.column(0).cast(pa.large_binary()))).as_py() or 0
                    size = max(size, rows)  # a column of empty texts is still read
            elif self.compression is None:
                size = handle.seek(0, os.SEEK_END)
            else:
                while chunk := handle.read(_READ):
                    size += len(chunk)
        if self.compression and not size:
            self._refuse_no_bytes()
        return replace(self, size=size, rows=rows)

    def _refuse_no_bytes(self) -> None:
        # gzip takes a file of no bytes for an empty text; it is the trace of a failed download
        with fsspec.open(self.url, "rb") as handle:
            if not handle.read(1):
                raise InputError(f"{self.name} has no bytes, so it is no {self.compression} file; replace it")


def list_sources(inputs: list[str], include: str | None = None, exclude: str | None = None) -> list[Source]:
    """The files that inputs name, inputs in the order given, files of a directory or glob sorted.

    Args:
        inputs: files, directories (searched through, hidden names left out), globs, fsspec URLs.
        include, exclude: globs that paths below a directory or glob must, or must not, match.

    Raises:
        InputError: an input does not exist, has an unknown ending, or names nothing readable.
    """
    sources: dict[str, Source] = {}
    for item in inputs:
        found = _from_url(item, include, exclude) if "://" in item else _from_path(item, include, exclude)
        for source in found:
            sources.setdefault(source.url, source)
    if not sources:
        raise InputError("no input was given; name files, directories, globs or URLs")
    return list(sources.values())


def source_stamp(source: Source) -> list[str | int]:
    """What changes when a source's file does: its bytes, and when it was written or its entity tag.

    Raises:
        InputError: the file cannot be asked.
    """
    try:
        if "://" not in source.url:
            facts = os.stat(source.url)
            return [facts.st_size, str(facts.st_mtime_ns)]
        system, path = fsspec.core.url_to_fs(source.url)
        known = system.info(path)
    except Exception as error:  # every file system raises its own classes
        raise InputError(f"{source.name} cannot be looked at: {error}") from error
    mark = next((known[name] for name in ("ETag", "etag", "mtime", "LastModified", "updated") if known.get(name)), "")
    return [known.get("size") or 0, str(mark)]


def describe_formats() -> str:
    """The endings that can be read, for messages."""
    plain = " ".join((*TEXT_SUFFIXES, ".jsonl"))
    return f"{plain} .parquet, all but the last also with {' '.join(COMPRESSIONS)}"


def _from_path(item: str, include: str | None, exclude: str | None) -> list[Source]:
    path = Path(item)
    if path.is_dir():
        names = sorted(name.removeprefix("./") for name in _files_below(str(path)))
        return _known(names, item, include, exclude)
    if path.is_file():
        source = _source(item)
        if source is None:
            raise InputError(f"{item} has an ending that is not read; expected one of {describe_formats()}")
        return [source]
    if glob.has_magic(item):
        names = sorted(n for n in glob.glob(item, recursive=True) if Path(n).is_file())
        return _known(names, item, include, exclude)
    raise InputError(f"{item} does not exist; expected a file, a directory, a glob in quotes, or a URL")


def _files_below(folder: str) -> Iterator[str]:
    """Files of a directory and those below it; no hidden names, nor what links to directories lead to."""
    try:
        entries = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
    except PermissionError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files_below(entry.path)
        # Path's is_file says no to links that lead nowhere or round in circles
        elif Path(entry.path).is_file() if entry.is_symlink() else entry.is_file():
            yield entry.path


def _hidden(path: PurePath) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _from_url(item: str, include: str | None, exclude: str | None) -> list[Source]:
    try:
        system, path = fsspec.core.url_to_fs(item)
        if system.isdir(path):
            names = sorted(n for n in system.find(path) if not _hidden(PurePosixPath(n).relative_to(path.rstrip("/"))))
        elif glob.has_magic(path):
            names = sorted(system.glob(path))
        elif system.exists(path):
            source = _source(item, system.unstrip_protocol(path))
            if source is None:
                raise InputError(f"{item} has an ending that is not read; expected one of {describe_formats()}")
            return [source]
        else:
            raise InputError(f"{item} does not exist")
        return _known([system.unstrip_protocol(name) for name in names], item, include, exclude)
    except InputError:
        raise
    except Exception as error:  # every remote file system raises its own classes
        raise missing_extra(error) or InputError(f"{item} cannot be listed: {error}") from error


def _known(names: list[str], item: str, include: str | None, exclude: str | None) -> list[Source]:
    """The sources among `names`; files of other kinds in a directory are passed over."""
    wanted = [
        n for n in names if _matches(n, item, include, default=True) and not _matches(n, item, exclude, default=False)
    ]
    found = [_source(name) for name in wanted]
    sources = [source for source in found if source is not None]
    if not sources:
        chosen = f" that match --include {include}" if include else ""
        raise InputError(
            f"{item} holds nothing to read: {len(names)} files, none{chosen} with an ending of {describe_formats()}"
        )
    return sources


def _matches(name: str, base: str, pattern: str | None, default: bool) -> bool:
    """Whether a path, the part of it below `base`, or its last part matches a glob."""
    if pattern is None:
        return default
    forms = (name, name.removeprefix(base).lstrip("/"), PurePosixPath(name).name)
    return any(fnmatch.fnmatch(form, pattern) for form in forms)


def _source(name: str, url: str | None = None) -> Source | None:
    """The source of a path or URL, if it can be read; `url` where the name does not say it all."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"the file name {name!r} is not UTF-8; rename the file") from error
    if not name.rstrip("/").endswith(_ENDINGS):
        return None  # before paths are taken apart: most files of a directory may be of other kinds
    path = PurePosixPath(name)
    compression = COMPRESSIONS.get(path.suffix)
    suffix = PurePosixPath(path.stem).suffix if compression else path.suffix
    format_ = "text" if suffix in TEXT_SUFFIXES else ROW_SUFFIXES.get(suffix)
    if format_ is None or (format_ == "parquet" and compression):
        return None
    return Source(name, url or (name if "://" in name else str(Path(name).absolute())), format_, compression)
