"""What the SIP line decides without a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from telephony.call import LegEnded
from telephony.errors import LineUnavailable
from telephony.settings import SipSettings, TlsSettings, TrunkSettings
from telephony.sip_leg import DigitFilter, why_closed
from telephony.sip_stack import (
    address_in,
    check_certificate,
    check_ports,
    codec_names,
    configuration,
    leg_id_of,
    own_account,
    transports,
    trunk_account,
)


@pytest.mark.parametrize(
    ("text", "ended_by_us", "expected"),
    [
        ("486 Busy Here", None, LegEnded("Busy Here", 486)),
        ("603 Decline", None, LegEnded("Decline", 603)),
        ("480 ", None, LegEnded("480", 480)),
        ("Connection reset by peer [104]", None, LegEnded("far_end_hung_up")),
        ("Connection timed out [110]", None, LegEnded("no_answer", 408)),
        ("rtp stream error", None, LegEnded("media_lost")),
        ("", None, LegEnded("ended")),
        ("Call transfered", None, LegEnded("transferred")),
        ("12-34;to-tag=a;from-tag=b replaced", None, LegEnded("replaced")),
        ("Rejected by user", "drained", LegEnded("drained")),
        ("Rejected by user", "", LegEnded("hung_up")),
    ],
)
def test_why_a_leg_ended(text: str, ended_by_us: str | None, expected: LegEnded) -> None:
    assert why_closed(text, ended_by_us=ended_by_us) == expected


def test_a_repeated_short_digit_is_a_duplicate_and_nothing_else_is() -> None:
    digits = DigitFilter()
    presses = [
        ("5", 100, 0.00, True),
        ("5", 0, 0.02, False),
        ("5", 100, 0.30, True),
        ("6", 10, 0.50, True),
        ("6", 10, 0.52, False),
        ("6", 10, 1.60, True),
    ]
    for digit, duration_ms, at_s, expected in presses:
        assert digits.accept(digit, duration_ms, at_s) is expected, (digit, at_s)


@pytest.mark.parametrize(
    ("call_id", "expected"),
    [
        ("be64bd60ba9bdc84", "be64bd60ba9bdc84"),
        ("a1b2@203.0.113.9", "a1b2-203.0.113.9"),
        ("../../etc/passwd", "etc-passwd"),
        ("x" * 500, "x" * 80),
        ("\r\n\0", "call"),
        ("", "call"),
    ],
)
def test_a_call_id_is_made_safe_for_logs_files_and_urls(call_id: str, expected: str) -> None:
    assert leg_id_of(call_id) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("<sip:bob@host:5060;transport=udp>;tag=1", "sip:bob@host:5060"),
        ('"Bob" <sip:bob@host>', "sip:bob@host"),
        ("sip:bob@host;tag=1", "sip:bob@host"),
        ("", ""),
        ("<", ""),
    ],
)
def test_the_address_in_a_header(header: str, expected: str) -> None:
    assert address_in(header) == expected


def test_the_configuration_has_every_setting_found_necessary() -> None:
    text = configuration(SipSettings(rtp_timeout_s=15, jitter_buffer_ms=(60, 200)), 7).render()
    for line in (
        "net_interface 127.0.0.1",
        "sip_listen 127.0.0.1:5060",
        "call_max_calls 7",
        "rtp_timeout 15",
        "audio_jitter_buffer_type adaptive",
        "audio_jitter_buffer_ms 60-200",
        "rtp_ports 20000-20999",
        "sip_verify_server yes",
    ):
        assert line in text.splitlines()


def test_all_interfaces_are_not_narrowed_to_one() -> None:
    everywhere = SipSettings(host="0.0.0.0")  # noqa: S104
    assert "net_interface" not in configuration(everywhere, 1).render()


@pytest.mark.parametrize(
    ("srtp", "parameter"), [("off", None), ("optional", "srtp"), ("mandatory", "srtp-mand")]
)
def test_an_account_refuses_video_takes_any_name_and_encrypts(
    srtp: str, parameter: str | None
) -> None:
    aor = own_account(SipSettings(srtp=srtp), "tcp").aor()
    assert "video_codecs=none" in aor
    assert "catchall=yes" in aor
    assert "audio_codecs=pcmu,pcma" in aor
    assert ("mediaenc" in aor) is (parameter is not None)
    if parameter:
        assert aor.endswith(f"mediaenc={parameter}")


@pytest.mark.parametrize(
    "settings",
    [
        SipSettings(codecs=("PCMU", "EVRC")),
        SipSettings(codecs=()),
        SipSettings(user="a;b"),
    ],
)
def test_an_account_the_stack_cannot_have_is_one_clear_line(settings: SipSettings) -> None:
    with pytest.raises(LineUnavailable, match=r"gateway\.sip"):
        own_account(settings, "udp")


def test_codecs_are_named_as_the_stack_names_them() -> None:
    assert codec_names(("G722", "pcmu")) == ("g722/16000/1", "pcmu")


@pytest.mark.parametrize(
    "settings",
    [
        SipSettings(rtp_ports=(20_000, 20_000)),
        SipSettings(jitter_buffer_ms=(200, 20)),
        SipSettings(port=5060, tls=TlsSettings(port=5070, certificate=Path("x.pem"))),
        SipSettings(tls=TlsSettings(certificate=Path("with space.pem"))),
    ],
)
def test_settings_the_stack_cannot_have_are_one_clear_line(settings: SipSettings) -> None:
    with pytest.raises(LineUnavailable) as refused:
        configuration(settings, 4)
    assert "\n" not in str(refused.value)


def test_tls_is_a_transport_only_when_it_is_configured() -> None:
    assert transports(SipSettings()) == ("udp", "tcp")
    assert "tls" in transports(SipSettings(tls=TlsSettings(certificate=Path("x.pem"))))


def test_a_missing_certificate_is_named() -> None:
    settings = SipSettings(tls=TlsSettings(certificate=Path("absent.pem")))
    with pytest.raises(LineUnavailable, match=r"absent\.pem"):
        check_certificate(settings)


def test_an_address_that_is_not_ours_is_one_clear_line() -> None:
    with pytest.raises(LineUnavailable, match=r"203\.0\.113\.1"):
        check_ports(SipSettings(host="203.0.113.1"))


def test_the_trunk_account_carries_what_the_trunk_needs() -> None:
    trunk = TrunkSettings(
        user="1", domain="trunk.test", registrar="sbc.trunk.test", auth_user="cred", expires_s=120
    )
    aor = trunk_account(SipSettings(), trunk, "word").aor()
    for part in ("<sip:1@trunk.test;transport=udp>", "auth_user=cred", "regint=120", "sbc.trunk"):
        assert part in aor
