"""Models: what a memory is made of. text/ (the default), paper/ (the published memory), and what they have in common.

Covers: which model a config or a name belongs to; nobody outside this package compares the name. Does not cover: any
model. A third model is a folder beside these two and an entry in MODELS.
"""

from dataclasses import fields
from typing import Any

from memo_dist.errors import ConfigError
from memo_dist.memory_config import MemoryConfig
from memo_dist.models.candidates import Cleanup
from memo_dist.models.cues import Encoder
from memo_dist.models.paper.model import PAPER
from memo_dist.models.protocol import Model
from memo_dist.models.text.model import TEXT

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


def cleanup_for(config: MemoryConfig, encoder: Encoder | None = None) -> Cleanup:
    """The cleanup of a memory; see Model.cleanup."""
    return model_of(config).cleanup(config, encoder)


def config_from_dict(values: dict[str, Any]) -> MemoryConfig:
    """The config that `MemoryConfig.to_dict` described.

    Raises:
        ConfigError: a setting is unknown, missing or out of range.
    """
    settings = dict(values)
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
    every = [field.name for model in MODELS.values() for field in fields(model.config_type)]
    return {**config.to_dict(), **{name: getattr(config, name, None) for name in every}}
