"""Supervision: a real supervisord with small stand-in servers that die, revive and end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.voice_agent.test_check import free_port
from voice_agent.check import unreachable
from voice_agent.config import Settings
from voice_agent.console.app import accounts
from voice_agent.console.roles import Role
from voice_agent.processes import Process, plan, ports, supervisor_conf
from voice_agent.serve import NotPrepared, addresses, build_knowledge, first_steps, prepare
from voice_agent.supervision import ServeError, Supervisor, wait_ready


def server(name: str, *, priority: int = 10, autostart: bool = True) -> Process:
    port = free_port()
    return Process(
        name,
        (sys.executable, "-u", "-m", "http.server", str(port), "--bind", "127.0.0.1"),
        f"http://127.0.0.1:{port}/",
        priority=priority,
        stop_wait_s=5,
        environment={"GREETING": "100% ready"},
        autostart=autostart,
    )


def until(condition: Callable[[], bool], patience_s: float = 30) -> None:
    """Look again and again: the kernel tells nobody but a parent that a process is gone."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    """Whether that process has ended (a zombie has)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"


def silent(_: str) -> None:
    """Nobody watches."""


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Callable[..., Supervisor]]:
    """Makes supervisors, and stops them whatever happens."""
    made: list[Supervisor] = []

    def make(*processes: Process, folder: Path = tmp_path) -> Supervisor:
        made.append(Supervisor(processes, folder / "run", folder / "log"))
        return made[-1]

    yield make
    for supervisor in made:
        supervisor.stop()


def test_everything_is_up_and_then_everything_is_gone(
    supervised: Callable[..., Supervisor], tmp_path: Path
) -> None:
    first, second = server("first"), server("second", autostart=False)
    supervisor = supervised(first, second)
    supervisor.start()
    wait_ready(supervisor, ["first"], silent)
    assert unreachable(second.ready_url)
    supervisor.launch("second")
    told: list[str] = []
    wait_ready(supervisor, ["first", "second"], told.append)
    assert [line.split()[0] for line in told] == ["first", "second"]
    pids = [info["pid"] for info in supervisor.states().values()]
    supervisor.stop()
    assert all(is_gone(pid) for pid in pids)
    assert unreachable(first.ready_url)
    assert "Serving HTTP" in (tmp_path / "log" / "first.log").read_text()


def test_a_process_that_dies_is_started_again(supervised: Callable[..., Supervisor]) -> None:
    supervisor = supervised(server("one"))
    supervisor.start()
    wait_ready(supervisor, ["one"], silent)
    until(lambda: supervisor.states()["one"]["statename"] == "RUNNING")
    before = supervisor.states()["one"]["pid"]
    os.kill(before, signal.SIGKILL)
    until(lambda: supervisor.states()["one"]["pid"] not in (0, before))
    wait_ready(supervisor, ["one"], silent)


def test_a_process_that_cannot_start_is_one_line_with_its_last_words(
    supervised: Callable[..., Supervisor],
) -> None:
    code = "import sys; print('starting'); print('port 1 is taken'); sys.exit(2)"
    broken = Process("broken", (sys.executable, "-c", code), "http://127.0.0.1:1/", 10, 5)
    supervisor = supervised(broken)
    supervisor.start()
    with pytest.raises(ServeError, match=r"^broken: port 1 is taken$") as caught:
        wait_ready(supervisor, ["broken"], silent)
    assert caught.value.exit_code == 2


def test_a_crash_while_starting_is_exit_code_1(supervised: Callable[..., Supervisor]) -> None:
    broken = Process(
        "broken", (sys.executable, "-c", "raise MemoryError"), "http://[::1]:1/", 10, 5
    )
    supervisor = supervised(broken)
    supervisor.start()
    with pytest.raises(ServeError, match="MemoryError") as caught:
        wait_ready(supervisor, ["broken"], silent)
    assert caught.value.exit_code == 1


def test_a_deep_folder_does_not_break_the_control_socket(
    supervised: Callable[..., Supervisor], tmp_path: Path
) -> None:
    deep = tmp_path / ("deep" * 20) / ("er %20 " * 5)
    supervisor = supervised(server("one"), folder=deep)
    supervisor.start()
    wait_ready(supervisor, ["one"], silent)


def test_no_process_outlives_a_supervisor_that_is_killed(
    supervised: Callable[..., Supervisor], tmp_path: Path
) -> None:
    supervisor = supervised(server("one"))
    supervisor.start()
    wait_ready(supervisor, ["one"], silent)
    pid = supervisor.states()["one"]["pid"]
    os.kill(int((tmp_path / "run" / "supervisord.pid").read_text()), signal.SIGKILL)
    until(lambda: is_gone(pid))
    until(lambda: not supervisor.alive)


