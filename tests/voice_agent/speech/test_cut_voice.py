"""A voice cut in two says the same as the whole; other voices are left whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from voice_agent.speech.cut_voice import cut
from voice_agent.speech.piper_voice import _CutSpeech, _session

WIDTH, HOP = 3, 4


def _voice(path: Path, *, inputs: tuple[str, ...] = ("input", "input_lengths", "scales")) -> Path:
    """A voice as small as can be: identity latents, one convolution, one that makes samples."""
    rng = np.random.default_rng(3)
    weights = {
        "table": rng.normal(size=(10, WIDTH)).astype(np.float32),
        "kernel": rng.normal(size=(WIDTH, WIDTH, 5)).astype(np.float32),
        "up": rng.normal(size=(WIDTH, 1, HOP)).astype(np.float32),
        "one": np.ones(1, np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["table", "input"], ["looked_up"], "/enc/Gather"),
        helper.make_node("Transpose", ["looked_up"], ["turned"], "/enc/Turn", perm=[0, 2, 1]),
        helper.make_node("Mul", ["turned", "one"], ["frames"], "/Mul"),
        helper.make_node("Conv", ["frames", "kernel"], ["wide"], "/dec/Conv", pads=[2, 2]),
        helper.make_node(
            "ConvTranspose", ["wide", "up"], ["output"], "/dec/Up", strides=[HOP], group=1
        ),
    ]
    kinds = {"input": TensorProto.INT64, "input_lengths": TensorProto.INT64}
    graph = helper.make_graph(
        nodes,
        "voice",
        [
            helper.make_tensor_value_info(
                name, kinds.get(name, TensorProto.FLOAT), [None] * (2 if name == "input" else 1)
            )
            for name in inputs
        ],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 1, "samples"])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    onnx.save(model, str(path))
    return path


def test_both_parts_together_say_what_the_whole_voice_says(tmp_path: Path) -> None:
    voice = _voice(tmp_path / "voice.onnx")
    ids = [number % 10 for number in range(150)]
    inputs = {
        "input": np.array([ids]),
        "input_lengths": np.array([150]),
        "scales": np.ones(3, np.float32),
    }
    (whole,) = onnxruntime.InferenceSession(str(voice)).run(None, inputs)
    parts = cut(voice)
    assert parts is not None
    assert parts.width == WIDTH
    front = _session(parts.front)
    pieces = list(_CutSpeech(front, parts).sound(ids, (0.0, 1.0, 0.0)))
    assert len(pieces) > 2
    np.testing.assert_allclose(np.concatenate(pieces), whole.reshape(-1), atol=1e-5)


def test_a_voice_of_another_make_is_left_whole(tmp_path: Path) -> None:
    inputs = ("input", "input_lengths", "scales", "sid")
    assert cut(_voice(tmp_path / "voice.onnx", inputs=inputs)) is None


def test_a_file_that_is_no_model_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"\x00not a model")
    with pytest.raises(Exception, match=r"."):
        cut(tmp_path / "bad.onnx")
