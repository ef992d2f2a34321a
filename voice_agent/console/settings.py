"""The console's part of the settings tree."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from telephony.settings import Section
from voice_agent.console.roles import Role


class OidcSettings(Section):
    """Sign-in with the company's accounts: OpenID Connect, authorisation code with PKCE."""

    issuer: str = Field(description="The provider's issuer address, as its discovery page says it")
    client_id: str = Field(description="Our name at the provider")
    client_secret_env: str = Field(
        "VOICE_AGENT_OIDC_SECRET", description="Environment variable with our secret there, if any"
    )
    user_claim: str = Field("preferred_username", description="Claim that names the person")
    role_claim: str = Field("groups", description="Claim with the person's groups")
    roles: dict[str, Role] = Field(
        {}, description="Group to role; a person in none of them is not let in"
    )
    scopes: tuple[str, ...] = Field(("openid", "profile"), description="What is asked for")


class CostSettings(Section):
    """What a call costs, for the business board. Put in your own prices."""

    currency: str = Field("USD", max_length=8, description="Shown beside amounts")
    line_minute: float = Field(0.01, ge=0, description="A minute on the line")
    machine_hour: float = Field(0.25, ge=0, description="An hour of the machines, used or not")
    thousand_tokens: float = Field(0.0, ge=0, description="A thousand tokens read or written")
    person_minute: float = Field(0.6, ge=0, description="A minute of a human agent")
    person_call_minutes: float = Field(
        6.0, ge=0, description="What a handed-over call takes of a person, where not measured"
    )


class AlarmSettings(Section):
    """From when on a live call, or all of them, raise an alarm."""

    waiting_s: float = Field(60.0, gt=0, description="A caller has waited so long for a person")
    latency_ms: float = Field(2000.0, gt=0, description="The last turn took so long")
    risk: float = Field(0.5, ge=0, le=1, description="Grounding risk of the last turn")
    call_s: float = Field(1200.0, gt=0, description="A call has lasted so long")


class ConsoleSettings(Section):
    """The supervisors' page and its interface."""

    enabled: bool = Field(True, description="`serve` runs the console")
    host: str = Field("127.0.0.1", description="Address to listen on; loopback unless you say so")
    port: int = Field(8060, ge=1, le=65535, description="HTTP port")
    names: tuple[str, ...] = Field((), description="Host names the console may be asked for by")
    public_url: str = Field(
        "", description="Where browsers reach it, e.g. https://console.example.com; empty: as is"
    )
    trusted_proxies: tuple[str, ...] = Field(
        (), description="Addresses of proxies whose X-Forwarded-For is believed"
    )
    folder: Path = Field(
        Path("var/console"), description="Accounts, grades, the audit log; for the owner alone"
    )
    audit_key_env: str = Field(
        "VOICE_AGENT_AUDIT_KEY",
        description="Environment variable with a key that signs the audit log's chain, if any",
    )
    idle_minutes: float = Field(60, gt=0, description="A session unused for so long is over")
    session_hours: float = Field(12, gt=0, description="A session this old is over")
    totp_roles: tuple[Role, ...] = Field(
        (), description="Roles that must have an authenticator; without, they may only set one up"
    )
    requests_per_s: float = Field(
        30.0, gt=0, description="Requests an address may send in the long run; bursts of 5 s"
    )
    listeners: int = Field(200, ge=1, description="Live event streams at once, in all")
    evaluation: Path = Field(
        Path("var/console/evaluation.yaml"),
        description="Questions collected from graded turns, in the form of the stored questions",
    )
    verified_answers: Path = Field(
        Path("var/verified_answers/approved.jsonl"),
        description="Approved answers; name its folder as a source of knowledge to have them said",
    )
    oidc: OidcSettings | None = Field(None, description="OpenID Connect; absent: passwords only")
    costs: CostSettings = CostSettings()
    alarms: AlarmSettings = AlarmSettings()

    @model_validator(mode="after")
    def _redirects_somewhere(self) -> ConsoleSettings:
        if self.oidc and not self.public_url:
            raise ValueError("oidc needs public_url: the provider sends people back there")
        return self
