"""Turns a GGUF file into the Hugging Face folder that vLLM reads.

Run by the interpreter of vLLM's environment, which has torch and transformers; ours has neither:
``python gguf_to_huggingface.py FILE.gguf FOLDER``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch  # type: ignore[import-not-found]
import transformers  # type: ignore[import-not-found]


def convert(source: Path, target: Path) -> None:
    """Write the weights of ``source``, unpacked to bfloat16, and its tokenizer to ``target``."""
    place = {"pretrained_model_name_or_path": source.parent, "gguf_file": source.name}
    model = transformers.AutoModelForCausalLM.from_pretrained(dtype=torch.bfloat16, **place)
    # The weights are unpacked by now, but the model would still be saved as a quantised one.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(target)
    transformers.AutoTokenizer.from_pretrained(**place).save_pretrained(target)


if __name__ == "__main__":
    convert(Path(sys.argv[1]).resolve(), Path(sys.argv[2]))
