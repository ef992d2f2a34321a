"""`voice-agent serve`: prepare, start every process, wait until ready, watch, stop in order."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from voice_agent import phone_prompts
from voice_agent.check import findings
from voice_agent.config import Settings
from voice_agent.knowledge.versions import VersionStore
from voice_agent.models import locate
from voice_agent.processes import KNOWLEDGE_WATCHER, OWN_AGENT, http_url, loopback_of, plan
from voice_agent.supervision import Report, ServeError, Supervisor, wait_ready, watch

__all__ = [
    "Addresses",
    "NotPrepared",
    "ServeError",
    "addresses",
    "as_dict",
    "first_steps",
    "prepare",
    "run",
    "running",
    "stop_signals_as_interrupts",
]


def _say_nothing(_: str) -> None:
    """Nobody wants to see progress."""


class NotPrepared(ServeError):
    """Something must be put right before anything is started."""

    code = "serve_not_prepared"

    def __init__(self, message: str) -> None:
        super().__init__(message, exit_code=2)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the running product is reached; empty when that part is switched off."""

    page: str
    sip: str
    agent: str
    console: str = ""


def addresses(settings: Settings) -> Addresses:
    """What a person types into a browser or a phone."""
    web, sip, media = settings.gateway.web, settings.gateway.sip, settings.media
    console = settings.console
    port = "" if sip.port == 5060 else f":{sip.port}"
    return Addresses(
        page=http_url(web.host, web.port) if web.enabled else "",
        sip=f"sip:{sip.user}@{loopback_of(sip.host)}{port}" if sip.enabled else "",
        agent=http_url(media.host, media.port),
        console=http_url(console.host, console.port) if console.enabled else "",
    )


def first_steps(settings: Settings, config: Path) -> list[str]:
    """What somebody still has to do before everything that runs can be used; one line each."""
    from voice_agent.console.app import accounts
    from voice_agent.console.errors import Unavailable

    console = settings.console
    if not console.enabled or console.oidc is not None:
        return []
    try:
        if accounts(settings).users():
            return []
    except Unavailable as error:
        return [str(error)]
    return [
        "Nobody may sign in to the console yet: "
        f"voice-agent console add-user NAME --role supervisor --config {config}"
    ]


def prepare(settings: Settings) -> None:
    """Refuse to start what cannot work.

    Raises:
        NotPrepared: one line for the first finding, and how many more there are.
    """
    found = findings(settings)
    if found:
        more = f" (and {len(found) - 1} more: `voice-agent check`)" if found[1:] else ""
        raise NotPrepared(found[0].message + more)


def build_knowledge(settings: Settings, config: Path, report: Report) -> None:
    """Build the index if it is missing or out of date, in a process of its own.

    Where that fails, or the gate holds the new version back, the one in place goes on answering.

    Raises:
        NotPrepared: none is in place; with the builder's last line.
    """
    command = [sys.executable, "-m", "voice_agent", "knowledge", "build", "--config", str(config)]
    done = subprocess.run(  # noqa: S603  # our own command
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout).strip().splitlines()
        problem = f"knowledge: {lines[-1] if lines else 'cannot be built'}"
        current = VersionStore(settings.knowledge.index).current_or_none()
        if done.returncode == 2 or current is None:
            raise NotPrepared(problem)
        report(problem)


@contextmanager
def running(
    settings: Settings,
    config: Path,
    *,
    report: Report = _say_nothing,
    run_folder: Path = Path("var/run"),
    log_folder: Path = Path("var/log"),
    agent: Sequence[str] = OWN_AGENT,
) -> Iterator[tuple[Addresses, Supervisor]]:
    """Everything up and ready inside the block, everything stopped after it.

    Another ``agent`` that speaks the media stream may take our own one's place (see ``plan``).

    Raises:
        ServeError: something does not start; what did start is stopped first.
    """
    prepare(settings)
    folder = settings.models.folder
    model = settings.answering.model
    processes = plan(
        settings,
        config.resolve(),
        voice=locate(folder, settings.speech.synthesiser.voice),
        language_model=locate(folder, model.model_file) if model.serve else None,
        agent=agent,
    )
    supervisor = Supervisor(processes, run_folder, log_folder)
    try:
        supervisor.start()  # the engines load while the index is looked at
        report("building the knowledge index if it has changed")
        build_knowledge(settings, config, report)
        supervisor.launch("agent")
        if settings.knowledge.watch_s:
            supervisor.launch(KNOWLEDGE_WATCHER)
        if phone_prompts.missing(settings.gateway.prompts):
            wait_ready(supervisor, ["synthesiser"], report)
            report("speaking the phone prompts")
            asyncio.run(phone_prompts.render(settings.gateway.prompts, settings.speech.synthesiser))
        supervisor.launch("gateway")
        wait_ready(supervisor, [process.name for process in processes], report)
        yield addresses(settings), supervisor
    finally:
        report("stopping")
        supervisor.stop()


@contextmanager
def stop_signals_as_interrupts() -> Iterator[None]:
    """SIGTERM stops us the way Ctrl-C does; more of either while stopping change nothing."""

    def interrupt(*_: object) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(
    settings: Settings, config: Path, *, report: Report, ready: Callable[[Addresses], None]
) -> int:
    """`voice-agent serve`: exit code 0 after an orderly stop.

    Raises:
        ServeError: with the exit code to use.
    """
    with stop_signals_as_interrupts():
        try:
            with running(settings, config, report=report) as (where, supervisor):
                ready(where)
                watch(supervisor, report)
        except KeyboardInterrupt:
            report("stopped")
    return 0


def as_dict(where: Addresses) -> dict[str, str]:
    """For ``--json``."""
    return asdict(where)
