"""MODELS: every model is whole, its configs survive JSON, and the fingerprints that digests depend on never change."""

import json
from dataclasses import replace

import numpy as np
import pytest

from memo_dist import MemoryConfig, PaperConfig, TextConfig
from memo_dist.errors import ConfigError
from memo_dist.models import MODELS, all_settings, config_from_dict, model_named, model_of
from memo_dist.models.protocol import AskedShape, Model, ShardRoom
from memo_dist.models.repetition import TextSize

# of text as they are since keys are of text, of paper as they always were; every digest begins with one
FINGERPRINTS: list[tuple[MemoryConfig, str]] = [
    (TextConfig(num_banks=6, vocab_size=256, inner_dim=64), "4fe6c915645e1f34af6896013dd8b7d5"),
    (TextConfig(num_banks=1, vocab_size=32_000), "07280340f908b47f14d610f2db0295c5"),
    (PaperConfig.of(256, 64, num_heads=6, num_layers=1, key_dim=66), "52ff8d89f8443e5af6ad1b74e31cf023"),
    (PaperConfig.of(50_254, 1024), "eb9930eb69f4bf80f666e85069b7cd78"),
    (PaperConfig.of(300, 64, num_layers=2, composition="product", seed=7), "ea92c5c8d29ef3ea75a1f6a329103e40"),
]
CONFIGS = [config for config, _ in FINGERPRINTS]


@pytest.mark.parametrize(("config", "fingerprint"), FINGERPRINTS)
def test_fingerprints_are_what_they_were(config: MemoryConfig, fingerprint: str) -> None:
    assert config.fingerprint == fingerprint


def test_settings_are_written_as_they_were() -> None:
    """In this order, since a manifest is compared with its text."""
    assert json.dumps(CONFIGS[0].to_dict()) == (
        '{"num_banks": 6, "vocab_size": 256, "inner_dim": 64, "seed": 0, "preset": "text", '
        '"windows": [4, 8, 16, 32, 64], "keys": "text"}'
    )
    assert json.dumps(CONFIGS[2].to_dict()) == (
        '{"num_banks": 6, "vocab_size": 256, "inner_dim": 64, "seed": 0, "preset": "paper", '
        '"composition": "jlt", "key_dim": 66, "num_heads": 6, "num_layers": 1}'
    )


@pytest.mark.parametrize("config", CONFIGS)
def test_a_config_survives_json(config: MemoryConfig) -> None:
    again = config_from_dict(json.loads(json.dumps(config.to_dict())))
    assert (again, type(again), hash(again)) == (config, type(config), hash(config))
    assert replace(config, seed=config.seed + 1).fingerprint != config.fingerprint


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"preset": "memo"}, "preset is 'memo'; expected one of text, paper"),
        ({"preset": None}, "preset is None"),
        ({"preset": ["text"]}, "preset is"),
        ({"composition": "jlt"}, r"unknown settings \['composition'\]"),
        ({"cell_type": "<i2"}, r"unknown settings \['cell_type'\]"),
        ({"vocab_size": 0}, "vocab_size is 0"),
    ],
)
def test_what_is_not_understood_is_named(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        config_from_dict({**CONFIGS[0].to_dict(), **changes})


def test_a_missing_setting_is_told() -> None:
    values = CONFIGS[3].to_dict()
    del values["key_dim"]
    with pytest.raises(ConfigError, match=r"incomplete settings.*key_dim"):
        config_from_dict(values)


def test_the_common_config_is_no_memory() -> None:
    with pytest.raises(TypeError, match="abstract"):
        MemoryConfig(num_banks=1, vocab_size=10)  # type: ignore[abstract]  # that is what is tested


def test_models_are_named_as_their_configs_are() -> None:
    assert list(MODELS) == ["text", "paper"]
    for name, model in MODELS.items():
        assert model is model_named(name)
        assert (model.name, model.config_type.preset) == (name, name)
    for config in CONFIGS:
        assert isinstance(config, model_of(config).config_type)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_every_model_answers_every_question(model: Model) -> None:  # type: ignore[type-arg]  # of any config
    layers = AskedShape(inner_dim=64, num_layers=2)
    config = model.asked_config(300, AskedShape(inner_dim=64, windows=(4, 16)) if model.name == "text" else layers)
    assert (config.vocab_size, config.inner_dim, config.windows) == (300, 64, (4, 16))
    text = TextSize(1000, 3)
    larger = model.sized(config, 0.9, text)
    assert larger.num_parameters >= config.num_parameters
    held = text.tokens * config.num_layers
    assert model.predicted_recall(larger, text, held) >= 0.89
    assert model.shard_bytes(config) > 0
    assert model.recall_bytes(config) >= model.shard_bytes(config)
    contents = model.contents(config, range(config.num_banks), ShardRoom(), tokenizer=None)
    assert (contents.with_ledger is not None) == model.has_ledger
    assert model.cleanup(config, contents.encoder).encoder.config == config
    assert str(config.inner_dim) in model.shape_told(config)
    assert "0.875" in model.recall_told(0.875)


def test_a_size_that_is_asked_for_is_not_chosen() -> None:
    banks, dim = AskedShape(num_banks=7), AskedShape(inner_dim=64)
    text, paper = model_named("text"), model_named("paper")
    assert (text.is_sized(banks), text.is_sized(dim)) == (True, False)
    assert (paper.is_sized(AskedShape()), paper.is_sized(dim)) == (False, True)
    assert text.asked_config(100, banks).num_banks == 7
    with pytest.raises(ConfigError, match="--banks belongs to the preset 'text'"):
        paper.asked_config(100, banks)


@pytest.mark.parametrize("config", [CONFIGS[0], CONFIGS[2]], ids=["text", "paper"])
def test_portions_of_all_shards_are_the_whole(config: MemoryConfig) -> None:
    """What shards answer to their portions, added up by rows, is what banks read one at a time answer."""
    model, rng = model_of(config), np.random.default_rng(0)
    cells = {bank: rng.integers(-9, 10, config.bank_shape).astype(config.cell_type) for bank in range(6)}
    cues = rng.integers(0, 2**64, 40, dtype=np.uint64)
    if not model.has_ledger:
        cues = rng.standard_normal((40, 66)).astype(np.float32)
    total = np.zeros((40, config.inner_dim), config.vector_type)
    for banks in (range(2), range(2, 5), range(5, 6)):
        rows, part = model.portion(config, cues, banks)
        chosen = np.zeros_like(cues)
        if model.has_ledger:
            total[rows] += model.read_cells(config, part, lambda bank: cells[bank])
        else:
            width = config.bank_shape[0]
            chosen[:, banks.start * width : banks.stop * width] = part
            total[rows] += model.read_cells(config, chosen, lambda bank: cells[bank])
    assert np.allclose(total, model.read_cells(config, cues, lambda bank: cells[bank]), atol=1e-3)
    assert np.abs(total).max() > 0


def test_one_table_has_every_setting_of_every_model() -> None:
    text, paper = all_settings(CONFIGS[0]), all_settings(CONFIGS[2])
    assert list(text) == list(paper)
    assert (text["composition"], text["key_dim"], text["keys"]) == (None, None, "text")
    assert (paper["composition"], paper["key_dim"], paper["keys"]) == ("jlt", 66, None)
    assert (text["windows"], paper["windows"]) == ((4, 8, 16, 32, 64), (6,))
