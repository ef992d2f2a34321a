"""The settings of sources: `knowledge.sources` is a list of these, told apart by `kind`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from telephony.settings import Section

_KINDS_OF_CLONE = ("https://", "http://", "ssh://", "file://", "git@")


def _web_address(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f"`{value}` is not an http address")
    if parts.username or parts.password:
        raise ValueError(f"`{parts.hostname}`: no user or password in an address; use `token_env`")
    return value


def _repository(value: str) -> str:
    """A URL that git clones, or a path; never an option or a transport that runs commands."""
    if value.startswith("-") or "::" in value or not value.strip():
        raise ValueError(f"`{value}` is not a git repository")
    if "://" in value and not value.startswith(_KINDS_OF_CLONE):
        raise ValueError(f"`{value}` is not an https, ssh or file repository")
    return value


WebAddress = Annotated[str, AfterValidator(_web_address)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$", description="Unique name")]


class WebLimits(Section):
    """How a source behaves towards a web server, and what it takes from one."""

    timeout_s: float = Field(20.0, gt=0, description="Patience with one answer, retries apart")
    max_bytes: int = Field(20_000_000, ge=1_000, description="Largest answer, unpacked")
    redirects: int = Field(5, ge=0, le=20, description="Redirects followed, one after another")
    attempts: int = Field(4, ge=1, le=10, description="Tries after 429, 5xx or a lost connection")
    backoff_s: float = Field(0.5, ge=0, description="First wait between tries; then doubled")
    max_wait_s: float = Field(60.0, ge=0, description="Longest wait a server may ask for")
    requests_per_s: float = Field(5.0, gt=0, description="Requests to this source a second")
    private_addresses: bool = Field(
        False, description="Allow loopback, link-local and private networks"
    )


class FolderSourceSettings(Section):
    """A folder of files."""

    kind: Literal["folder"] = Field(description="Which kind of source this is")
    name: Name
    path: Path = Field(description="The folder")


class GitSourceSettings(Section):
    """What is committed in a git repository."""

    kind: Literal["git"] = Field(description="Which kind of source this is")
    name: Name
    repository: Annotated[str, AfterValidator(_repository)] = Field(
        description="Path of a clone, or the URL to clone from"
    )
    ref: str = Field(
        "HEAD", pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]*$", description="Branch, tag or commit"
    )
    below: str = Field("", description="Folder in the repository; empty: all of it")
    timeout_s: float = Field(120.0, gt=0, description="Patience with one git command")
    token_env: str = Field("", description="Variable with an access token for https, if any")


class HttpSourceSettings(Section):
    """A list of web pages or files."""

    kind: Literal["http"] = Field(description="Which kind of source this is")
    name: Name
    urls: tuple[WebAddress, ...] = Field(min_length=1, description="Pages and files")
    token_env: str = Field("", description="Variable with a bearer token, if any")
    web: WebLimits = WebLimits()


class FeedSourceSettings(Section):
    """The pages that an RSS or Atom feed, or a sitemap, lists."""

    kind: Literal["feed"] = Field(description="Which kind of source this is")
    name: Name
    url: WebAddress = Field(description="The feed, the sitemap or the index of sitemaps")
    max_pages: int = Field(2_000, ge=1, description="Pages taken; more are not listed")
    token_env: str = Field("", description="Variable with a bearer token, if any")
    web: WebLimits = WebLimits()


class TicketsSourceSettings(Section):
    """The published articles of a ticket system's help centre (Zendesk's protocol)."""

    kind: Literal["tickets"] = Field(description="Which kind of source this is")
    name: Name
    url: WebAddress = Field(description="Address of the help centre, without `/api`")
    locale: str = Field("en-us", pattern=r"^[a-z]{2}(-[a-z]{2,4})?$", description="Locale read")
    user_env: str = Field("", description="Variable with the user; empty: a bearer token is used")
    token_env: str = Field("VOICE_AGENT_TICKETS_TOKEN", description="Variable with the API token")
    page_size: int = Field(100, ge=1, le=100, description="Articles asked for at once")
    max_articles: int = Field(50_000, ge=1, description="Articles taken")
    web: WebLimits = WebLimits()


class CustomSourceSettings(Section):
    """A connector of one's own; see `sources.fetched.Source`."""

    kind: Literal["custom"] = Field(description="Which kind of source this is")
    name: Name
    connector: str = Field(
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$", description="Its class as `package.module:Class`"
    )
    options: dict[str, Any] = Field(default_factory=dict, description="Given to the class")


SourceSettings = Annotated[
    FolderSourceSettings
    | GitSourceSettings
    | HttpSourceSettings
    | FeedSourceSettings
    | TicketsSourceSettings
    | CustomSourceSettings,
    Field(discriminator="kind"),
]


def _unique_names(sources: tuple[SourceSettings, ...]) -> tuple[SourceSettings, ...]:
    names = [source.name for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two sources are named `{name}`")
    return sources


SourceList = Annotated[tuple[SourceSettings, ...], AfterValidator(_unique_names)]
"""The type of `knowledge.sources`."""
