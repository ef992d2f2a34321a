"""What can go wrong with an action."""

from __future__ import annotations


class ActionError(Exception):
    """Base of all errors of actions."""

    code = "action_failed"
    retryable = False


class ActionsInvalid(ActionError):
    """The declarations cannot be used; the message is one line that says which and why."""

    code = "actions_invalid"
    exit_code = 2


class ToolUnavailable(ActionError):
    """The service was not reached: nothing has been done."""

    code = "tool_unavailable"
    retryable = True


class ToolUncertain(ActionError):
    """The service did not answer in time, or not intelligibly: it may have been done or not."""

    code = "tool_uncertain"
    retryable = True


class ToolRefused(ActionError):
    """The service says no. ``reason`` is its own code for why."""

    code = "tool_refused"

    def __init__(self, reason: str) -> None:
        super().__init__(f"refused: {reason}")
        self.reason = reason


class NotAllowed(ActionError):
    """The action may not be done now, whoever asks for it. ``reason`` names the rule."""

    code = "action_not_allowed"

    def __init__(self, reason: str) -> None:
        super().__init__(f"not allowed: {reason}")
        self.reason = reason
