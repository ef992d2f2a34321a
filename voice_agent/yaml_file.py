"""Files of settings, policies and examples: YAML, read strictly, refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

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
        raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise refused(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise refused(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from error
    try:
        return kind.model_validate({} if raw is None else raw)
    except ValidationError as error:
        raise refused(f"{path}: {_first_fault(error)}") from error


def _first_fault(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown key `{key}`"
    said = first["msg"].removeprefix("Value error, ")
    return f"`{key}`: {said[:1].lower()}{said[1:]}" if key else said
