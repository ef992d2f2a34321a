"""Re-quantising keeps a model's values, words and settings."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf.constants import GGMLQuantizationType, GGUFValueType
from gguf.quants import dequantize, quantize

from voice_agent.answering.requantise import to_q8_0

ROWS, COLUMNS = 4, 64


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A model of three tensors, its matrices in Q5_0."""
    values = np.random.default_rng(7).normal(size=(ROWS, COLUMNS)).astype(np.float32)
    stored = quantize(values, GGMLQuantizationType.Q5_0)
    path = tmp_path / "source.gguf"
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_uint32("qwen2.context_length", 4096)
    writer.add_array("tokenizer.ggml.tokens", ["a", "b"])
    writer.add_key_value(
        "tokenizer.ggml.token_type", [1, 3], GGUFValueType.ARRAY, sub_type=GGUFValueType.INT32
    )
    for name in ("token_embd.weight", "blk.0.ffn_up.weight"):
        writer.add_tensor(name, stored, raw_dtype=GGMLQuantizationType.Q5_0)
    writer.add_tensor("blk.0.attn_norm.weight", np.ones(COLUMNS, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_matrices_become_q8_0_and_the_rest_stays(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.gguf"
    to_q8_0(source, target)
    before = {tensor.name: tensor for tensor in gguf.GGUFReader(source).tensors}
    after = {tensor.name: tensor for tensor in gguf.GGUFReader(target).tensors}
    assert {name: tensor.tensor_type.name for name, tensor in after.items()} == {
        "token_embd.weight": "Q5_0",
        "blk.0.ffn_up.weight": "Q8_0",
        "blk.0.attn_norm.weight": "F32",
    }
    for name, tensor in after.items():
        was = dequantize(before[name].data, before[name].tensor_type)
        assert np.allclose(dequantize(tensor.data, tensor.tensor_type), was, atol=0.02), name


def test_the_words_and_settings_are_kept(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.gguf"
    to_q8_0(source, target)
    fields = gguf.GGUFReader(target).fields
    assert fields["general.architecture"].contents() == "qwen2"
    assert fields["qwen2.context_length"].contents() == 4096
    assert fields["tokenizer.ggml.tokens"].contents() == ["a", "b"]
    assert fields["tokenizer.ggml.token_type"].contents() == [1, 3]


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"not a model, but long enough to be read as one")
    with pytest.raises(ValueError, match="GGUF"):
        to_q8_0(path, tmp_path / "target.gguf")
