"""The pre-flight check: each thing that would stop the product is one clear line."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from voice_agent.check import (
    findings,
    manifest_models,
    running_findings,
    serving,
    wanted_models,
    warnings,
)
from voice_agent.config import Settings


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def tree(tmp_path: Path) -> dict[str, Any]:
    """Settings that would start, on free ports, with models that exist."""
    prompt = tmp_path / "answer.txt"
    prompt.write_text("Answer.")
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "returns.md").write_text("# Returns")
    model = tmp_path / "model.bin"
    model.write_bytes(b"GGUF")
    own = str(model)
    return {
        "gateway": {name: {"port": free_port()} for name in ("sip", "web", "control")},
        "media": {"port": free_port()},
        "console": {"port": free_port()},
        "models": {"folder": str(tmp_path / "models")},
        "speech": {
            "transcriber": {"model": own},
            "synthesiser": {"voice": own, "port": free_port()},
        },
        "knowledge": {"documents": str(documents), "embedder": own},
        "safety": {"names_model": own},
        "turns": {"second_opinion": own},
        "answering": {
            "prompt": str(prompt),
            "model": {"model_file": own, "url": f"http://127.0.0.1:{free_port()}/v1"},
        },
    }


@pytest.fixture
def answering_server() -> Iterator[int]:
    """An HTTP server that answers 200 to /v1/models with the right key and 500 elsewhere."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            right = self.headers.get("Authorization") in (None, "Bearer right")
            good = self.path in ("/v1/models", "/readyz", "/healthz")
            self.send_response((200 if right else 401) if good else 500)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def lines(tree: dict[str, Any]) -> list[str]:
    found = findings(Settings.model_validate(tree))
    assert all("\n" not in finding.message for finding in found)
    return [f"{finding.code}: {finding.message}" for finding in found]


def test_nothing_is_found_when_everything_is_there(tree: dict[str, Any]) -> None:
    assert lines(tree) == []


def test_a_missing_model_says_how_to_get_it(tree: dict[str, Any]) -> None:
    tree["speech"]["transcriber"]["model"] = "whisper-base"
    (line,) = lines(tree)
    assert line.startswith("model_missing: model `whisper-base` is not in ")
    assert "voice-agent models pull" in line


def test_an_unknown_model_is_named(tree: dict[str, Any]) -> None:
    tree["knowledge"]["embedder"] = "mini-lm"
    (line,) = lines(tree)
    assert line.startswith("model_unknown: unknown model `mini-lm`")


def test_missing_files_name_their_key(tree: dict[str, Any], tmp_path: Path) -> None:
    tree["answering"]["prompt"] = str(tmp_path / "gone.txt")
    tree["knowledge"]["documents"] = str(tmp_path / "nowhere")
    prompt, documents = lines(tree)
    assert "answering.prompt: there is no file" in prompt
    assert "knowledge.documents: there is no folder" in documents


def test_actions_that_cannot_be_declared_so_are_found(tree: dict[str, Any], tmp_path: Path) -> None:
    wrong = tmp_path / "actions.yaml"
    wrong.write_text("sources: 3\n", encoding="utf-8")
    tree["actions"] = {"enabled": True, "declarations": str(wrong)}
    (line,) = lines(tree)
    assert line.startswith(f"actions_invalid: actions.declarations: {wrong}: `sources`")
    tree["actions"]["enabled"] = False
    assert lines(tree) == []


def test_a_folder_without_documents_is_found(tree: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "documents" / "returns.md").unlink()
    (line,) = lines(tree)
    assert line.endswith("is empty")


@pytest.mark.parametrize(
    ("section", "kind"), [("web", socket.SOCK_STREAM), ("sip", socket.SOCK_DGRAM)]
)
def test_a_port_in_use_is_named(tree: dict[str, Any], section: str, kind: int) -> None:
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            other.listen()
        port = other.getsockname()[1]
        tree["gateway"][section]["port"] = port
        (line,) = lines(tree)
    assert f"127.0.0.1:{port}: address already in use" in line


