from __future__ import annotations

import json
import math
import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import save_file

from voice_agent.knowledge.embedder import DIMENSIONS, MAX_TOKENS, Embedder, Vectors, convert
from voice_agent.knowledge.errors import EmbedderUnusable

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "sofa", "lamp", "costs", "much", "."]
HEADS = 12
INNER = 96
Tensors = dict[str, npt.NDArray[np.float32]]


def tiny_model(folder: Path) -> Tensors:
    """A one-layer model with random weights in the published layout."""
    random = np.random.default_rng(7)

    def some(*shape: int) -> npt.NDArray[np.float32]:
        return random.normal(0, 0.2, shape).astype(np.float32)

    tensors: Tensors = {
        "embeddings.word_embeddings.weight": some(len(VOCABULARY), DIMENSIONS),
        "embeddings.position_embeddings.weight": some(512, DIMENSIONS),
        "embeddings.token_type_embeddings.weight": some(2, DIMENSIONS),
    }
    layer = "encoder.layer.0"
    for name, rows, columns in (
        ("attention.self.query", DIMENSIONS, DIMENSIONS),
        ("attention.self.key", DIMENSIONS, DIMENSIONS),
        ("attention.self.value", DIMENSIONS, DIMENSIONS),
        ("attention.output.dense", DIMENSIONS, DIMENSIONS),
        ("intermediate.dense", INNER, DIMENSIONS),
        ("output.dense", DIMENSIONS, INNER),
    ):
        tensors[f"{layer}.{name}.weight"] = some(rows, columns)
        tensors[f"{layer}.{name}.bias"] = some(rows)
    for norm in (
        "embeddings.LayerNorm",
        f"{layer}.attention.output.LayerNorm",
        f"{layer}.output.LayerNorm",
    ):
        tensors[f"{norm}.weight"], tensors[f"{norm}.bias"] = 1 + some(DIMENSIONS), some(DIMENSIONS)
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "model.safetensors")
    config = {"num_hidden_layers": 1, "num_attention_heads": HEADS, "layer_norm_eps": 1e-12}
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "BertProcessing",
            "sep": ["[SEP]", VOCABULARY.index("[SEP]")],
            "cls": ["[CLS]", VOCABULARY.index("[CLS]")],
        },
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {word: number for number, word in enumerate(VOCABULARY)},
        },
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return tensors


