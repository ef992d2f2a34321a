"""What would stop this configuration from running here? Each finding is one line."""

from __future__ import annotations

import os
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from telephony.law import LawInvalid, read_law
from telephony.routing import transfer_means
from telephony.settings import HumanLineSettings
from voice_agent.answering.actions.declaration import read_declarations
from voice_agent.answering.actions.errors import ActionsInvalid
from voice_agent.answering.calibration import read_calibration
from voice_agent.answering.road_examples import read_roads
from voice_agent.config import ConfigError, LanguageModelSettings, Settings, secret
from voice_agent.handoff.reasons import read_reasons
from voice_agent.models import ModelsError, inspect, locate, read_manifest
from voice_agent.processes import Port, http_url, ports
from voice_agent.safety.policy import PolicyError, read_policy

_PATIENCE_S = 3.0
SAMPLE_TELEPHONE = str(HumanLineSettings.model_fields["uri"].default)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must be put right first."""

    code: str
    message: str


def wanted_models(settings: Settings) -> list[str]:
    """The models this configuration uses on this machine, by name or path."""
    names = [settings.speech.transcriber.model, settings.speech.synthesiser.voice]
    names.append(settings.knowledge.embedder)
    if settings.turns.second_opinion:
        names.append(settings.turns.second_opinion)
    if settings.safety.names_model:
        names.append(settings.safety.names_model)
    if settings.answering.model.serve:
        names.append(settings.answering.model.model_file)
    return list(dict.fromkeys(names))


def manifest_models(settings: Settings) -> list[str]:
    """Those of them that a package index or hub can supply: no paths of the user's own."""
    known = read_manifest().models
    return [name for name in wanted_models(settings) if name in known or not Path(name).exists()]


def findings(settings: Settings, *, check_ports: bool = True) -> list[Finding]:
    """Everything that is wrong, most basic first; empty when `serve` would start."""
    found = [
        *_addresses(settings),
        *_files(settings),
        *_models(settings),
        *_secrets(settings),
        *_engines(settings),
    ]
    if check_ports:
        found += _ports(ports(settings))
    return found


def warnings(settings: Settings) -> list[str]:
    """What would start, and yet not do what is probably wanted."""
    human = settings.gateway.human
    sample = re.fullmatch(r"sip:[^@]+@127\.0\.0\.1:(\d+)", SAMPLE_TELEPHONE)
    if human.queue or human.uri != SAMPLE_TELEPHONE or sample is None:
        return []
    if port_taken(Port("human", "udp", "127.0.0.1", int(sample[1]))):
        return []
    return [
        f"gateway.human.uri: nobody answers at the sample address {human.uri}: "
        "callers who want a person reach none"
    ]


def serving(settings: Settings) -> bool:
    """Whether the agent of these settings runs, and so has its ports itself."""
    return not unreachable(http_url(settings.media.host, settings.media.port, "/healthz"))


def running_findings(settings: Settings) -> list[Finding]:
    """What does not answer, when everything should be running already."""
    synthesiser, web = settings.speech.synthesiser, settings.gateway.web
    asked = [
        ("synthesiser", http_url(synthesiser.host, synthesiser.port, "/readyz")),
        ("agent", http_url(settings.media.host, settings.media.port, "/readyz")),
    ]
    if web.enabled:
        asked.append(("gateway", http_url(web.host, web.port, "/readyz")))
    if settings.console.enabled:
        console = settings.console
        asked.append(("console", http_url(console.host, console.port, "/readyz")))
    found = [
        Finding("not_ready", f"{name} at {url}: {reason}")
        for name, url in asked
        if (reason := unreachable(url))
    ]
    return [*found, *_language_models(settings)]


