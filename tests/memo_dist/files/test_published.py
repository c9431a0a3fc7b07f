"""Published memories: packed cells read as plain ones do, nothing else is kept, damage is refused.

Covers: planes.py, published.py, the command. Truth is the plain form: integers expanded, a matrix product.
"""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import expanded

from console.app import main
from memo_dist import Memory, TextConfig, Tokenizer
from memo_dist.errors import DamagedMemoryError, MemoError
from memo_dist.files.format import shard_file
from memo_dist.files.manifest import MANIFEST_FILE, Manifest
from memo_dist.files.opened import open_memory
from memo_dist.files.published_writer import publish
from memo_dist.kernels.planes import read_planes
from memo_dist.models.text.bit_planes import BITS, PUBLISHED_BITS, noise_factor, quantize
from memo_dist.models.text.codes import signs
from memo_dist.recalling.session import Session

CONFIG = TextConfig(num_banks=6, vocab_size=256, inner_dim=128, windows=(4, 16, 64))
PARAGRAPH = "".join(f"line {i}: {i * i % 97} and {i * 31 % 89}.\n" for i in range(60))


def random_bank(dim: int, load: int, seed: int) -> np.ndarray:
    keys, values = np.random.default_rng(seed).choice([-1, 1], (2, load, dim))
    return np.asarray((keys.T @ values).astype(np.int16))


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([64, 128, 256]), st.integers(0, 2000), st.sampled_from(BITS), st.integers(0, 99))
@pytest.mark.slow
def test_reading_planes_is_reading_their_integers(dim: int, load: int, bits: int, seed: int) -> None:
    planes = np.stack([quantize(random_bank(dim, load, seed + i), bits)[0] for i in range(3)])
    rng = np.random.default_rng(seed)
    keys = rng.integers(0, 2**64, (20, dim // 64), dtype=np.uint64)
    banks, out = rng.integers(0, 3, 20), np.empty((20, dim), np.int32)
    read_planes(planes, banks, keys, out)
    for row, bank in enumerate(banks):
        assert np.array_equal(out[row], signs(keys[row : row + 1])[0].astype(np.int64) @ expanded(planes[bank]))


@pytest.mark.parametrize("bits", BITS)
def test_quantising_is_the_nearest_odd_integer_and_keeps_the_signal(bits: int) -> None:
    cells = random_bank(256, 1500, 0)
    planes, scale = quantize(cells, bits)
    levels = expanded(planes)
    top = 2**bits - 1
    assert set(np.unique(np.abs(levels) % 2)) == {1}
    assert np.abs(levels).max() <= top
    assert np.array_equal(np.sign(levels)[cells != 0], np.sign(cells)[cells != 0])
    order = np.argsort(cells, axis=None, kind="stable")
    assert (np.diff(levels.ravel()[order]) >= 0).all()  # rising with the cell
    error = np.square(scale * levels - cells).sum() / np.square(cells, dtype=np.int64).sum()
    assert error < 1.1 * (noise_factor(bits) - 1) + 1e-3
    assert np.isclose((scale * levels * cells).sum(), np.square(cells, dtype=np.int64).sum())


@pytest.mark.parametrize("bits", [1, *(pytest.param(bits, marks=pytest.mark.slow) for bits in BITS if bits > 1)])
def test_the_noise_of_few_bits_is_that_of_more_associations(bits: int) -> None:
    cells = random_bank(256, 3000, 1)
    planes, scale = quantize(cells, bits)
    keys = np.random.default_rng(2).choice([-1, 1], (4000, 256))
    plain, packed = keys @ cells, scale * (keys @ expanded(planes))
    assert np.square(packed).mean() / np.square(plain).mean() == pytest.approx(noise_factor(bits), rel=0.02)


def test_an_empty_bank_reads_as_nothing() -> None:
    planes, scale = quantize(np.zeros((64, 64), np.int16), 2)
    assert scale == 0.0
    assert planes.shape == (2, 64, 1)


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of text, in bytes; one document."""
    path = tmp_path_factory.mktemp("memory") / "m.memo"
    made = Memory(CONFIG, Tokenizer.bytes())
    made.memorize("paragraph", np.frombuffer(PARAGRAPH.encode(), np.uint8))
    made.save(path)
    return path


@pytest.mark.parametrize("bits", PUBLISHED_BITS)
def test_a_published_memory_continues_as_the_memory_does(memory: Path, tmp_path: Path, bits: int) -> None:
    manifest = publish(memory, tmp_path / "p.memo", bits)
    assert manifest.bits == bits
    with open_memory(memory) as stored, open_memory(tmp_path / "p.memo") as published:
        published.verify()
        prompts = [np.frombuffer(PARAGRAPH.encode(), np.uint8)[i : i + 64] for i in range(0, 1000, 100)]
        theirs = Session(stored).recall(prompts)
        assert [one.tokens for one in Session(published).recall(prompts)] == [one.tokens for one in theirs]
        assert all(len(one.tokens) == 50 for one in theirs)
        cues = np.random.default_rng(0).integers(0, 2**64, 50, dtype=np.uint64)
        exact, ours = stored.read(cues), published.read(cues)
        if bits == 16:
            assert np.array_equal(ours, exact)
        else:
            share = np.square(ours - exact, dtype=np.int64).sum() / np.square(exact, dtype=np.int64).sum()
            assert share < 1.3 * (noise_factor(bits) - 1) + 1e-3
        # at 16 bits a cell takes both its bytes, and one where the memory itself packs it
        assert (published.bytes_on_disk < stored.bytes_on_disk) == (bits < 16)
        assert np.array_equal(published.token_counts(), stored.token_counts())


def test_the_digest_names_what_was_published_and_how(memory: Path, tmp_path: Path) -> None:
    digests = [publish(memory, tmp_path / f"{i}.memo", bits).digest for i, bits in enumerate((1, 1, 2))]
    assert digests[0] == digests[1] != digests[2]
    entry = Manifest.read(tmp_path / "0.memo").sources[-1]
    assert (entry.action, entry.bits, entry.digest) == ("publish", 1, Manifest.read(memory).digest)


def test_changing_it_is_refused_with_the_reason(
    memory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "p.memo")
    publish(memory, tmp_path / "p.memo", 1)
    (tmp_path / "a.txt").write_text("more")
    text, out = str(tmp_path / "a.txt"), str(tmp_path / "o.memo")
    for words in (
        ["add", path, text],
        ["forget", path, text],
        ["merge", path, str(memory), "--out", out],
        ["rebank", path, "--banks", "3", "--out", out],
        ["publish", path, "--form", "sums", "--out", out],
    ):
        assert main(words) == 2, words
        assert "for recall only" in " ".join(capsys.readouterr().err.split())
    assert main(["recall", path, "--prompt", PARAGRAPH[:80], "--shards", "2"]) == 2
    assert "published" in capsys.readouterr().err
    with pytest.raises(MemoError, match="for recall only"):
        Memory.open(path)
    assert not Path(out).exists()


def test_the_program_publishes_inspects_verifies_and_recalls(
    memory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "p.memo")
    assert main(["publish", str(memory), "--form", "sums", "--bits", "3", "--out", path]) == 2
    assert "--bits is 3; expected one of 1, 2, 4, 8, 16" in capsys.readouterr().err
    assert main(["publish", str(memory), "--form", "sums", "--bits", "1", "--out", path, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["bytes_per_token"] == said["bytes_on_disk"] / len(PARAGRAPH)
    assert main(["inspect", path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["published_bits"] == 1
    assert main(["verify", path]) == 0
    assert main(["recall", path, "--prompt", PARAGRAPH[200:280], "--json"]) == 0
    assert json.loads(capsys.readouterr().out.split("\n", 1)[1])["results"][0]["text"] == PARAGRAPH[280:330]
    assert main(["publish", str(memory), "--form", "sums", "--out", path]) == 2  # it is there


def read_all(path: Path) -> None:
    with open_memory(path) as published:
        published.read(np.arange(6, dtype=np.uint64) * np.uint64(2**64 // 6 + 1))
        published.verify()


@pytest.mark.parametrize("seed", range(40))
def test_damage_is_refused_by_name(memory: Path, tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    path = tmp_path / "p.memo"
    publish(memory, path, int(rng.choice(PUBLISHED_BITS)))
    file = path / (shard_file(0) if seed % 4 else MANIFEST_FILE)
    content = bytearray(file.read_bytes())
    if seed % 5 == 0:
        content = content[: int(rng.integers(len(content)))]
    else:
        content[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
    file.write_bytes(bytes(content))
    with pytest.raises(DamagedMemoryError, match=file.name):
        read_all(path)


def test_a_bank_is_checked_when_it_is_first_asked(memory: Path, tmp_path: Path) -> None:
    path = tmp_path / "p.memo"
    publish(memory, path, 2)
    with h5py.File(path / shard_file(0), "r+") as opened:
        opened["cells"][3, 0, 0, 0] ^= np.uint64(1)
    edges = np.arange(6, dtype=np.uint64) * np.uint64(2**64 // 6 + 1)
    with open_memory(path) as published:
        published.read(edges[:3])
        with pytest.raises(DamagedMemoryError, match=r"shard-00000\.h5: bank 3"):
            published.read(edges[3:4])
