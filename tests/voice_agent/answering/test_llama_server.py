"""The language model's process refuses in one line what it cannot serve."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from voice_agent.answering.llama_server import arguments, main


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    """A file that begins like a model and holds nothing more."""
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + bytes(64))
    return path


def test_a_missing_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", str(tmp_path / "none.gguf")]) == 2
    assert capsys.readouterr().err == f"{tmp_path / 'none.gguf'}: no such model file\n"


def test_a_folder_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", str(tmp_path)]) == 2
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"GGU", b"PK\x03\x04zip", b"<html>not found</html>"])
def test_another_format_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    assert main(["--model", str(path)]) == 2
    assert capsys.readouterr().err == f"{path}: is not a GGUF model file\n"


def test_a_port_in_use_is_one_line(gguf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert main(["--model", str(gguf), "--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert said == f"language model: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_wrong_usage_is_exit_code_2() -> None:
    with pytest.raises(SystemExit) as caught:
        arguments(["--port", "many"])
    assert caught.value.code == 2
