"""Cut a Piper voice in two, so that a sentence can be heard before all of it is made.

A Piper voice is a VITS network (Kim et al., "Conditional Variational Autoencoder with Adversarial
Learning for End-to-End Text-to-Speech", 2021) exported as one graph: the front turns phonemes into
latent frames in a fifth of the time, the decoder turns frames into sound. The decoder is made of
convolutions, so any stretch of frames with enough context gives the same sound as all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

_DECODER = "/dec/"
_INPUTS = {"input", "input_lengths", "scales"}


@dataclass(frozen=True, slots=True)
class CutVoice:
    """Both parts as ONNX models. ``frames`` is the name of what passes between them."""

    front: bytes
    decoder: bytes
    frames: str
    width: int


def cut(voice: Path) -> CutVoice | None:
    """The two parts of a voice; ``None`` for one of another make (several speakers, say).

    Raises:
        Exception: not a model; onnx raises types of its own.
    """
    model = onnx.load(str(voice))
    graph = model.graph
    made_by = {name: node for node in graph.node for name in node.output}
    decoder = [node for node in graph.node if node.name.startswith(_DECODER)]
    between = {
        name
        for node in decoder
        for name in node.input
        if name in made_by and not made_by[name].name.startswith(_DECODER)
    }
    if len(between) != 1 or {value.name for value in graph.input} != _INPUTS:
        return None
    (frames,) = between
    width = _input_width(graph, decoder, frames)
    if width is None:
        return None
    link = helper.make_tensor_value_info(frames, TensorProto.FLOAT, [1, width, "frames"])
    output = [value.name for value in graph.output]
    return CutVoice(
        front=_part(model, _needed(made_by, [frames], ()), list(graph.input), [link]),
        decoder=_part(model, _needed(made_by, output, (frames,)), [link], list(graph.output)),
        frames=frames,
        width=width,
    )


def _input_width(graph: GraphProto, decoder: Iterable[NodeProto], frames: str) -> int | None:
    """How many numbers a frame has: the width of the convolution that takes it."""
    weights = {node.input[1] for node in decoder if frames in node.input and node.op_type == "Conv"}
    widths = {tensor.dims[1] for tensor in graph.initializer if tensor.name in weights}
    return int(widths.pop()) if len(widths) == 1 else None


def _needed(
    made_by: dict[str, NodeProto], outputs: Iterable[str], known: Iterable[str]
) -> set[str]:
    """Names of all that is needed to make ``outputs`` when ``known`` is there."""
    needed: set[str] = set()
    waiting = list(outputs)
    while waiting:
        name = waiting.pop()
        if name in needed or name in known:
            continue
        needed.add(name)
        if name in made_by:
            waiting += [source for source in made_by[name].input if source]
    return needed


def _part(
    model: ModelProto,
    needed: set[str],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
) -> bytes:
    nodes = [node for node in model.graph.node if needed.intersection(node.output)]
    weights = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    graph = helper.make_graph(nodes, "part", inputs, outputs, weights)
    part = helper.make_model(
        graph, opset_imports=list(model.opset_import), ir_version=model.ir_version
    )
    made: bytes = part.SerializeToString()
    return made