def reference(tensors: Tensors, ids: list[int]) -> npt.NDArray[np.float32]:
    """The encoder as the BERT paper writes it (Devlin et al., 2019), in plain numpy."""

    def linear(x: Any, name: str) -> Any:
        return x @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]

    def norm(x: Any, name: str) -> Any:
        scaled = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return scaled * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]

    def heads(x: Any) -> Any:
        return x.reshape(len(ids), HEADS, -1).transpose(1, 0, 2)

    layer = "encoder.layer.0"
    x = tensors["embeddings.word_embeddings.weight"][ids]
    x = x + tensors["embeddings.position_embeddings.weight"][: len(ids)]
    x = norm(x + tensors["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    query, key, value = (
        heads(linear(x, f"{layer}.attention.self.{part}")) for part in ("query", "key", "value")
    )
    weights = np.exp(query @ key.transpose(0, 2, 1) / math.sqrt(DIMENSIONS / HEADS))
    seen = (weights / weights.sum(-1, keepdims=True)) @ value
    seen = seen.transpose(1, 0, 2).reshape(len(ids), DIMENSIONS)
    x = norm(
        x + linear(seen, f"{layer}.attention.output.dense"), f"{layer}.attention.output.LayerNorm"
    )
    inner = linear(x, f"{layer}.intermediate.dense")
    inner = inner * 0.5 * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
    x = norm(x + linear(inner, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
    mean: npt.NDArray[np.float32] = x.mean(0)
    return mean / np.float32(np.linalg.norm(mean))


@pytest.fixture(scope="module")
def tensors_and_folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tensors, Path]:
    folder = tmp_path_factory.mktemp("minilm")
    tensors = tiny_model(folder / "source")
    convert(folder / "source", folder / "target")
    return tensors, folder / "target"


@pytest.fixture(scope="module")
def embedder(tensors_and_folder: tuple[Tensors, Path]) -> Embedder:
    return Embedder.load(tensors_and_folder[1])


def test_the_converted_model_computes_what_the_published_one_does(
    tensors_and_folder: tuple[Tensors, Path], embedder: Embedder
) -> None:
    texts = ["sofa", "how much costs lamp .", "lamp lamp sofa costs much . . lamp"]
    ids = [
        [
            VOCABULARY.index(word if word in VOCABULARY else "[UNK]")
            for word in ("[CLS]", *text.split(), "[SEP]")
        ]
        for text in texts
    ]
    vectors = embedder.embed(texts)
    for row, numbers in enumerate(ids):
        assert float(vectors[row] @ reference(tensors_and_folder[0], numbers)) > 0.99


def test_vectors_have_length_one_whatever_the_text(embedder: Embedder) -> None:
    texts = ["sofa", "", "   ", "🎉", "\ud800", "x" * 10_000, "lamp " * 5_000]
    vectors = embedder.embed(texts)
    assert vectors.shape == (len(texts), DIMENSIONS)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert embedder.embed([]).shape == (0, DIMENSIONS)


def test_a_text_has_the_same_vector_alone_and_in_any_batch(embedder: Embedder) -> None:
    texts = [f"{'lamp ' * (n % 7)}sofa" for n in range(70)]
    batched = embedder.embed(texts)
    alone = np.concatenate([embedder.embed([text]) for text in texts])
    assert np.allclose(batched, alone, atol=0.02)


def test_only_the_first_256_tokens_are_seen(embedder: Embedder) -> None:
    seen = "lamp " * (MAX_TOKENS - 2)
    assert np.allclose(embedder.embed([seen]), embedder.embed([seen + "sofa " * 50]))
    assert embedder.count_tokens("lamp sofa") == 2
    assert embedder.count_tokens("") == 0


def test_threads_share_one_embedder(embedder: Embedder) -> None:
    expected, found = embedder.embed(["lamp costs much"]), dict[int, Vectors]()

    def work(number: int) -> None:
        found[number] = embedder.embed(["lamp costs much"])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(expected, vectors) for vectors in found.values())
    assert len(found) == 6


def test_the_identity_follows_the_files(
    tensors_and_folder: tuple[Tensors, Path], embedder: Embedder, tmp_path: Path
) -> None:
    assert Embedder.load(tensors_and_folder[1]).identity == embedder.identity
    tiny_model(tmp_path / "source")
    tokenizer = tmp_path / "source" / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text() + "\n")
    convert(tmp_path / "source", tmp_path / "target")
    assert Embedder.load(tmp_path / "target").identity != embedder.identity


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_converting_without_a_file_names_it_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    tiny_model(tmp_path / "source")
    (tmp_path / "source" / name).unlink()
    with pytest.raises(EmbedderUnusable, match=name):
        convert(tmp_path / "source", tmp_path / "target")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_converting_garbage_is_refused_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    tiny_model(tmp_path / "source")
    (tmp_path / "source" / name).write_bytes(b"\x00garbage")
    with pytest.raises(EmbedderUnusable, match="not a MiniLM model"):
        convert(tmp_path / "source", tmp_path / "target")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_converting_replaces_an_older_model(tmp_path: Path) -> None:
    tiny_model(tmp_path / "source")
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "old").write_text("")
    convert(tmp_path / "source", tmp_path / "target")
    assert not (tmp_path / "target" / "old").exists()
    Embedder.load(tmp_path / "target")


def test_a_folder_without_a_model_is_one_clear_line(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(EmbedderUnusable) as caught:
            Embedder.load(folder)
        assert str(folder) in str(caught.value)
        assert "\n" not in str(caught.value)