def test_one_port_for_two_things_is_found(tree: dict[str, Any]) -> None:
    tree["media"]["port"] = tree["gateway"]["web"]["port"]
    (line,) = lines(tree)
    assert f"web page and agent are both set to port {tree['media']['port']}" in line


def test_an_address_of_another_machine_cannot_be_listened_on(tree: dict[str, Any]) -> None:
    tree["gateway"]["web"]["host"] = "192.0.2.1"
    (line,) = lines(tree)
    assert "web page: cannot listen on tcp 192.0.2.1" in line


@pytest.mark.parametrize(
    ("console", "code"),
    [
        ({"host": "0.0.0.0"}, "console_exposed"),  # noqa: S104
        ({"host": "0.0.0.0", "public_url": "http://console.example"}, "console_exposed"),  # noqa: S104
        ({"public_url": "console.example"}, "address_invalid"),
        (
            {
                "public_url": "https://console.example",
                "oidc": {"issuer": "http://accounts.example", "client_id": "c"},
            },
            "address_invalid",
        ),
    ],
)
def test_a_console_that_passwords_could_be_read_from_is_found(
    tree: dict[str, Any], console: dict[str, Any], code: str
) -> None:
    tree["console"] |= console
    assert [found.code for found in findings(Settings.model_validate(tree))] == [code]


def test_media_beyond_loopback_needs_a_token(
    tree: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VOICE_AGENT_MEDIA_TOKEN", raising=False)
    tree["media"]["host"] = "0.0.0.0"  # noqa: S104
    tree["gateway"]["agent"] = {"url": "ws://agents.example:8090/media"}
    listening, asking = lines(tree)
    assert "set VOICE_AGENT_MEDIA_TOKEN" in listening
    assert "set VOICE_AGENT_MEDIA_TOKEN" in asking
    monkeypatch.setenv("VOICE_AGENT_MEDIA_TOKEN", "shared")
    assert lines(tree) == []


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("agent", "url", "http://127.0.0.1:8090/media", "gateway.agent.url"),
        ("agent", "url", "ws://[::1/media", "gateway.agent.url"),
        ("human", "uri", "human at desk", "gateway.human.uri"),
        ("human", "uri", "+441234567", "gateway.human.uri"),
    ],
)
def test_an_address_that_is_none_names_its_key(
    tree: dict[str, Any], section: str, key: str, value: str, message: str
) -> None:
    tree["gateway"][section] = {key: value}
    line = lines(tree)[0]
    assert line.startswith(f"address_invalid: {message}: `{value}` is not a ")


