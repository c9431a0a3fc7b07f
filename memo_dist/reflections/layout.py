"""Layout: a reflection as what follows cues, in a memory of bytes.

Covers: its name, its pieces, the segments of its document, the config. Does not cover: forms (forms.py), batches of
many (memorizing.py), reading (reading.py).

A reflection is written once, as the bytes of a row, and named by their 64-bit hash, so what is read can be proved:
    cue of a form                  -> the 8 bytes of the name; several names, if several reflections have that form
    cue of name and piece number   -> up to 48 bytes of the row; the first piece begins with the row's length, 2 bytes
A cue stands where a document begins, before what follows it, and is no target itself: nothing is the same before two
answers, and the one window, of 64 tokens, holds the cue of whatever is read.
"""

import hashlib
import json
from dataclasses import replace

import numpy as np

from memo_dist.errors import InputError
from memo_dist.json_text import parse_json
from memo_dist.memory_config import MemoryConfig
from memo_dist.models.text.config import TextConfig
from memo_dist.reflections.forms import CUE_TOKENS, cue, stored_cues
from memo_dist.reflections.reflection import Reflection
from memo_dist.segments import NO_TOKENS, Origin, Segment

NAME_BYTES, PIECE_BYTES, LENGTH_BYTES = 8, 48, 2
MOST_BYTES = (1 << 8 * LENGTH_BYTES) - 1  # of a row
WINDOWS = (CUE_TOKENS + PIECE_BYTES,)
_VOCABULARY = 256
_PIECE, _DOCUMENT = "piece", "reflection-"


def config_for(*, num_banks: int = 1, inner_dim: int = 256, seed: int = 0) -> TextConfig:
    """The shape of a memory of reflections."""
    return TextConfig(
        num_banks=num_banks,
        vocab_size=_VOCABULARY,
        inner_dim=inner_dim,
        seed=seed,
        windows=WINDOWS,
        keys="tokens",
    )


def holds_reflections(config: MemoryConfig) -> bool:
    """Whether a memory of this shape is one of reflections."""
    return config.own_settings == config_for().own_settings and config.vocab_size == _VOCABULARY


def row_of(reflection: Reflection) -> bytes:
    """What is memorized of a reflection: all of it."""
    texts = [reflection.question, reflection.answer, reflection.id, reflection.step]
    lists = [list(one) for one in (reflection.forms, reflection.entities, reflection.docs)]
    return json.dumps([*texts, *lists], ensure_ascii=False, separators=(",", ":")).encode()


def reflection_of(row: bytes) -> Reflection:
    """The reflection of a row that has been proved."""
    question, answer, name, step, forms, entities, docs = parse_json(row)
    several = {"forms": tuple(forms), "entities": tuple(entities), "docs": tuple(docs)}
    return Reflection(id=name, question=question, answer=answer, step=step, **several)


def name_of(row: bytes) -> bytes:
    """The 8 bytes that name a row."""
    return hashlib.blake2b(row, digest_size=NAME_BYTES).digest()


def piece_cue(name: bytes, number: int) -> bytes:
    """What a piece of a row follows."""
    return cue(_PIECE, f"{name.hex()} {number}")


def document_name(name: bytes) -> str:
    """What a memory calls the document that a reflection is."""
    return _DOCUMENT + name.hex()


def told_sources(docs: tuple[str, ...]) -> str:
    """Where a reflection was drawn from, as the memory's list of documents says it; see `docs_told`."""
    if len(docs) == 1 and not docs[0].startswith("["):
        return docs[0]
    return json.dumps(docs, ensure_ascii=False) if docs else ""


def docs_told(source: str) -> tuple[str, ...]:
    """The documents that `told_sources` told."""
    if not source.startswith("["):
        return (source,) if source else ()
    return tuple(parse_json(source))


def segments_of(reflection: Reflection) -> list[tuple[str, Segment]]:
    """A reflection as the segments of one document: an empty beginning, its pieces, and what follows each cue.

    Raises:
        InputError: the reflection is too long.
    """
    row = row_of(reflection)
    if len(row) > MOST_BYTES:
        raise InputError(
            f"reflection {reflection.id[:40]!r} has {len(row):,} bytes, with its forms and documents; expected at most "
            f"{MOST_BYTES:,}"
        )
    name, written = name_of(row), len(row).to_bytes(LENGTH_BYTES, "big") + row
    following = [
        (piece_cue(name, number), written[at : at + PIECE_BYTES])
        for number, at in enumerate(range(0, len(written), PIECE_BYTES))
    ]
    forms = stored_cues(reflection.question, reflection.forms, reflection.entities)
    following += [(one, name) for one in forms]
    origin = Origin(told_sources(reflection.docs), 0, "rows")
    found = [Segment(0, NO_TOKENS, NO_TOKENS, False, stop=1, origin=origin)]
    found += [
        Segment(place, tokens_of(before), tokens_of(after), False, stop=place + 1, origin=origin)
        for place, (before, after) in enumerate(following, start=1)
    ]
    found[-1] = replace(found[-1], ends=True)
    return [(document_name(name), one) for one in found]


def tokens_of(data: bytes) -> np.ndarray:
    """(n,) uint32: bytes as tokens."""
    return np.frombuffer(data, np.uint8).astype(np.uint32)