def unreachable(url: str, headers: dict[str, str] | None = None) -> str:
    """Why this URL does not answer with success; empty when it does."""
    if urlsplit(url).scheme not in ("http", "https"):
        return "is not an http address"
    request = urllib.request.Request(url, headers=headers or {})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE_S):  # noqa: S310
            return ""
    except urllib.error.HTTPError as error:
        return f"answered {error.code} {error.reason}"
    except urllib.error.URLError as error:
        reason = error.reason
        return (reason.strerror or str(reason)) if isinstance(reason, OSError) else str(reason)
    except (OSError, ValueError) as error:
        return str(error) or type(error).__name__


def port_taken(port: Port) -> str:
    """Why this port cannot be listened on; empty when it can."""
    kind = socket.SOCK_DGRAM if port.kind == "udp" else socket.SOCK_STREAM
    family = socket.AF_INET6 if ":" in port.host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if port.kind == "tcp":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((port.host, port.port))
        except socket.gaierror:
            return "no such address"
        except OSError as error:
            return (error.strerror or str(error)).lower()
    return ""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _addresses(settings: Settings) -> Iterator[Finding]:
    link, human = settings.gateway.agent.url, settings.gateway.human.uri
    if not re.fullmatch(r"wss?://(\[[0-9a-fA-F:.]+\]|[^\s/:\[\]]+)(:\d{1,5})?(/\S*)?", link):
        yield Finding("address_invalid", f"gateway.agent.url: `{link}` is not a ws address")
    for key, uri in (("gateway.human.uri", human), ("handoff.target", settings.handoff.target)):
        if uri and not re.fullmatch(r"sips?:([^\s@]+@)?[^\s@]+", uri):
            yield Finding("address_invalid", f"{key}: `{uri}` is not a SIP address")


def _files(settings: Settings) -> Iterator[Finding]:
    prompt = settings.answering.prompt
    if not prompt.is_file():
        yield Finding("file_missing", f"answering.prompt: there is no file {prompt}")
    yield from _policy(settings)
    yield from _law(settings)
    yield from _roads(settings)
    yield from _people(settings)
    yield from _actions(settings)
    documents = settings.knowledge.documents
    if not documents.is_dir():
        yield Finding("file_missing", f"knowledge.documents: there is no folder {documents}")
    elif not settings.knowledge.sources and not any(documents.iterdir()):
        yield Finding("file_missing", f"knowledge.documents: {documents} is empty")
    tls = settings.gateway.sip.tls
    if tls and not tls.certificate.is_file():
        yield Finding(
            "file_missing", f"gateway.sip.tls.certificate: there is no file {tls.certificate}"
        )


def _policy(settings: Settings) -> Iterator[Finding]:
    try:
        read_policy(settings.safety.policy)
    except PolicyError as error:
        yield Finding(error.code, str(error))


def _law(settings: Settings) -> Iterator[Finding]:
    try:
        read_law(settings.gateway.law)
    except LawInvalid as error:
        yield Finding(error.code, str(error))


def _actions(settings: Settings) -> Iterator[Finding]:
    if settings.actions.enabled:
        try:
            read_declarations(settings.actions.declarations)
        except ActionsInvalid as error:
            yield Finding(error.code, f"actions.declarations: {error}")


def _people(settings: Settings) -> Iterator[Finding]:
    if settings.handoff.enabled:
        try:
            read_reasons(settings.handoff.reasons)
        except ConfigError as error:
            yield Finding(error.code, str(error))
    sip, human = settings.gateway.sip, settings.gateway.human
    able = [sip.transfers, *([sip.trunk.transfers] if sip.trunk else [])]
    wishes = {"gateway.human": human.transfer} | {
        f"gateway.human.queues.{name}": queue.transfer for name, queue in human.queues.items()
    }
    for where, wish in wishes.items():
        if all(transfer_means(wish, each, supervised=False) != wish for each in able):
            yield Finding(
                "transfer_not_possible",
                f"{where}.transfer: no line is able to `{wish}`: see gateway.sip.trunk.transfers",
            )


def _roads(settings: Settings) -> Iterator[Finding]:
    roads = settings.answering.roads
    if roads.enabled:
        try:
            read_roads(roads.examples)
            read_calibration(roads.calibration)
        except ConfigError as error:
            yield Finding(error.code, str(error))


