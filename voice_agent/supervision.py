"""supervisord runs the processes; this starts it, asks it, and stops it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import Faults, SupervisorTransport

from voice_agent.check import unreachable
from voice_agent.processes import Process, supervisor_conf

_UNIX_PATH_BYTES = 100  # the kernel takes 107; supervisord binds a longer, temporary name first
_START_TIMEOUT_S = 15.0
_READY_TIMEOUT_S = 120.0
_POLL_S = 0.2
_WATCH_S = 1.0
_REVIVE_S = 10.0

Report = Callable[[str], None]


class ServeError(Exception):
    """The product could not be started, or fell over for good; one line."""

    code = "serve_failed"
    retryable = False

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Supervisor:
    """supervisord in a session of its own, and our line to it."""

    def __init__(self, processes: Sequence[Process], run_folder: Path, log_folder: Path) -> None:
        self.processes = {process.name: process for process in processes}
        self.log_folder = log_folder.resolve()
        self._run_folder = run_folder.resolve()
        self._socket_folder = self._run_folder
        if len(os.fsencode(self._run_folder / "supervisor.sock.00000000")) > _UNIX_PATH_BYTES:
            self._socket_folder = Path(tempfile.mkdtemp(prefix="voice-agent-"))
        self._socket = self._socket_folder / "supervisor.sock"
        self._daemon: subprocess.Popen[bytes] | None = None
        self._said: dict[str, int] = {}

    def start(self) -> None:
        """Start supervisord, and with it every process that starts by itself.

        Raises:
            ServeError: supervisord refuses.
        """
        self._run_folder.mkdir(parents=True, exist_ok=True)
        self.log_folder.mkdir(parents=True, exist_ok=True)
        for name in ("supervisord", *self.processes):
            log = self.log_folder / f"{name}.log"
            self._said[name] = log.stat().st_size if log.exists() else 0
        conf = self._run_folder / "supervisord.conf"
        text = supervisor_conf(
            list(self.processes.values()),
            socket=self._socket,
            run_folder=self._run_folder,
            log_folder=self.log_folder,
        )
        conf.write_text(text, encoding="utf-8")
        # A session of its own: Ctrl-C in the terminal is ours to turn into an orderly stop.
        self._daemon = subprocess.Popen(  # noqa: S603  # our own command
            [
                *(sys.executable, "-m", "voice_agent.tied_process"),
                *(sys.executable, "-m", "supervisor.supervisord", "-c", str(conf)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            try:
                self.states()
            except (ServeError, Fault) as error:
                if self._daemon.poll() is not None:
                    said = self._daemon.stderr.read().decode() if self._daemon.stderr else ""
                    last = said.strip().splitlines()[:1] or ["it said nothing"]
                    raise ServeError(f"supervisord did not start: {last[0]}") from error
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return

    def _ask(self, method: str, *arguments: Any) -> Any:
        """One request on a connection of its own: a failed one leaves a transport unusable.

        Raises:
            ServeError: supervisord does not answer, or not in time.
            Fault: it answers that it cannot.
        """
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        try:
            with ServerProxy("http://127.0.0.1", transport=transport) as proxy:
                return getattr(proxy.supervisor, method)(*arguments)
        except (OSError, HTTPException, ExpatError) as error:
            raise ServeError(f"supervisord does not answer: {error}") from error

    def states(self) -> dict[str, dict[str, Any]]:
        """supervisord's view of each process: ``statename``, ``pid``, ``exitstatus``, …"""
        return {info["name"]: info for info in self._ask("getAllProcessInfo")}

    def launch(self, name: str) -> None:
        """Start one process that does not start by itself, or was given up."""
        try:
            self._ask("startProcess", name, False)
        except Fault as error:
            if error.faultCode != Faults.ALREADY_STARTED:
                raise ServeError(f"{name}: supervisord cannot start it") from error

    def last_words(self, name: str) -> str:
        """The last line a process wrote since we started, if any."""
        return (self._lines_of(name) or [""])[-1].strip()

    def _lines_of(self, log_name: str) -> list[str]:
        try:
            with (self.log_folder / f"{log_name}.log").open("rb") as log:
                log.seek(self._said.get(log_name, 0))
                return log.read().decode(errors="replace").strip().splitlines()
        except OSError:
            return []

    def exit_status(self, name: str) -> int | None:
        """How a process last ended since we started; its log is where supervisord tells, as its
        interface forgets the status of one that ended too soon."""
        ended = re.compile(rf"exited: {re.escape(name)} \(exit status (\d+)")
        found = ended.findall("\n".join(self._lines_of("supervisord")))
        return int(found[-1]) if found else None

    @property
    def alive(self) -> bool:
        """Whether supervisord itself runs."""
        return self._daemon is not None and self._daemon.poll() is None

    def stop(self) -> None:
        """Stop everything in order: the gateway first, so that calls end before their agent."""
        daemon, self._daemon = self._daemon, None
        if daemon is None:
            return
        patience_s = 10 + sum(process.stop_wait_s for process in self.processes.values())
        if daemon.poll() is None:
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(patience_s)
            except subprocess.TimeoutExpired:
                daemon.kill()  # its children are tied to it: they follow
                daemon.wait()
        if daemon.stderr:
            daemon.stderr.close()
        if self._socket_folder != self._run_folder:
            shutil.rmtree(self._socket_folder, ignore_errors=True)


