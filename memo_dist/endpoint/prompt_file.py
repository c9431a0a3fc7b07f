"""PromptFile: what a language model is asked, as a file of this package.

Covers: reading and filling in. Does not cover: what goes into the places.

A file's first line names its stage, so that whoever answers can tell which it is. Its version is a hash of its text: a
prompt that is changed asks anew what an older one has answered.
"""

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from string import Template


@dataclass(frozen=True)
class PromptFile:
    """A prompt with places, `$name`, to fill in.

    Attributes:
        name: of the file, without its ending. text: of the file. version: 16 digits of its hash.
    """

    name: str
    text: str
    version: str

    @classmethod
    def of(cls, package: str, name: str) -> "PromptFile":
        """The prompt `name` of a package's folder `prompts`."""
        text = (files(package) / "prompts" / f"{name}.txt").read_text(encoding="utf-8")
        return cls(name, text, hashlib.blake2b(text.encode(), digest_size=8).hexdigest())

    def filled(self, **places: str) -> str:
        """The prompt with its places filled in; what stands in a value stays as it is."""
        return Template(self.text).substitute(places)
