"""Who may do what: permissions, roles, and the one table that joins them. Deny by default."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType


class Role(StrEnum):
    """What somebody who signs in is there for."""

    AGENT = "agent"
    SUPERVISOR = "supervisor"
    QUALITY = "quality"
    ENGINEER = "engineer"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"


class Permission(StrEnum):
    """One thing that a role may or may not do."""

    PUBLIC = "public"
    """Without signing in."""
    SIGNED_IN = "signed_in"
    """Whoever has signed in."""
    LIVE = "live"
    WORDS = "words"
    LISTEN = "listen"
    WHISPER = "whisper"
    STEER = "steer"
    BARGE = "barge"
    TAKEOVER = "takeover"
    HANDBACK = "handback"
    END = "end"
    TO_PERSON = "to_person"
    HANDOFF = "handoff"
    HISTORY = "history"
    RECORDING = "recording"
    PAUSE_RECORDING = "pause_recording"
    GRADE = "grade"
    EVALUATE = "evaluate"
    VERIFIED_ANSWER = "verified_answer"
    APPROVE = "approve"
    ANSWERING = "answering"
    KILL_SWITCH = "kill_switch"
    OPERATIONS = "operations"
    QUALITY = "quality"
    BUSINESS = "business"
    COMPLIANCE = "compliance"
    AUDIT = "audit"
    USERS = "users"
    EXPORT = "export"
    ERASE = "erase"


_P = Permission
GRANTS: MappingProxyType[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.AGENT: frozenset({_P.HANDOFF}),
        Role.SUPERVISOR: frozenset(
            {
                *(_P.LIVE, _P.WORDS, _P.LISTEN, _P.WHISPER, _P.STEER, _P.BARGE, _P.TAKEOVER),
                *(
                    _P.HANDBACK,
                    _P.TO_PERSON,
                    _P.END,
                    _P.HANDOFF,
                    _P.HISTORY,
                    _P.RECORDING,
                    _P.GRADE,
                ),
                *(_P.EVALUATE, _P.VERIFIED_ANSWER, _P.ANSWERING, _P.KILL_SWITCH),
                *(_P.PAUSE_RECORDING, _P.OPERATIONS, _P.QUALITY),
            }
        ),
        Role.QUALITY: frozenset(
            {
                *(_P.LIVE, _P.WORDS, _P.LISTEN, _P.HISTORY, _P.RECORDING, _P.GRADE, _P.EVALUATE),
                *(_P.VERIFIED_ANSWER, _P.APPROVE, _P.QUALITY),
            }
        ),
        Role.ENGINEER: frozenset(
            {_P.LIVE, _P.HISTORY, _P.ANSWERING, _P.KILL_SWITCH, _P.OPERATIONS, _P.QUALITY}
        ),
        Role.ADMINISTRATOR: frozenset(
            {
                *(_P.LIVE, _P.HISTORY, _P.ANSWERING, _P.KILL_SWITCH, _P.USERS),
                *(_P.OPERATIONS, _P.QUALITY, _P.BUSINESS, _P.COMPLIANCE, _P.AUDIT),
                *(_P.EXPORT, _P.ERASE),
            }
        ),
        Role.AUDITOR: frozenset({_P.HISTORY, _P.ANSWERING, _P.COMPLIANCE, _P.AUDIT}),
    }
)
"""The words of callers are for those who work with callers: neither engineer, administrator nor
auditor reads them, and no one role both grants roles and hears calls."""


SUPERVISING: MappingProxyType[str, Permission] = MappingProxyType(
    {
        "listen": Permission.LISTEN,
        "whisper": Permission.WHISPER,
        "barge": Permission.BARGE,
        "takeover": Permission.TAKEOVER,
    }
)
"""What somebody in a call may do there, by the gateway's name of the mode."""


def may(role: Role | None, permission: Permission) -> bool:
    """Whether somebody of that role (``None``: not signed in) may do that."""
    if permission is Permission.PUBLIC:
        return True
    if role is None:
        return False
    return permission is Permission.SIGNED_IN or permission in GRANTS[role]
