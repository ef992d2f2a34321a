"""What a CRM is told of a call that is over: checked before it is sent."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    StringConstraints,
    ValidationError,
    model_validator,
)

Line = Annotated[str, StringConstraints(max_length=120)]
Disposition = Literal["answered", "action_done", "handed_over", "abandoned", "failed"]


class ActionOutcome(BaseModel):
    """One action of the call; ``key`` names a write in the journal."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    action: Annotated[str, StringConstraints(pattern=r"^\w{1,60}$")]
    state: Literal["done", "refused", "undone", "unknown"]
    reason: Line = ""
    key: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{0,64}$")] = ""


class HandoffOutcome(BaseModel):
    """How the latest attempt to reach a person went; ``link`` is the story's page."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,40}$")]
    queue: Line = ""
    outcome: Annotated[str, StringConstraints(pattern=r"^[a-z_]{0,40}$")] = ""
    link: Annotated[str, StringConstraints(max_length=400)] = ""


class CallOutcome(BaseModel):
    """A call that is over. Times have a time zone; no caller's words but the summary's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    event_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f-]{36}$")] = Field(
        default_factory=lambda: str(uuid.uuid4())
    )
    type: Literal["call.ended"] = "call.ended"
    call_id: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    caller: Line
    started_at: AwareDatetime
    ended_at: AwareDatetime
    summary: Annotated[str, StringConstraints(min_length=1, max_length=600)]
    disposition: Disposition
    actions: tuple[ActionOutcome, ...] = ()
    handoff: HandoffOutcome | None = None
    transcript_url: HttpUrl

    @model_validator(mode="after")
    def _in_order(self) -> CallOutcome:
        if self.ended_at < self.started_at:
            raise ValueError("the call ended before it began")
        return self


def fault_in(fields: dict[str, Any]) -> str:
    """The first thing that keeps these fields from being sent, in one line; nothing if none."""
    try:
        CallOutcome.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc']) or 'outcome'}: {first['msg']}"
    return ""
