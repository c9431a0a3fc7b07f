"""PAPER: the model of the preset paper, as the rest of memo-dist sees it.

Covers: which of this folder's parts answers which question. Does not cover: any of the parts. Parts are imported when
they are first needed, because a command that asks for one attribute should not load the libraries of all.
"""

import math
from collections.abc import Callable
from types import ModuleType

import numpy as np

from memo_dist.errors import ConfigError
from memo_dist.models.candidates import Cleanup
from memo_dist.models.contents import Contents
from memo_dist.models.cues import Encoder
from memo_dist.models.paper.config import PaperConfig
from memo_dist.models.protocol import AskedShape, ShardRoom
from memo_dist.models.repetition import Answered, TextSize
from memo_dist.tokenizer import Tokenizer


class PaperModel:
    """See Model."""

    name = "paper"
    config_type = PaperConfig
    has_ledger = False
    publishes = False
    tells_length = False
    uses_repetition = False
    distinct = False

    def encoder(self, config: PaperConfig, tokenizer: Tokenizer | None) -> Encoder:
        from memo_dist.models.paper.encoder import ProjectedEncoder

        return ProjectedEncoder(config)

    def contents(self, config: PaperConfig, banks: range, room: ShardRoom, *, tokenizer: Tokenizer | None) -> Contents:
        from memo_dist.models.paper.contents import ProjectedContents

        return ProjectedContents(config, banks, room.xp)

    def cleanup(
        self, config: PaperConfig, encoder: Encoder, xp: ModuleType = np, *, prior: np.ndarray | None = None
    ) -> Cleanup:
        """As the paper has it: all tokens are equally likely."""
        from memo_dist.models.paper.cleanup import ProjectedCleanup
        from memo_dist.models.paper.encoder import ProjectedEncoder

        return ProjectedCleanup(config, encoder if isinstance(encoder, ProjectedEncoder) else None)

    def portion(self, config: PaperConfig, cues: np.ndarray, banks: range) -> tuple[np.ndarray, np.ndarray]:
        """(m, key_dim) keys -> all rows, and the columns of `banks`."""
        width = config.bank_shape[0]
        return np.arange(len(cues)), cues[:, banks.start * width : banks.stop * width]

    def read_cells(self, config: PaperConfig, cues: np.ndarray, cells_of: Callable[[int], np.ndarray]) -> np.ndarray:
        total = np.zeros((len(cues), config.inner_dim), np.float32)
        for bank in range(config.num_banks):
            total += self.portion(config, cues, range(bank, bank + 1))[1] @ cells_of(bank)
        return total

    def file_attributes(self, config: PaperConfig) -> dict[str, bytes]:
        """`codes`: a hash of the first draws, which may change between versions of NumPy."""
        from memo_dist.models.paper.gaussians import codes_digest

        return {"codes": codes_digest(config.seed).encode()}

    def shard_bytes(self, config: PaperConfig) -> int:
        from memo_dist.models.paper.encoder import encoder_bytes

        return encoder_bytes(config)

    def recall_bytes(self, config: PaperConfig) -> int:
        """The same: cleanup shares the encoder's vectors."""
        return self.shard_bytes(config)

    def asked_config(self, vocab_size: int, asked: AskedShape) -> PaperConfig:
        if asked.num_banks is not None:
            raise ConfigError("--banks belongs to the preset 'text'; the preset 'paper' has one matrix: give --dim")
        if asked.windows is not None or asked.keys is not None:
            raise ConfigError("--windows and --keys belong to the preset 'text'; 'paper' takes --heads, --layers")
        heads = 4 if asked.num_heads is None else asked.num_heads
        return PaperConfig.of(
            vocab_size,
            asked.inner_dim or math.lcm(heads, 16),
            num_heads=heads,
            num_layers=3 if asked.num_layers is None else asked.num_layers,
            composition=asked.composition or "jlt",
            seed=asked.seed,
        )

    def is_sized(self, asked: AskedShape) -> bool:
        return bool(asked.inner_dim)

    def sized(
        self, config: PaperConfig, target_recall: float, text: TextSize, *, associations: float | None = None
    ) -> PaperConfig:
        from memo_dist.models.paper.law import with_dim_for

        return with_dim_for(config, target_recall, text.tokens)

    def predicted_recall(
        self, config: PaperConfig, text: TextSize, associations: float, *, noise: float = 1.0
    ) -> float:
        """Of random tokens: neither the associations counted nor the text's repetition is known to this law."""
        from memo_dist.models.paper.law import paper_recall

        return paper_recall(config, max(text.tokens, 1))

    def answered_lengths(
        self, config: PaperConfig, text: TextSize, associations: float, *, noise: float = 1.0
    ) -> list[Answered]:
        return []

    def shape_told(self, config: PaperConfig) -> str:
        return f"one matrix of {config.key_dim:,} x {config.inner_dim:,} float32 cells, {config.num_heads} heads"

    def recall_told(self, recall: float) -> str:
        return f"{recall:.3f} of random tokens, by the capacity law; of real text about a fifth (docs: paper.md)"


PAPER = PaperModel()
