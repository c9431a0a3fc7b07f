"""Publish, sums: a memory's matrices in a few bits, in as many banks as its recall then takes.

Covers: how many banks, the memory that has them meanwhile. Does not cover: giving a memory other banks (combine.py),
writing cells in few bits (memo_dist/files/published_writer.py).

Few bits a cell are noise, as of a bank that holds noise_factor(bits) times the associations, so a memory that was sized
for whole cells recalls too little. The ledger gives its matrices in any number of banks: the capacity law says which.
They are made as a memory of their own beside the output, `.NAME.rebanked`, which is then published and removed; a
stopped command goes on from it.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from cluster.by_file import each_file
from cluster.combine import CombineOptions, rebank
from cluster.resources import Resources
from memo_dist.durable import writing
from memo_dist.errors import ConfigError
from memo_dist.files.manifest import Manifest
from memo_dist.files.opened import open_memory
from memo_dist.files.published_writer import publish
from memo_dist.files.staging import refuse_existing
from memo_dist.models import model_of
from memo_dist.models.repetition import TextSize
from memo_dist.models.text.bit_planes import PUBLISHED_BITS, noise_factor
from memo_dist.models.text.capacity import with_banks_for
from memo_dist.models.text.config import TextConfig

DEFAULT_TARGET = 0.99


@dataclass(frozen=True, kw_only=True)
class SumsOptions:
    """What the command line gives; see `memo-dist publish --help`.

    Attributes:
        bits: of a cell. target_recall: of what the text allows, by the capacity law.
        banks: None: the fewest that give it.
    """

    resources: Resources = field(default_factory=Resources)
    bits: int = 1
    target_recall: float = DEFAULT_TARGET
    banks: int | None = None


def publish_sums(
    memory: Path, out: Path, options: SumsOptions, *, on_bank: Callable[[int, int], None] = lambda done, banks: None
) -> Manifest:
    """Publish a memory's matrices; `memory` is not changed.

    Args:
        on_bank: called with the number of banks written and of all.

    Raises:
        ConfigError: the memory cannot be published so, or a setting is bad. OutputExistsError: `out` exists.
        BudgetError, StorageError: there is no room. MissingExtraError: SciPy, which computes the law, is not installed.
    """
    refuse_existing(out)
    banks = _banks(memory, options)
    resources = options.resources
    each = partial(each_file, resources=resources) if resources.on_cluster else None  # whole files, on all nodes
    if banks is None:
        return publish(memory, out, options.bits, on_bank=on_bank, each=each)
    named = out if out.name else out.absolute()  # "." has no name
    wide = named.with_name(f".{named.name}.rebanked")
    if not _is_of(wide, memory, banks):
        with writing(wide):
            shutil.rmtree(wide, ignore_errors=True)
        rebank(memory, banks, wide, options=CombineOptions(resources=replace(resources, device="cpu")))
    manifest = publish(wide, out, options.bits, named=memory, on_bank=on_bank, each=each)
    shutil.rmtree(wide, ignore_errors=True)
    return manifest


def _banks(memory: Path, options: SumsOptions) -> int | None:
    """How many banks the published memory has; None: those that the memory has."""
    if options.bits not in PUBLISHED_BITS:
        raise ConfigError(f"--bits is {options.bits}; expected one of {', '.join(map(str, PUBLISHED_BITS))}")
    with open_memory(memory) as opened:
        opened.require_working()
        manifest, config = opened.manifest, opened.config
    if not model_of(config).publishes or not isinstance(config, TextConfig):
        return None  # publishing it says why that cannot be
    if options.banks is not None:
        return None if options.banks == config.num_banks else options.banks
    text = TextSize(manifest.tokens, manifest.documents, manifest.repetition)
    noise = noise_factor(options.bits)
    found = with_banks_for(config, options.target_recall, text, associations=float(manifest.associations), noise=noise)
    return None if found.num_banks == config.num_banks else found.num_banks


def _is_of(wide: Path, memory: Path, banks: int) -> bool:
    """Whether an earlier attempt has made the memory with these banks, of what the memory is now."""
    if not wide.exists():
        return False
    found, base = Manifest.read(wide), Manifest.read(memory)
    held = (found.associations, found.tokens) == (base.associations, base.tokens)
    return held and found.config.num_banks == banks and found.sources[:-1] == base.sources