def test_a_trunk_needs_its_password(tree: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VOICE_AGENT_TRUNK_PASSWORD", raising=False)
    tree["gateway"]["sip"]["trunk"] = {"user": "100", "domain": "pbx.example"}
    (line,) = lines(tree)
    assert "set VOICE_AGENT_TRUNK_PASSWORD" in line


def test_tls_needs_its_certificate(tree: dict[str, Any], tmp_path: Path) -> None:
    certificate = str(tmp_path / "none.pem")
    tree["gateway"]["sip"]["tls"] = {"port": free_port(), "certificate": certificate}
    (line,) = lines(tree)
    assert "gateway.sip.tls.certificate: there is no file" in line


def test_a_gpu_that_is_not_there_is_found(
    tree: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    import ctranslate2

    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: 0)
    tree["speech"]["transcriber"]["device"] = "cuda"
    (line,) = lines(tree)
    assert line.startswith("gpu_missing: ")


def test_a_model_server_that_is_not_ours_must_answer(
    tree: dict[str, Any], answering_server: int
) -> None:
    tree["answering"]["model"] |= {"serve": False, "engine": "vllm"}
    (line,) = lines(tree)
    assert line.startswith("engine_unreachable: answering.model.url: language model at http://")
    assert "Connection refused" in line
    tree["answering"]["model"]["url"] = f"http://127.0.0.1:{answering_server}/v1"
    assert lines(tree) == []


def test_a_model_server_that_refuses_our_key_is_found(
    tree: dict[str, Any], answering_server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOICE_AGENT_LLM_KEY", "wrong")
    url = f"http://127.0.0.1:{answering_server}/v1"
    tree["answering"]["model"] |= {"serve": False, "url": url}
    (line,) = lines(tree)
    assert "answered 401" in line


def test_an_unreachable_knowledge_server_is_found(
    tree: dict[str, Any], answering_server: int
) -> None:
    tree["knowledge"]["server_url"] = f"http://127.0.0.1:{free_port()}"
    (line,) = lines(tree)
    assert "knowledge.server_url: Qdrant at" in line
    tree["knowledge"]["server_url"] = f"http://127.0.0.1:{answering_server}"
    assert lines(tree) == []


def test_what_does_not_run_is_named_one_by_one(tree: dict[str, Any]) -> None:
    found = running_findings(Settings.model_validate(tree))
    assert [finding.message.split(" at ")[0].split(": ")[-1] for finding in found] == [
        "synthesiser",
        "agent",
        "gateway",
        "console",
        "language model",
    ]


def test_a_model_server_of_ones_own_needs_no_model_file() -> None:
    settings = Settings.model_validate({"answering": {"model": {"serve": False}}})
    assert "qwen2.5-0.5b" in wanted_models(Settings())
    assert "qwen2.5-0.5b" not in wanted_models(settings)


def test_only_names_of_the_manifest_are_pulled(tree: dict[str, Any]) -> None:
    assert manifest_models(Settings.model_validate(tree)) == []
    assert manifest_models(Settings()) == [
        "whisper-base",
        "piper-joe",
        "minilm",
        "smart-turn-v3.0",
        "spacy-en-small",
        "qwen2.5-0.5b",
    ]


@pytest.mark.parametrize(
    ("able", "wish", "found"),
    [("bridge", "refer", True), ("refer", "replaces", True), ("replaces", "refer", False)],
)
def test_a_transfer_no_line_can_make_is_found(
    tree: dict[str, Any], able: str, wish: str, found: bool
) -> None:
    tree["gateway"]["sip"]["transfers"] = able
    tree["gateway"]["human"] = {"queues": {"care": {"transfer": wish}}}
    told = [each.message for each in findings(Settings.model_validate(tree), check_ports=False)]
    assert any("gateway.human.queues.care.transfer" in message for message in told) is found


def test_rules_that_cannot_be_read_are_found_before_the_first_call(
    tree: dict[str, Any], tmp_path: Path
) -> None:
    law = tmp_path / "law.yaml"
    law.write_text("otherwise: {recording: perhaps}")
    tree["gateway"]["law"] = str(law)
    (found,) = findings(Settings.model_validate(tree))
    assert found.code == "law_invalid"
    assert "otherwise.recording" in found.message


def test_a_sample_telephone_that_nobody_answers_is_warned_of(
    tree: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as telephone:
        telephone.bind(("127.0.0.1", 0))
        sample = f"sip:human@127.0.0.1:{telephone.getsockname()[1]}"
        monkeypatch.setattr("voice_agent.check.SAMPLE_TELEPHONE", sample)
        settings = Settings.model_validate(tree | {"gateway": {"human": {"uri": sample}}})
        assert warnings(settings) == [], "somebody listens there"
    (warning,) = warnings(settings)
    assert "nobody answers at the sample address" in warning
    own = {"gateway": {"human": {"uri": "sip:desk@pbx.example"}}}
    assert warnings(Settings.model_validate(tree | own)) == []


def test_ports_of_the_running_agent_are_told_from_those_of_others(
    tree: dict[str, Any], answering_server: int
) -> None:
    assert not serving(Settings.model_validate(tree))
    tree["media"]["port"] = answering_server
    assert serving(Settings.model_validate(tree))
