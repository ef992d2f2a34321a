"""How vLLM's environment is prepared, with a stand-in for its interpreter."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals import vllm_cpu
from evals.vllm_cpu import VllmCpuError


def interpreter(folder: Path, script: str) -> Path:
    """A venv whose python runs this shell script: $2 is the GGUF file, $3 the folder to fill."""
    python = folder / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    return path


def test_a_model_is_converted_once_and_again_when_it_has_changed(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = interpreter(tmp_path / "vllm", 'echo "$2" >> runs; echo {} > "$3/config.json"')
    monkeypatch.chdir(tmp_path)
    target = vllm_cpu.convert_once(source, folder)
    assert vllm_cpu.convert_once(source, folder) == target
    assert (target / "config.json").is_file()
    assert (tmp_path / "runs").read_text().splitlines() == [str(source)]
    source.write_bytes(b"GGUF, but another")
    assert vllm_cpu.convert_once(source, folder) == target
    assert len((tmp_path / "runs").read_text().splitlines()) == 2


def test_a_failed_conversion_leaves_nothing_that_looks_like_a_model(
    source: Path, tmp_path: Path
) -> None:
    folder = interpreter(tmp_path / "vllm", 'echo {} > "$3/config.json"; exit 1')
    with pytest.raises(VllmCpuError, match=r"model\.gguf: could not be converted"):
        vllm_cpu.convert_once(source, folder)
    assert not (folder / "models" / vllm_cpu.MODEL).exists()


def test_a_missing_model_is_one_line_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(VllmCpuError) as error:
        vllm_cpu.converted(tmp_path / "vllm", tmp_path / "models")
    assert "\n" not in str(error.value)
    assert vllm_cpu.MODEL in str(error.value)


def test_a_cpu_never_takes_the_compiled_path_and_reports_cached_tokens(tmp_path: Path) -> None:
    argv, environment = vllm_cpu.command(tmp_path, "127.0.0.1", 8091)
    assert {"--enforce-eager", "--enable-prompt-tokens-details"} <= set(argv)
    assert argv[argv.index("--scheduling-policy") + 1] == "priority"
    assert environment["HF_HUB_OFFLINE"] == "1"
