"""TEXT: the model of the preset text, as the rest of memo-dist sees it.

Covers: which of this folder's parts answers which question. Does not cover: any of the parts. Parts are imported when
they are first needed, because a command that asks for one attribute should not load the libraries of all.
"""

from collections.abc import Callable
from types import ModuleType

import numpy as np

from memo_dist.errors import ConfigError
from memo_dist.models.candidates import Cleanup
from memo_dist.models.contents import Contents
from memo_dist.models.cues import Encoder
from memo_dist.models.protocol import AskedShape, ShardRoom
from memo_dist.models.repetition import Answered, TextSize
from memo_dist.models.text.bank_assignment import bank_of
from memo_dist.models.text.config import DEFAULT_WINDOWS, TextConfig
from memo_dist.tokenizer import Tokenizer


class TextModel:
    """See Model."""

    name = "text"
    config_type = TextConfig
    has_ledger = True
    publishes = True
    tells_length = True
    uses_repetition = True
    distinct = True

    def encoder(self, config: TextConfig, tokenizer: Tokenizer | None) -> Encoder:
        from memo_dist.models.text.encoder import HashedEncoder

        return HashedEncoder(config, tokenizer)

    def contents(self, config: TextConfig, banks: range, room: ShardRoom, *, tokenizer: Tokenizer | None) -> Contents:
        from memo_dist.models.text.contents import HashedContents

        return HashedContents(config, banks, room, tokenizer=tokenizer)

    def cleanup(
        self, config: TextConfig, encoder: Encoder, xp: ModuleType = np, *, prior: np.ndarray | None = None
    ) -> Cleanup:
        from memo_dist.models.text.cleanup import HashedCleanup

        return HashedCleanup(config, encoder, xp=xp, prior=prior)

    def portion(self, config: TextConfig, cues: np.ndarray, banks: range) -> tuple[np.ndarray, np.ndarray]:
        """(m,) window hashes -> the rows whose bank is among `banks`, and their hashes."""
        bank = bank_of(cues, config.num_banks)
        rows = np.flatnonzero((bank >= banks.start) & (bank < banks.stop))
        return rows, cues[rows]

    def read_cells(self, config: TextConfig, cues: np.ndarray, cells_of: Callable[[int], np.ndarray]) -> np.ndarray:
        from memo_dist.models.text.banks import read_banks

        return np.asarray(read_banks(config, cues, cells_of))

    def file_attributes(self, config: TextConfig) -> dict[str, bytes]:
        """None: the codes are integers that follow from the seed everywhere."""
        return {}

    def shard_bytes(self, config: TextConfig) -> int:
        """The packed value codes, d / 8 bytes a token."""
        return (config.vocab_size + 1) * config.inner_dim // 8

    def recall_bytes(self, config: TextConfig) -> int:
        """The codebook that cleanup searches, float32."""
        return (config.vocab_size + 1) * config.inner_dim * 4

    def asked_config(self, vocab_size: int, asked: AskedShape) -> TextConfig:
        if asked.num_heads is not None or asked.num_layers is not None:
            raise ConfigError("--heads and --layers belong to the preset 'paper'; the preset 'text' has --windows")
        return TextConfig(
            num_banks=1 if asked.num_banks is None else asked.num_banks,
            vocab_size=vocab_size,
            inner_dim=256 if asked.inner_dim is None else asked.inner_dim,
            windows=asked.windows or DEFAULT_WINDOWS,
            keys=asked.keys or "text",
            seed=asked.seed,
        )

    def is_sized(self, asked: AskedShape) -> bool:
        return asked.num_banks is not None

    def sized(
        self, config: TextConfig, target_recall: float, text: TextSize, *, associations: float | None = None
    ) -> TextConfig:
        from memo_dist.models.text.capacity import with_banks_for

        return with_banks_for(config, target_recall, text, associations=associations)

    def predicted_recall(self, config: TextConfig, text: TextSize, associations: float, *, noise: float = 1.0) -> float:
        from memo_dist.models.text.capacity import text_recall

        return text_recall(config, text, associations, noise=noise)

    def answered_lengths(
        self, config: TextConfig, text: TextSize, associations: float, *, noise: float = 1.0
    ) -> list[Answered]:
        from memo_dist.models.text.capacity import text_lengths

        return text_lengths(config, text, associations, noise=noise)

    def shape_told(self, config: TextConfig) -> str:
        return f"{config.num_banks:,} banks of {config.inner_dim} x {config.inner_dim} int16 cells"

    def recall_told(self, recall: float) -> str:
        return f"{recall:.3f} of what the text allows, from matrices with whole contexts, by the capacity law"


TEXT = TextModel()