def _models(settings: Settings) -> Iterator[Finding]:
    folder = settings.models.folder
    for name in wanted_models(settings):
        try:
            locate(folder, name)
            if model := read_manifest().models.get(name):
                verdict = inspect(folder, name, model)
                if verdict.state == "damaged":
                    yield Finding(
                        "model_damaged", f"{verdict.detail}: run `voice-agent models pull`"
                    )
        except ModelsError as error:
            yield Finding(error.code, str(error))
    if settings.speech.transcriber.device == "cuda":
        import ctranslate2

        if ctranslate2.get_cuda_device_count() == 0:
            yield Finding(
                "gpu_missing",
                "speech.transcriber.device is cuda, but no CUDA device is usable here",
            )


def _secrets(settings: Settings) -> Iterator[Finding]:
    media = settings.media
    if not is_loopback(media.host) and not secret(media.token_env):
        yield Finding(
            "secret_missing",
            f"media.host {media.host} is reachable from elsewhere: set {media.token_env}",
        )
    link = settings.gateway.agent
    if not is_loopback(_host_of(link.url)) and not secret(link.token_env):
        yield Finding(
            "secret_missing",
            f"gateway.agent.url {link.url} is on another machine: set {link.token_env}",
        )
    yield from _console(settings)
    trunk = settings.gateway.sip.trunk
    if trunk and trunk.password_env not in os.environ:
        yield Finding(
            "secret_missing", f"gateway.sip.trunk needs its password: set {trunk.password_env}"
        )


def _console(settings: Settings) -> Iterator[Finding]:
    console = settings.console
    if not console.enabled:
        return
    public = console.public_url
    if public and not re.fullmatch(r"https?://[^\s/]+/?", public):
        yield Finding("address_invalid", f"console.public_url: `{public}` is not an http address")
    if not is_loopback(console.host) and not public.startswith("https:"):
        yield Finding(
            "console_exposed",
            f"console.host {console.host} is reachable from elsewhere: put a proxy with HTTPS "
            "before it and name that in console.public_url",
        )
    oidc = console.oidc
    if oidc and not oidc.issuer.startswith("https:") and not is_loopback(_host_of(oidc.issuer)):
        yield Finding("address_invalid", f"console.oidc.issuer: `{oidc.issuer}` is not https")


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _engines(settings: Settings) -> Iterator[Finding]:
    if not settings.answering.model.serve:
        yield from _language_model("answering.model", settings.answering.model)
    yield from _larger_model(settings)
    server = settings.knowledge.server_url
    if server and (reason := unreachable(f"{server.rstrip('/')}/readyz")):
        yield Finding("engine_unreachable", f"knowledge.server_url: Qdrant at {server}: {reason}")


def _language_models(settings: Settings) -> Iterator[Finding]:
    yield from _language_model("answering.model", settings.answering.model)
    yield from _larger_model(settings)


def _larger_model(settings: Settings) -> Iterator[Finding]:
    if larger := settings.answering.larger_model:
        yield from _language_model("answering.larger_model", larger)


def _language_model(where: str, model: LanguageModelSettings) -> Iterator[Finding]:
    key = secret(model.api_key_env)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    if reason := unreachable(f"{model.url.rstrip('/')}/models", headers):
        yield Finding(
            "engine_unreachable",
            f"{where}.url: language model at {model.url}: {reason}",
        )


def _ports(needed: list[Port]) -> Iterator[Finding]:
    taken: dict[tuple[str, int], str] = {}
    for port in needed:
        other = taken.setdefault((port.kind, port.port), port.of)
        if other != port.of:
            yield Finding("port_in_use", f"{port.of} and {other} are both set to port {port.port}")
        elif reason := port_taken(port):
            yield Finding(
                "port_in_use",
                f"{port.of}: cannot listen on {port.kind} {port.host}:{port.port}: {reason}",
            )
