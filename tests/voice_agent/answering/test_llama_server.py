"""The language model's process refuses in one line what it cannot serve."""

from __future__ import annotations

import itertools
import socket
from pathlib import Path

import pytest

from voice_agent.answering import native_build
from voice_agent.answering.llama_server import (
    LlamaServerError,
    arguments,
    main,
    native_command,
    native_server,
)


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


def test_a_native_server_asked_for_and_missing_is_one_line(gguf: Path, tmp_path: Path) -> None:
    options = arguments(
        ["--model", str(gguf), "--server", "native", "--native-folder", str(tmp_path / "none")]
    )
    with pytest.raises(LlamaServerError, match="voice-agent models build-native"):
        native_server(options)


def test_the_native_server_is_used_when_it_is_there(
    gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "llama-server"
    monkeypatch.setattr(native_build, "built", lambda _: there)
    model = ["--model", str(gguf)]
    assert native_server(arguments(model)) == there
    assert native_server(arguments([*model, "--server", "native"])) == there
    assert native_server(arguments([*model, "--server", "wheel"])) is None


def test_without_a_native_server_the_packaged_one_serves(gguf: Path, tmp_path: Path) -> None:
    options = arguments(["--model", str(gguf), "--native-folder", str(tmp_path)])
    assert native_server(options) is None


def test_the_native_server_gets_the_same_settings(gguf: Path) -> None:
    options = arguments(
        [
            "--model",
            str(gguf),
            "--alias",
            "small",
            "--port",
            "9",
            "--slots",
            "3",
            "--context-tokens",
            "1000",
            "--threads",
            "4",
            "--batch-threads",
            "5",
            "--batch-tokens",
            "64",
            "--key-env",
            "SECRET",
        ]
    )
    command = native_command(Path("/bin/llama-server"), options)
    given = dict(itertools.pairwise(command))
    assert given["--model"] == str(gguf)
    assert given["--alias"] == "small"
    assert given["--host"] == "127.0.0.1"
    assert given["--ctx-size"] == "3000"
    assert given["--parallel"] == "3"
    assert (given["--threads"], given["--threads-batch"]) == ("4", "5")
    assert given["--batch-size"] == given["--ubatch-size"] == "64"
    assert given["--spec-type"] == "ngram-simple"
    assert "--metrics" in command
    assert "SECRET" not in " ".join(command)  # keys go by the environment
