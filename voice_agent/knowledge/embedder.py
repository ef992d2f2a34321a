"""Sentence embeddings: all-MiniLM-L6-v2 on CTranslate2, without torch.

The model is a six-layer BERT encoder; a text's embedding is the mean of its token vectors,
scaled to length one (Reimers and Gurevych, Sentence-BERT, 2019).
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from voice_agent.knowledge.errors import EmbedderUnusable

DIMENSIONS = 384
MAX_TOKENS = 256  # the length the model was evaluated with; [CLS] and [SEP] are among them
BATCH_TEXTS = 32

Vectors = npt.NDArray[np.float32]


def convert(source: Path, target: Path) -> None:
    """Build the folder `Embedder.load` reads from the published Hugging Face files.

    Args:
        source: folder with ``model.safetensors``, ``tokenizer.json`` and ``config.json``.
        target: folder to create; appears complete or not at all, and replaces an older one.

    Raises:
        EmbedderUnusable: a file is missing or the tensors are not those of a BERT encoder.
    """
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        if not (source / name).is_file():
            raise EmbedderUnusable(f"{source}: {name} is missing")
    try:
        config = json.loads((source / "config.json").read_text(encoding="utf-8"))
        vocabulary = Tokenizer.from_file(str(source / "tokenizer.json")).get_vocab()
        spec = _encoder_spec(load_file(source / "model.safetensors"), config, vocabulary)
    except Exception as error:  # tokenizers and safetensors raise their own bare exceptions
        raise EmbedderUnusable(f"{source}: not a MiniLM model: {error!r}") from error
    target.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        spec.save(str(building))
        shutil.copyfile(source / "tokenizer.json", building / "tokenizer.json")
        building.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        building.replace(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _encoder_spec(
    tensors: dict[str, npt.NDArray[Any]], config: dict[str, Any], vocabulary: dict[str, int]
) -> Any:
    """The CTranslate2 description of the encoder, quantised to 8-bit integers."""
    from ctranslate2.converters import utils
    from ctranslate2.specs import common_spec, transformer_spec

    encoder = transformer_spec.TransformerEncoderSpec(
        config["num_hidden_layers"],
        config["num_attention_heads"],
        pre_norm=False,
        activation=common_spec.Activation.GELU,
        layernorm_embedding=True,
        num_source_embeddings=2,
        embeddings_merge=common_spec.EmbeddingsMerge.ADD,
    )
    spec = transformer_spec.TransformerEncoderModelSpec(encoder, pooling_layer=False)
    encoder.scale_embeddings = False

    def take_linear(layer: Any, name: str) -> Any:
        layer.weight, layer.bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
        return layer

    def take_norm(layer: Any, name: str) -> None:
        layer.gamma, layer.beta = tensors[f"{name}.weight"], tensors[f"{name}.bias"]

    encoder.embeddings[0].weight = tensors["embeddings.word_embeddings.weight"]
    encoder.embeddings[1].weight = tensors["embeddings.token_type_embeddings.weight"]
    encoder.position_encodings.encodings = tensors["embeddings.position_embeddings.weight"]
    take_norm(encoder.layernorm_embedding, "embeddings.LayerNorm")
    for number, layer in enumerate(encoder.layer):
        prefix = f"encoder.layer.{number}"
        fused = [
            take_linear(common_spec.LinearSpec(), f"{prefix}.attention.self.{part}")
            for part in ("query", "key", "value")
        ]
        utils.fuse_linear(layer.self_attention.linear[0], fused)
        take_linear(layer.self_attention.linear[1], f"{prefix}.attention.output.dense")
        take_norm(layer.self_attention.layer_norm, f"{prefix}.attention.output.LayerNorm")
        take_linear(layer.ffn.linear_0, f"{prefix}.intermediate.dense")
        take_linear(layer.ffn.linear_1, f"{prefix}.output.dense")
        take_norm(layer.ffn.layer_norm, f"{prefix}.output.LayerNorm")
    spec.config.unk_token = "[UNK]"  # noqa: S105 - a vocabulary entry
    spec.config.layer_norm_epsilon = config["layer_norm_eps"]
    spec.register_vocabulary(sorted(vocabulary, key=vocabulary.__getitem__))
    spec.validate()
    spec.optimize(quantization="int8")
    return spec


class Embedder:
    """Texts to vectors. One instance serves every thread of a process."""

    def __init__(self, encoder: Any, tokenizer: Tokenizer, identity: str) -> None:
        self._encoder = encoder
        self._tokenizer = tokenizer
        self.identity = identity
        """Changes whenever the model's files do, so an index knows what it was made with."""

    @classmethod
    def load(cls, folder: Path) -> Embedder:
        """Read a folder made by `convert` (about 0.1 s, 30 MB).

        Raises:
            EmbedderUnusable: the folder is missing, incomplete or damaged.
        """
        try:
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            encoder = ctranslate2.Encoder(
                str(folder), device="cpu", compute_type="int8", inter_threads=1, intra_threads=1
            )
            identity = hashlib.sha256((folder / "tokenizer.json").read_bytes())
            identity.update((folder / "model.bin").read_bytes())
        except Exception as error:  # both libraries raise bare exceptions
            reason = str(error).splitlines()[0]
            raise EmbedderUnusable(
                f"{folder}: cannot load the embedding model: {reason}"
            ) from error
        tokenizer.enable_truncation(max_length=MAX_TOKENS)
        tokenizer.no_padding()
        return cls(encoder, tokenizer, identity.hexdigest()[:16])

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts in batches of similar length.

        Args:
            texts: any strings; an empty one gets a valid, meaningless vector. Text beyond
                256 tokens is not seen.

        Returns:
            float32 array ``(len(texts), 384)``, each row of length one.
        """
        vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        readable = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch(readable)]
        by_length = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        for start in range(0, len(by_length), BATCH_TEXTS):
            rows = by_length[start : start + BATCH_TEXTS]
            output = self._encoder.forward_batch([ids[row] for row in rows])
            hidden = np.array(output.last_hidden_state, dtype=np.float32)
            lengths = np.array([len(ids[row]) for row in rows])
            real = np.arange(hidden.shape[1])[None, :] < lengths[:, None]
            mean = (hidden * real[:, :, None]).sum(axis=1) / lengths[:, None]
            vectors[rows] = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return vectors

    def count_tokens(self, text: str) -> int:
        """Tokens of a text up to the model's limit of 256, without its two special ones."""
        return max(0, len(self._tokenizer.encode(text).ids) - 2)
