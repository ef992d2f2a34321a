"""The gateway's errors: one class a stage, each with a stable ``code``."""

from __future__ import annotations


class GatewayError(Exception):
    """Root of everything the gateway raises. The message is one line fit for a log."""

    code = "gateway_error"
    retryable = False


class AgentLinkError(GatewayError):
    """No media stream to an agent."""

    code = "agent_link_failed"
    retryable = True


class AgentUnreachable(AgentLinkError):
    """Nobody answers at the agent's address, or not in time."""

    code = "agent_unreachable"


class AgentBusy(AgentLinkError):
    """The agent takes no further calls just now."""

    code = "agent_busy"


class AgentRefused(AgentLinkError):
    """The agent does not accept our token, or is no media stream at all."""

    code = "agent_refused"
    retryable = False


class AgentsSwitchedOff(AgentLinkError):
    """The kill switch keeps agents from this call."""

    code = "agents_switched_off"
    retryable = False


class StreamLost(AgentLinkError):
    """An open media stream ended; ``how`` is one of ``closed``, ``broken``, ``hung``, ``silent``,
    ``switched_off`` and ``breach``, stable enough to count by."""

    code = "agent_stream_lost"

    def __init__(self, how: str, detail: str = "") -> None:
        super().__init__(detail or how)
        self.how = how


class TargetRefused(GatewayError):
    """A transfer to somewhere the configuration does not name."""

    code = "transfer_target_refused"


class PersonNotReached(GatewayError):
    """Nobody took the call; the message is the reason in the words an agent gets."""

    code = "person_not_reached"
    retryable = True


class NotTransferred(GatewayError):
    """The caller's line did not transfer them. ``sip_code`` is its word for why, 0 for none."""

    code = "not_transferred"

    def __init__(self, message: str, sip_code: int = 0) -> None:
        super().__init__(message)
        self.sip_code = sip_code


class DialFailed(GatewayError):
    """A leg could not even begin to ring."""

    code = "dial_failed"
    retryable = True


class CallStateError(GatewayError):
    """A step the call's state machine does not have."""

    code = "call_state_invalid"


class LineUnavailable(GatewayError):
    """A line (SIP, web) could not be opened: port in use, certificate missing."""

    code = "line_unavailable"


class LineFailed(GatewayError):
    """A line died while it served; a new process is needed."""

    code = "line_failed"
    retryable = True


class SupervisionRefused(GatewayError):
    """A supervisor's wish that the call, as it stands, does not allow. The message may be shown."""

    code = "supervision_refused"


class AlreadyTaken(SupervisionRefused):
    """Another supervisor is with the call."""

    code = "already_taken"


class NotSupervising(SupervisionRefused):
    """Whoever asks is not with the call."""

    code = "not_supervising"


class NobodyToWhisperTo(SupervisionRefused):
    """Whispering needs a human agent on the line."""

    code = "nobody_to_whisper_to"


class NotTakenOver(SupervisionRefused):
    """There is nothing to hand back."""

    code = "not_taken_over"


class NotToPerson(SupervisionRefused):
    """The caller cannot be sent to a person now: one is being rung already, or has them."""

    code = "not_to_person"


class NoAgent(SupervisionRefused):
    """No agent is on the call to be steered."""

    code = "no_agent"


class SteerUnanswered(SupervisionRefused):
    """The agent did not say in time whether it lets itself be steered."""

    code = "steer_unanswered"
    retryable = True


class NotRecorded(SupervisionRefused):
    """There is no recording to pause or to resume."""

    code = "not_recorded"
