"""Files of settings, policies and examples: YAML, read strictly, refused in one line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

AnyModel = TypeVar("AnyModel", bound=BaseModel)


def read_yaml(path: Path, kind: type[AnyModel], refused: Callable[[str], Exception]) -> AnyModel:
    """What the file holds; an empty file is a model with nothing set.

    Args:
        path: the file.
        kind: what it must be.
        refused: makes the error that is raised from one line, which begins with the path and says
            what is wrong, and at which key.

    Raises:
        Exception: what ``refused`` makes.
    """
    try:
        return kind.model_validate(_raw(path, refused))
    except ValidationError as error:
        raise refused(f"{path}: {_fault(error.errors()[0])}") from error


def read_sound_part(
    path: Path, kind: type[AnyModel], refused: Callable[[str], Exception]
) -> tuple[AnyModel | None, list[str]]:
    """What of the file can be used, and a line for everything that cannot.

    Args and errors as ``read_yaml``; only a file that is no YAML is still refused.

    Returns:
        The model without the keys that are wrong (``None``: nothing is left), and the faults.
    """
    raw = _raw(path, refused)
    faults: list[str] = []
    while True:
        try:
            return kind.model_validate(raw), faults
        except ValidationError as error:
            found = error.errors()
        faults += [line for each in found if (line := f"{path}: {_fault(each)}") not in faults]
        wrong = {_place(raw, each["loc"]) for each in found}
        if () in wrong:
            return None, faults
        for place in sorted(wrong, reverse=True):  # what is taken out of a list moves what follows
            _take_out(raw, place)


def _raw(path: Path, refused: Callable[[str], Exception]) -> Any:
    try:
        raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise refused(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise refused(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from error
    return {} if raw is None else raw


def _place(raw: Any, where: Sequence[int | str]) -> tuple[Any, ...]:
    """The way to the innermost part that is there, through nested mappings and lists."""
    place: list[int | str] = []
    for part in where:
        if isinstance(raw, str):
            break
        try:
            raw = raw[part]
        except (KeyError, IndexError, TypeError):
            continue  # the name of an alternative, or a key that is missing
        place.append(part)
    return tuple(place)


def _take_out(raw: Any, place: Sequence[Any]) -> None:
    for part in place[:-1]:
        raw = raw[part]
    del raw[place[-1]]


def _fault(error: ErrorDetails) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"unknown key `{key}`"
    said = error["msg"].removeprefix("Value error, ")
    return f"`{key}`: {said[:1].lower()}{said[1:]}" if key else said
