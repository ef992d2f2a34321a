"""Requests with the road each should take: for calibrating the router, and for measuring it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from voice_agent.answering.road_examples import ROADS
from voice_agent.reply import Road


class RequestsUnusable(Exception):
    """A file of requests that cannot be used; the message is one line that says why."""

    code = "requests_invalid"
    retryable = False
    exit_code = 2


@dataclass(frozen=True, slots=True)
class RoutedRequest:
    """What a caller says, after which turns (caller, agent), and the road it should take."""

    text: str
    road: Road
    history: tuple[tuple[str, str], ...] = ()


def read_requests(path: Path) -> list[RoutedRequest]:
    """Read requests: lines of JSON when the file ends so, YAML else.

    A line of ``.jsonl`` is ``{"text": …, "road": …, "after": [caller, agent]}``. YAML has a list
    for each road, of texts or of ``{text: …, after: [caller, agent]}``. ``after`` may be absent.

    Raises:
        RequestsUnusable: one line that says what is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RequestsUnusable(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RequestsUnusable(f"{path}: is not UTF-8 text") from error
    requests = _from_lines(path, text) if path.suffix == ".jsonl" else _from_yaml(path, text)
    if not requests:
        raise RequestsUnusable(f"{path}: holds no requests")
    return requests


def _from_lines(path: Path, text: str) -> list[RoutedRequest]:
    requests = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        place = f"{path}, line {number}"
        try:
            given = json.loads(line)
        except ValueError as error:
            raise RequestsUnusable(f"{place}: is not JSON") from error
        road = given.get("road") if isinstance(given, dict) else None
        requests.append(_request(place, road, given))
    return requests


def _from_yaml(path: Path, text: str) -> list[RoutedRequest]:
    try:
        given: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RequestsUnusable(f"{path}: is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(given, dict):
        raise RequestsUnusable(f"{path}: is no list of requests for each road")
    requests = []
    for road, each in given.items():
        if not isinstance(each, list):
            raise RequestsUnusable(f"{path}: `{road}` is no list of requests")
        place = f"{path}, `{road}`"
        requests += [_request(place, road, request) for request in each]
    return requests


def _request(place: str, road: Any, given: Any) -> RoutedRequest:
    if road not in ROADS:
        raise RequestsUnusable(f"{place}: no road; known: {', '.join(ROADS)}")
    fields = {"text": given} if isinstance(given, str) else given
    if not isinstance(fields, dict):
        raise RequestsUnusable(f"{place}: {given!r} is no request")
    text, after = fields.get("text"), fields.get("after")
    if not isinstance(text, str) or not text.strip():
        raise RequestsUnusable(f"{place}: a request without words")
    if after is None:
        return RoutedRequest(text, Road(road))
    if not isinstance(after, list) or len(after) != 2 or not all(map(_is_text, after)):
        raise RequestsUnusable(f"{place}: `after` is not [caller, agent]")
    return RoutedRequest(text, Road(road), ((after[0], after[1]),))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)