def wait_ready(supervisor: Supervisor, names: Sequence[str], report: Report) -> None:
    """Return when each of these answers at its ready address; tell of each as it does.

    Raises:
        ServeError: one of them ended (its last line says why), or time is up.
    """
    waiting = {name: supervisor.processes[name] for name in names}
    began = time.monotonic()
    while waiting:
        states = supervisor.states()
        for name, process in list(waiting.items()):
            state = states[name]
            if state["statename"] in ("BACKOFF", "EXITED", "FATAL"):
                status = supervisor.exit_status(name)
                words = supervisor.last_words(name) or f"ended with exit status {status}"
                raise ServeError(f"{name}: {words}", exit_code=2 if status == 2 else 1)
            answers = state["statename"] == "RUNNING" and not process.ready_url
            if answers or (process.ready_url and not unreachable(process.ready_url)):
                report(f"{name} ready after {time.monotonic() - began:.1f} s")
                del waiting[name]
        if waiting and time.monotonic() - began > _READY_TIMEOUT_S:
            names_left = ", ".join(waiting)
            raise ServeError(f"not ready after {_READY_TIMEOUT_S:.0f} s: {names_left}; see var/log")
        time.sleep(_POLL_S if waiting else 0)


def watch(supervisor: Supervisor, report: Report) -> None:
    """Tell of every death and revival until interrupted.

    supervisord restarts what dies; what it has given up on is tried again every few seconds, as a
    contact centre would rather have a late agent than none.

    Raises:
        ServeError: supervisord itself is gone.
        KeyboardInterrupt: someone asked us to stop.
    """
    pids = {name: info["pid"] for name, info in supervisor.states().items()}
    given_up_at: dict[str, float] = {}
    while True:
        time.sleep(_WATCH_S)
        if not supervisor.alive:
            raise ServeError("supervisord died; its processes were stopped with it")
        with contextlib.suppress(ServeError, Fault):
            for name, info in supervisor.states().items():
                now = time.monotonic()
                if info["statename"] in ("FATAL", "EXITED"):
                    if name not in given_up_at:
                        report(f"{name} cannot be kept running: {supervisor.last_words(name)}")
                        given_up_at[name] = now
                    elif now - given_up_at[name] > _REVIVE_S:
                        given_up_at[name] = now
                        supervisor.launch(name)
                elif info["statename"] == "RUNNING" and info["pid"] != pids[name]:
                    report(f"{name} died and was restarted")
                    pids[name] = info["pid"]
                    given_up_at.pop(name, None)
