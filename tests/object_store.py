"""An object store for tests: moto's server on this machine, in a process of its own.

Run as a program it prints its port, and serves until its standard input ends.
"""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BUCKET = "bucket"
SECRET = "a-secret-that-nothing-may-tell"


@dataclass(frozen=True)
class ObjectStore:
    """A bucket.

    Attributes:
        environment: what a program needs to use it. url: of the bucket.
    """

    environment: dict[str, str]
    url: str = f"s3://{BUCKET}"


@contextmanager
def object_store(cache: Path) -> Iterator[ObjectStore]:
    """A store with an empty bucket; programs keep what they read of it in `cache`."""
    environment = {
        "AWS_ACCESS_KEY_ID": "an-id-that-nothing-may-tell",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "XDG_CACHE_HOME": str(cache),
    }
    server = subprocess.Popen(
        [sys.executable, __file__],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        yield ObjectStore({**environment, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"})
    finally:
        assert server.stdin is not None
        server.stdin.close()
        server.wait(timeout=30)


def main() -> None:
    """Serve."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    import boto3

    boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}").create_bucket(Bucket=BUCKET)
    print(port, flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