def test_no_process_outlives_a_serve_that_is_killed(tmp_path: Path) -> None:
    code = f"""
import sys, time
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.voice_agent.test_serve import server, silent
from voice_agent.supervision import Supervisor, wait_ready
supervisor = Supervisor([server("one")], Path("run"), Path("log"))
supervisor.start()
wait_ready(supervisor, ["one"], silent)
print(supervisor.states()["one"]["pid"], flush=True)
time.sleep(600)
"""
    serve = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    assert serve.stdout
    pid = int(serve.stdout.readline())
    supervisord = int((tmp_path / "run" / "supervisord.pid").read_text())
    serve.kill()
    serve.wait()
    serve.stdout.close()
    until(lambda: is_gone(pid) and is_gone(supervisord))


def test_serve_refuses_with_the_first_finding(tmp_path: Path) -> None:
    settings = Settings.model_validate({"models": {"folder": str(tmp_path)}})
    with pytest.raises(NotPrepared, match="whisper-base") as caught:
        prepare(settings)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_people_are_told_addresses_they_can_reach() -> None:
    everywhere = {"sip": {"host": "0.0.0.0", "port": 5080}, "web": {"host": "::"}}  # noqa: S104
    where = addresses(Settings.model_validate({"gateway": everywhere}))
    assert where.page == "http://[::1]:8080/"
    assert where.sip == "sip:agent@127.0.0.1:5080"
    assert addresses(Settings()).sip == "sip:agent@127.0.0.1"
    off = Settings.model_validate({"gateway": {"sip": {"enabled": False}}})
    assert addresses(off).sip == ""


def test_the_gateway_stops_before_the_agent_and_the_engines_last() -> None:
    processes = plan(Settings(), Path("c.yaml"), voice=Path("v.onnx"), language_model=Path("m"))
    by_priority = sorted(processes, key=lambda process: -process.priority)
    assert [process.name for process in by_priority[:3]] == ["console", "gateway", "agent"]


def test_drills_come_by_themselves_only_when_a_time_is_set() -> None:
    def names(at: str) -> list[str]:
        settings = Settings.model_validate({"drills": {"kill_switch_at": at}})
        processes = plan(settings, Path("c.yaml"), voice=None, language_model=None)
        return [process.name for process in processes]

    assert "drill-watcher" not in names("")
    assert "drill-watcher" in names("03:30")
    with pytest.raises(ValueError, match="kill_switch_at"):
        names("3 o'clock")


def test_documents_are_watched_only_when_asked_for() -> None:
    def names(**knowledge: object) -> list[str]:
        settings = Settings.model_validate({"knowledge": knowledge})
        processes = plan(settings, Path("c.yaml"), voice=None, language_model=None)
        return [process.name for process in processes]

    assert names() == ["agent", "gateway", "console"]
    assert names(watch_s=10) == ["agent", "knowledge-watcher", "gateway", "console"]


def test_a_build_that_fails_stops_serve_only_when_nothing_answers(tmp_path: Path) -> None:
    knowledge = {"documents": str(tmp_path / "none"), "index": str(tmp_path / "index")}
    config = tmp_path / "c.yaml"
    tree = {"knowledge": knowledge, "models": {"folder": str(tmp_path / "models")}}
    config.write_text(yaml.safe_dump(tree))
    settings, said = Settings.model_validate(tree), list[str]()
    with pytest.raises(NotPrepared, match="knowledge: "):
        build_knowledge(settings, config, said.append)
    (tmp_path / "index").mkdir(exist_ok=True)
    (tmp_path / "index" / "current").write_text("v1\n")
    build_knowledge(settings, config, said.append)
    assert [line.partition(":")[0] for line in said] == ["knowledge"]
    config.write_text("knowledge: {nonsense: 1}")
    with pytest.raises(NotPrepared, match="unknown key"):
        build_knowledge(settings, config, said.append)


def test_a_language_model_that_runs_elsewhere_is_not_started() -> None:
    remote = {"answering": {"model": {"serve": False, "url": "http://gpu.example:8000/v1"}}}
    settings = Settings.model_validate(remote)
    processes = plan(settings, Path("c.yaml"), voice=Path("v.onnx"), language_model=None)
    assert [process.name for process in processes] == ["synthesiser", "agent", "gateway", "console"]
    assert "language model" not in [port.of for port in ports(settings)]


def test_a_percent_sign_in_a_path_reaches_supervisord_as_it_is(tmp_path: Path) -> None:
    text = supervisor_conf(
        [server("one")], socket=tmp_path / "s", run_folder=Path("/a%b"), log_folder=Path("/c")
    )
    assert "pidfile=/a%%b/supervisord.pid" in text
    assert "100%% ready" in text


def test_serve_says_how_the_first_person_may_sign_in(tmp_path: Path) -> None:
    settings = Settings.model_validate({"console": {"folder": str(tmp_path)}})
    config = Path("configs/local.yaml")
    (line,) = first_steps(settings, config)
    assert "voice-agent console add-user NAME" in line
    assert str(config) in line
    accounts(settings).add("robin", Role.SUPERVISOR, "kept")
    assert first_steps(settings, config) == []


def test_without_a_console_nobody_needs_to_sign_in() -> None:
    settings = Settings.model_validate({"console": {"enabled": False}})
    assert first_steps(settings, Path("any.yaml")) == []
