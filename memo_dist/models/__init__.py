"""Models: what a memory is made of. text/ (the default), paper/ (the published memory), and what they have in common.

Covers: which model a config or a name belongs to; nobody outside this package compares the name. Does not cover: any
model. A third model is a folder beside these two and an entry in MODELS.
"""

from dataclasses import fields
from types import ModuleType
from typing import Any

import numpy as np

from memo_dist.errors import ConfigError
from memo_dist.memory_config import MemoryConfig
from memo_dist.models.candidates import Cleanup
from memo_dist.models.cues import Encoder
from memo_dist.models.paper.model import PAPER
from memo_dist.models.protocol import Model
from memo_dist.models.text.model import TEXT
from memo_dist.tokenizer import Tokenizer

MODELS: dict[str, Model[Any]] = {"text": TEXT, "paper": PAPER}


def model_named(name: object) -> Model[Any]:
    """The model of a preset.

    Raises:
        ConfigError: there is none of that name.
    """
    if not isinstance(name, str) or name not in MODELS:
        raise ConfigError(f"preset is {name!r}; expected one of {', '.join(MODELS)}")
    return MODELS[name]


def model_of(config: MemoryConfig) -> Model[Any]:
    """The model of a memory."""
    return MODELS[config.preset]


def encoder_for(config: MemoryConfig, tokenizer: Tokenizer | None = None) -> Encoder:
    """The encoder of a memory; see Model.encoder."""
    return model_of(config).encoder(config, tokenizer)


def cleanup_for(
    config: MemoryConfig, encoder: Encoder, xp: ModuleType = np, *, prior: np.ndarray | None = None
) -> Cleanup:
    """The cleanup of a memory; see Model.cleanup."""
    return model_of(config).cleanup(config, encoder, xp, prior=prior)


def config_from_dict(values: dict[str, Any]) -> MemoryConfig:
    """The config that `MemoryConfig.to_dict` described.

    Raises:
        ConfigError: a setting is unknown, missing or out of range.
    """
    settings: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }  # JSON's
    kind: type[MemoryConfig] = model_named(settings.pop("preset", None)).config_type
    unknown = set(settings) - {field.name for field in fields(kind)}
    if unknown:
        raise ConfigError(f"unknown settings {sorted(unknown)}; a newer memo-dist may have written them")
    try:
        return kind(**settings)
    except TypeError as error:
        raise ConfigError(f"incomplete settings: {error}") from error


def all_settings(config: MemoryConfig) -> dict[str, Any]:
    """Every setting of every model, None where this config has none: one table for memories of all models."""
    common = [name for name in config.to_dict() if name not in config.own_settings]
    every = [field.name for model in MODELS.values() for field in fields(model.config_type)]
    return {name: getattr(config, name, None) for name in dict.fromkeys([*common, *every])}  # in one order for all
