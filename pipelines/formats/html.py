"""HTML: .html and .htm, each page a document of the text that it shows.

Covers: the text of a page by resiliparse, as of Common Crawl's pages in DCLM; which letters its bytes are. Does not
cover: what of a page is its main content, all visible text is kept; pages in archives of the web (warc.py).
"""

import re
from collections.abc import Iterator
from typing import IO

from memo_dist.errors import InputError
from memo_dist.extras import extra, require
from pipelines.formats.forward_rows import MAX_ROW, BrokenRowError, ForwardRows, Row
from pipelines.reading import Reading
from pipelines.sources import Source

_MARKUP = re.compile(r"<\s*(!doctype|!--|/?[a-z][a-z0-9]*)", re.IGNORECASE)


class HtmlFormat(ForwardRows):
    """A document's id is the file's name; its text is what resiliparse makes of the page."""

    name = "html"
    suffixes: tuple[str, ...] = (".html", ".htm")
    content = "text"
    one_document = True

    def rows(self, handle: IO[bytes], source: Source) -> Iterator[Row]:
        """One row: the file.

        Raises:
            MissingExtraError: resiliparse is not installed.
        """
        require("resiliparse")  # rather than when the first page is read
        data = handle.read(MAX_ROW + 1)
        if len(data) > MAX_ROW:
            raise InputError(
                f"{source.name} is a page of more than {MAX_ROW:,} bytes; make its text a text file. A file that is no "
                "part of the corpus is left out by --exclude"
            )
        if data:
            yield Row(len(data), data)

    def document(self, row: Row, source: Source, reading: Reading) -> tuple[object, bytes]:
        del reading
        shown = page_text(row.content)
        if shown is None:
            raise BrokenRowError("there is no tag of HTML in it")
        return source.name, shown.encode()


def page_text(page: bytes, charset: str | None = None) -> str | None:
    """The visible text of a page, paragraphs and list items on lines of their own; None without any tag.

    Args:
        charset: what the server said its letters are; None: what the page says, or looks like.

    Raises:
        MissingExtraError: resiliparse is not installed.
    """
    with extra():
        from resiliparse.extract.html2text import extract_plain_text
        from resiliparse.parse.encoding import bytes_to_str, detect_encoding, map_encoding_to_html5
    encoding = map_encoding_to_html5(charset) if charset else detect_encoding(page, from_html_meta=True)
    markup = bytes_to_str(page, encoding or "utf-8")
    if not _MARKUP.search(markup):
        return None
    shown: str = extract_plain_text(markup, alt_texts=False)
    return shown
