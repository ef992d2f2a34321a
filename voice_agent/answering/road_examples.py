"""The roads' examples as ``configs/roads.yaml`` gives them, read strictly."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from telephony.settings import Section
from voice_agent.config import ConfigError
from voice_agent.reply import Road
from voice_agent.yaml_file import read_yaml

ROADS = (
    Road.VERIFIED,
    Road.ANSWER,
    Road.ACTION,
    Road.SMALL_TALK,
    Road.CLARIFY,
    Road.PERSON,
    Road.OUT_OF_SCOPE,
)
"""The roads that examples lead to; all others are found by rules."""
_SPOKEN_AS_IT_IS = {Road.VERIFIED, Road.SMALL_TALK, Road.CLARIFY, Road.PERSON, Road.OUT_OF_SCOPE}
_OWN_WORDS = {Road.ANSWER, Road.ACTION}


def _with_words(text: str) -> str:
    text = " ".join(text.split())
    if not any(character.isalnum() for character in text):
        raise ValueError("an empty text")
    return text


Words = Annotated[str, AfterValidator(_with_words)]


class Group(Section):
    """Requests that are alike and get the same."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="Told to the record and the stages")
    says: str = Field("", description="Said as it is written")
    asked: tuple[Words, ...] = Field(min_length=1, description="How callers say it")
    words: tuple[Words, ...] = Field(
        (), description="Words and phrases that alone decide, whatever is said around them"
    )


class Roads(Section):
    """All groups of all roads."""

    roads: dict[Road, tuple[Group, ...]] = Field(description="Groups of requests by their road")

    @model_validator(mode="after")
    def _complete(self) -> Roads:
        for road in self.roads:
            if road not in ROADS:
                raise ValueError(f"`{road}` is no road that examples lead to")
        for road in ROADS:
            if not self.roads.get(road):
                raise ValueError(f"`{road}` has no examples")
        heard: dict[str, str] = {}
        for road, groups in self.roads.items():
            names = [group.name for group in groups]
            if len(set(names)) < len(names):
                raise ValueError(f"`{road}` has two groups of one name")
            for group in groups:
                _check_group(road, group, heard)
        return self

    def groups(self) -> list[tuple[Road, Group]]:
        """Every group with its road, in the order of the file."""
        return [(road, group) for road, groups in self.roads.items() for group in groups]

    def sentences(self) -> tuple[str, ...]:
        """All that is said as it is written, for keeping it as sound."""
        return tuple(dict.fromkeys(group.says for _, group in self.groups() if group.says))


def _check_group(road: Road, group: Group, heard: dict[str, str]) -> None:
    if road in _SPOKEN_AS_IT_IS and not group.says.strip():
        raise ValueError(f"`{road}`, `{group.name}`: says nothing")
    if road in _OWN_WORDS and group.says:
        raise ValueError(f"`{road}`, `{group.name}`: `says` is never said on this road")
    if group.words and road is not Road.PERSON:
        raise ValueError(f"`{road}`, `{group.name}`: `words` only ever lead to a person")
    for text in group.asked:
        other = heard.setdefault(text.casefold().strip(" .?!"), road)
        if other != road:
            raise ValueError(f"`{text}` is an example of both `{other}` and `{road}`")


def read_roads(path: Path) -> Roads:
    """Read and check a file of examples.

    Raises:
        ConfigError: one line that says what is wrong with it.
    """
    return read_yaml(path, Roads, lambda said: ConfigError(f"answering.roads: {said}"))


def words_pattern(words: tuple[str, ...]) -> re.Pattern[str] | None:
    """What finds any of these words or phrases as whole words; ``None`` when there are none."""
    if not words:
        return None
    each = (r"\s+".join(re.escape(part) for part in phrase.split()) for phrase in words)
    return re.compile(rf"(?<!\w)(?:{'|'.join(each)})(?!\w)", re.IGNORECASE)
