"""A caller played by sipp, which takes a REFER as the test says. Scenarios are built from parts, in
the order in which the caller sees them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from evals.wire_line import free_port
from tests.telephony.debian_phone import program

_SDP = """v=0
      o=caller 1 {version} IN IP4 127.0.0.1
      s=-
      c=IN IP4 127.0.0.1
      t=0 0
      m=audio [media_port] RTP/AVP 0
      a=rtpmap:0 PCMU/8000
      a={direction}
"""
_ANSWER_HEADERS = """[last_Via:]
      [last_From:]
      [last_To:]
      [last_Call-ID:]
      [last_CSeq:]
      Contact: <sip:caller@127.0.0.1:[local_port]>"""
_DIALOG_HEADERS = """Via: SIP/2.0/[transport] 127.0.0.1:[local_port];branch=[branch]
      From: <sip:caller@127.0.0.1:[local_port]>;tag=[call_number]
      To: <sip:agent@[remote_ip]:[remote_port]>[peer_tag_param]
      Call-ID: [call_id]
      Max-Forwards: 70
      Contact: <sip:caller@127.0.0.1:[local_port]>"""


def _send(message: str, body: str = "", retransmits: bool = False) -> str:
    kind = "Content-Type: application/sdp\n      " if body else ""
    again = ' retrans="500"' if retransmits else ""
    return f"""<send{again}><![CDATA[
      {message}
      {kind}Content-Length: [len]

      {body}
    ]]></send>"""


RINGS_AND_IS_ANSWERED = (
    _send(
        "INVITE sip:agent@[remote_ip]:[remote_port] SIP/2.0\n      "
        + _DIALOG_HEADERS.replace("[peer_tag_param]", "")
        + "\n      CSeq: 1 INVITE\n      Supported: replaces"
        + "\n      Allow: INVITE, ACK, BYE, CANCEL, REFER, NOTIFY, OPTIONS",
        _SDP.format(version=1, direction="sendrecv"),
        retransmits=True,
    )
    + """<recv response="100" optional="true"/><recv response="180" optional="true"/>
    <recv response="183" optional="true"/><recv response="200" rrs="true"/>"""
    + _send(
        "ACK sip:agent@[remote_ip]:[remote_port] SIP/2.0\n      "
        + _DIALOG_HEADERS
        + "\n      CSeq: 1 ACK"
    )
)


def _is_offered(version: int, direction: str) -> str:
    return (
        '<recv request="INVITE"/>'
        + _send(
            f"SIP/2.0 200 OK\n      {_ANSWER_HEADERS}",
            _SDP.format(version=version, direction=direction),
            retransmits=True,
        )
        + '<recv request="ACK"/>'
    )


IS_HELD = _is_offered(2, "recvonly")
IS_TAKEN_BACK = _is_offered(3, "sendrecv")
HANGS_UP = (
    _send(
        "BYE sip:agent@[remote_ip]:[remote_port] SIP/2.0\n      "
        + _DIALOG_HEADERS
        + "\n      CSeq: 9 BYE",
        retransmits=True,
    )
    + '<recv response="200"/>'
)
IS_HUNG_UP_ON = '<recv request="BYE"/>' + _send(f"SIP/2.0 200 OK\n      {_ANSWER_HEADERS}")


def is_referred(answer: str, refer_to: str) -> str:
    """A REFER whose Refer-To matches a pattern comes, and is answered, e.g. ``202 Accepted``;
    without an answer it is only received."""
    received = f"""<recv request="REFER"><action>
      <ereg regexp="{refer_to}" search_in="hdr" header="Refer-To:" check_it="true"
            assign_to="refer_to"/></action></recv><Reference variables="refer_to"/>"""
    return received + (_send(f"SIP/2.0 {answer}\n      {_ANSWER_HEADERS}") if answer else "")


def reports(status: str, cseq: int, state: str) -> str:
    """A NOTIFY with a status line as ``message/sipfrag`` goes out, and is accepted."""
    return f"""<send retrans="500"><![CDATA[
      NOTIFY sip:agent@[remote_ip]:[remote_port] SIP/2.0
      {_DIALOG_HEADERS}
      CSeq: {cseq} NOTIFY
      Event: refer
      Subscription-State: {state}
      Content-Type: message/sipfrag;version=2.0
      Content-Length: [len]

      SIP/2.0 {status}
    ]]></send><recv response="200"/>"""


@contextlib.asynccontextmanager
async def sipp_caller(
    folder: Path, port: int, *parts: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """One call of a scenario to our port; its exit status is 0 when all came as it should."""
    scenario = folder / "caller.xml"
    scenario.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="caller">'
        + "\n".join(parts)
        + "</scenario>\n"
    )
    command = (
        *("sipp", f"127.0.0.1:{port}", "-sf", str(scenario), "-m", "1", "-i", "127.0.0.1"),
        *("-p", str(free_port("127.0.0.1"))),
        *("-t", "u1", "-timeout", "40s", "-trace_err", "-error_file", str(folder / "errors")),
    )
    async with program(folder, *command) as process:
        yield process
