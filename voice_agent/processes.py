"""Which processes one configuration needs, and how supervisord is told to run them (pure)."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from voice_agent.config import Settings


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the product."""

    name: str
    command: tuple[str, ...]
    ready_url: str
    """Answers with success once the process can work; empty: it cannot be asked."""
    priority: int
    """Low starts first and stops last."""
    stop_wait_s: int
    environment: dict[str, str] = field(default_factory=dict)
    autostart: bool = True


@dataclass(frozen=True, slots=True)
class Port:
    """One port a process listens on."""

    of: str
    kind: str
    host: str
    port: int


def language_model_address(settings: Settings) -> tuple[str, int]:
    """Host and port in the language model's URL."""
    url = urlsplit(settings.answering.model.url)
    return url.hostname or "127.0.0.1", url.port or (443 if url.scheme == "https" else 80)


def loopback_of(host: str) -> str:
    """Where this machine reaches a server that listens on ``host``."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104


def http_url(host: str, port: int, path: str = "/") -> str:
    """A URL on this machine; IPv6 addresses in brackets."""
    host = loopback_of(host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{path}"


def ports(settings: Settings) -> list[Port]:
    """Every port `serve` needs, in the order the processes start."""
    needed = []
    if settings.answering.model.serve:
        host, port = language_model_address(settings)
        needed.append(Port("language model", "tcp", host, port))
    synthesiser = settings.speech.synthesiser
    needed.append(Port("synthesiser", "tcp", synthesiser.host, synthesiser.port))
    needed.append(Port("agent", "tcp", settings.media.host, settings.media.port))
    web, sip = settings.gateway.web, settings.gateway.sip
    if web.enabled:
        needed.append(Port("web page", "tcp", web.host, web.port))
    control = settings.gateway.control
    if control.enabled and control.port:
        needed.append(Port("control interface", "tcp", control.host, control.port))
    if sip.enabled:
        needed += [Port("SIP", kind, sip.host, sip.port) for kind in ("udp", "tcp")]
        if sip.tls:
            needed.append(Port("SIP over TLS", "tcp", sip.host, sip.tls.port))
    if settings.console.enabled:
        needed.append(Port("console", "tcp", settings.console.host, settings.console.port))
    return needed


OWN_AGENT = ("voice_agent", "agent")
KNOWLEDGE_WATCHER = "knowledge-watcher"
DRILL_WATCHER = "drill-watcher"


def plan(
    settings: Settings,
    config: Path,
    *,
    voice: Path | None,
    language_model: Path | None,
    agent: Sequence[str] = OWN_AGENT,
) -> list[Process]:
    """The processes of this configuration.

    Args:
        settings: the whole tree, read from ``config``.
        config: the file the children read themselves.
        voice: the Piper voice to serve.
        language_model: the GGUF file to serve; None when that server runs already.
        agent: the module, and its arguments, that answers media streams; it is given ``--config``.
    """
    python = sys.executable
    wanted = []
    if language_model is not None:
        model = settings.answering.model
        host, port = language_model_address(settings)
        command = [python, "-m", "voice_agent.answering.llama_server"]
        command += ["--model", str(language_model), "--alias", model.model]
        command += ["--host", host, "--port", str(port), "--slots", str(model.slots)]
        command += ["--context-tokens", str(model.context_tokens)]
        command += ["--threads", str(model.threads)]
        command += ["--batch-threads", str(model.batch_threads)]
        command += ["--server", model.server, "--key-env", model.api_key_env]
        wanted.append(
            Process(
                "language-model",
                tuple(command),
                http_url(host, port, "/health"),
                priority=10,
                stop_wait_s=5,
                environment={"OMP_WAIT_POLICY": "passive"},
            )
        )
    if voice is not None:
        synthesiser = settings.speech.synthesiser
        command = [python, "-m", "voice_agent.speech.piper_server", "--voice", str(voice)]
        command += ["--host", synthesiser.host, "--port", str(synthesiser.port)]
        command += ["--log-format", settings.logging.format]
        ready = http_url(synthesiser.host, synthesiser.port, "/readyz")
        wanted.append(Process("synthesiser", tuple(command), ready, priority=10, stop_wait_s=5))
    ready = http_url(settings.media.host, settings.media.port, "/readyz")
    command = [python, "-m", *agent, "--config", str(config)]
    # The agent opens the knowledge index and the gateway plays the phone prompts, so each is
    # started once that exists.
    wanted.append(
        Process(
            "agent",
            tuple(command),
            ready,
            priority=20,
            stop_wait_s=10,
            autostart=False,
            # numpy's threads spin after every product, on the cores that Whisper needs
            environment={"OPENBLAS_NUM_THREADS": "1"},
        )
    )
    if settings.knowledge.watch_s:
        command = [python, "-m", "voice_agent", "knowledge", "watch", "--config", str(config)]
        wanted.append(
            Process(
                KNOWLEDGE_WATCHER,
                tuple(command),
                "",
                priority=25,
                stop_wait_s=5,
                autostart=False,  # the index is built before
                environment={"OPENBLAS_NUM_THREADS": "1"},
            )
        )
    if settings.drills.kill_switch_at:
        command = [python, "-m", "voice_agent", "drill", "watch", "--config", str(config)]
        wanted.append(Process(DRILL_WATCHER, tuple(command), "", priority=26, stop_wait_s=20))
    web = settings.gateway.web
    ready = http_url(web.host, web.port, "/readyz") if web.enabled else ""
    command = [python, "-m", "voice_agent", "gateway", "--config", str(config)]
    wanted.append(
        Process("gateway", tuple(command), ready, priority=30, stop_wait_s=20, autostart=False)
    )
    if settings.console.enabled:
        console = settings.console
        command = [python, "-m", "voice_agent", "console", "--config", str(config)]
        ready = http_url(console.host, console.port, "/readyz")
        wanted.append(Process("console", tuple(command), ready, priority=40, stop_wait_s=5))
    return wanted


def supervisor_conf(
    processes: Sequence[Process], *, socket: Path, run_folder: Path, log_folder: Path
) -> str:
    """supervisord's configuration file.

    Exit code 2 means a configuration that will not get better by itself, so it is not tried again;
    every other end is.
    """
    lines = [
        "[supervisord]",
        "nodaemon=true",
        "silent=true",
        f"logfile={_value(log_folder / 'supervisord.log')}",
        "logfile_maxbytes=5MB",
        "logfile_backups=1",
        f"pidfile={_value(run_folder / 'supervisord.pid')}",
        f"childlogdir={_value(log_folder)}",
        "",
        "[unix_http_server]",
        f"file={_value(socket)}",
        "chmod=0600",
        "",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
        "",
    ]
    for process in processes:
        command = (sys.executable, "-m", "voice_agent.tied_process", *process.command)
        lines += [
            f"[program:{process.name}]",
            f"command={_value(shlex.join(command))}",
            f"directory={_value(os.getcwd())}",
            f"priority={process.priority}",
            f"autostart={str(process.autostart).lower()}",
            "autorestart=unexpected",
            "exitcodes=2",
            "startsecs=2",
            "startretries=5",
            "stopsignal=TERM",
            f"stopwaitsecs={process.stop_wait_s}",
            "stopasgroup=true",
            "killasgroup=true",
            "redirect_stderr=true",
            # Expanded twice, unlike every other value.
            f"stdout_logfile={_value(_value(log_folder / f'{process.name}.log'))}",
            "stdout_logfile_maxbytes=20MB",
            "stdout_logfile_backups=2",
        ]
        if process.environment:
            pairs = ",".join(f'{name}="{value}"' for name, value in process.environment.items())
            lines.append(f"environment={_value(pairs)}")
        lines.append("")
    return "\n".join(lines)


def _value(value: object) -> str:
    """A value as supervisord's file wants it: % begins an expansion there."""
    return str(value).replace("%", "%%")
