"""Links as people copy them: with a query, from servers that pack what they send, or do not say how long it is."""

import gzip
import http.server
import json
import threading
from collections.abc import Iterator

import pytest

from memo_dist.errors import InputError
from pipelines.find import list_sources
from pipelines.formats import format_of, passages
from pipelines.reading import Reading

LINE = b'{"text": "a line of a file that is sent over HTTP"}\n'
FILES = {"/a.jsonl": LINE, "/packed.jsonl.gz": gzip.compress(LINE), "/unmeasured.txt": LINE}


class Odd(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET(whole=False)

    def do_GET(self, whole: bool = True) -> None:
        path = self.path.partition("?")[0]
        body = FILES.get(path)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        if path.startswith("/packed"):
            self.send_header("Content-Encoding", "gzip")
        if path.startswith("/unmeasured"):
            self.send_header("Transfer-Encoding", "chunked")
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if whole:
            self.wfile.write(body)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Odd)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("link", ["/a.jsonl", "/a.jsonl?download=true", "/a.jsonl?v=1&part=*#top"])
def test_a_query_is_no_part_of_the_name(url: str, link: str) -> None:
    (source,) = list_sources([url + link])
    assert source.name == f"{url}/a.jsonl"
    assert format_of(source).name == "jsonl"
    with source.open() as handle:
        assert handle.read() == LINE
    span = format_of(source).whole(format_of(source).measure(source, text_key="text"))
    (passage,) = passages(span, Reading())
    assert passage.text.text(0, passage.text.size) == json.loads(LINE)["text"]


@pytest.mark.parametrize("link", ["/packed.jsonl.gz", "/unmeasured.txt"])
def test_what_cannot_be_read_in_parts_is_refused_with_the_reason(url: str, link: str) -> None:
    with pytest.raises(InputError, match=f"{link} is sent without its length.*download the file"):
        list(list_sources([url + link]))


def test_a_link_that_leads_nowhere_is_said_not_to_exist(url: str) -> None:
    with pytest.raises(InputError, match=r"none\.txt.* does not exist"):
        list(list_sources([f"{url}/none.txt?x=1"]))
