"""PassedOver: files of a directory or glob that are not read, as nobody knows how to read their ending.

Covers: how many of which ending, in a sentence. Does not cover: files that --include and --exclude leave out, and
hidden ones, which somebody has left out on purpose.
"""

from collections import Counter

_MOST_ENDINGS = 1 << 10  # that are told apart: a directory may hold as many as files
_TOLD = 5
_NONE, _OTHER = "no ending", "others"


class PassedOver:
    """Numbers of files, by ending."""

    def __init__(self) -> None:
        self._files = Counter[str]()

    def add(self, name: str) -> None:
        """Count a file by its name."""
        base = name[name.rfind("/") + 1 :]
        dot = base.rfind(".")
        ending = base[dot:] if 0 < dot < len(base) - 1 else _NONE
        self._files[ending if ending in self._files or len(self._files) < _MOST_ENDINGS else _OTHER] += 1

    def __len__(self) -> int:
        return self._files.total()

    def by_ending(self) -> dict[str, int]:
        """How many files there are of each ending, most first."""
        return dict(self._files.most_common())

    def told(self) -> str:
        """Of how many files nothing is read, and of which endings; "" of none."""
        if not self:
            return ""
        shown = [f"{count:,} {ending}" for ending, count in self._files.most_common(_TOLD)]
        shown += ["..."] if len(self._files) > _TOLD else []
        return f"{len(self):,} file{'s' * (len(self) > 1)} with endings that are not read: {', '.join(shown)}"
