"""Bytes that leave the gzip codec, counted in every process of a command.

Covers: what Python's gzip hands out, in the command's process and in those that it starts. Does not cover: other
codecs.
"""

import os
from pathlib import Path

_HOOK = """
import gzip, os
read = gzip._GzipReader.read
def counted(self, *size):
    data = read(self, *size)
    place = os.open(os.environ["COUNTED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(place, b"%d %d\\n" % (os.getpid(), len(data)))
    os.close(place)
    return data
gzip._GzipReader.read = counted
"""


class CodecReads:
    """The environment of a command whose reads are counted, and what was counted.

    Args:
        folder: an empty one, for the hook that Python imports when it starts, and for the count.
        root: the directory from which the command's own modules are imported.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        (folder / "sitecustomize.py").write_text(_HOOK)
        self._counted = folder / "counted"
        self.environment = {**os.environ, "PYTHONPATH": f"{folder}:{root}", "COUNTED": str(self._counted)}

    def taken(self) -> list[tuple[str, int]]:
        """Process and bytes of every read since the last call."""
        lines = [line.split() for line in self._counted.read_text().splitlines()]
        self._counted.unlink()
        return [(process, int(size)) for process, size in lines]
