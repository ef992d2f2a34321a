"""Re-quantise a GGUF language model to Q8_0, which a CPU reads prompts faster with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

_BLOCK_VALUES = 32
_BLOCK_BYTES = 34  # the scale as float16, then one byte a value


def to_q8_0(source: Path, target: Path) -> None:
    """Write a copy whose matrices are Q8_0 (blocks of 32 signed bytes and one scale).

    Nothing is gained in quality: the values stay those of the source to within half a step.
    llama.cpp multiplies Q8_0 faster than the mixed Q4 and Q5 formats on CPUs without native
    builds, and reading the prompt is what a caller waits for. Token embeddings are only looked
    up, never multiplied, so they stay as they are; so do vectors. ``output.weight`` is a matrix.

    Raises:
        OSError, ValueError: the source is not a GGUF file, or the disk is full.
    """
    import gguf
    from gguf.constants import GGMLQuantizationType, GGUFValueType
    from gguf.quants import dequantize, quantize

    reader = gguf.GGUFReader(source)
    architecture = str(reader.fields["general.architecture"].contents())
    writer = gguf.GGUFWriter(target, architecture)
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == GGUFValueType.ARRAY else None
        value: Any = field.contents()
        if name == "general.file_type":
            value = int(gguf.LlamaFileType.MOSTLY_Q8_0)
        writer.add_key_value(name, value, kind, sub_type=inner)

    q8_0 = GGMLQuantizationType.Q8_0
    changed = set()
    for tensor in reader.tensors:
        columns, rows = int(tensor.shape[0]), int(np.prod(tensor.shape[1:]))
        is_looked_up = tensor.name == "token_embd.weight"
        if len(tensor.shape) != 2 or is_looked_up or columns % _BLOCK_VALUES:
            shape, stored_as = tensor.data.shape, tensor.tensor_type
            dtype, size_bytes = tensor.data.dtype, tensor.data.nbytes
        else:
            changed.add(tensor.name)
            row_bytes = columns // _BLOCK_VALUES * _BLOCK_BYTES
            shape, stored_as = (rows, row_bytes), q8_0
            dtype, size_bytes = np.dtype(np.uint8), rows * row_bytes
        writer.add_tensor_info(tensor.name, shape, dtype, size_bytes, raw_dtype=stored_as)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in reader.tensors:
        data = tensor.data
        if tensor.name in changed and tensor.tensor_type != q8_0:
            data = quantize(dequantize(data, tensor.tensor_type), q8_0)
        writer.write_tensor_data(data)
    writer.close()
