"""Asking web servers, politely and with bounds: what every source over HTTP uses (urllib3)."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, LocationParseError, MaxRetryError, ResponseError
from urllib3.util import Retry, Timeout

from voice_agent.knowledge.sources.settings import WebLimits

_USER_AGENT = "voice-agent-knowledge/1"
_RETRIED = frozenset((408, 425, 429, 500, 502, 503, 504))
_CHUNK_BYTES = 1 << 16
_MOST_BACKOFF_S = 30.0


class WebFailed(Exception):
    """A server could not be asked or gave no answer that can be used; says whether to ask again.

    `status` is 0 when there was no answer.
    """

    def __init__(self, reason: str, *, retryable: bool, status: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retryable = retryable
        self.status = status


class _PrivateAddress(Exception):
    """The other end of a connection is not on the public internet."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered. `content` is empty when `unchanged`; `modified_at` is Unix time."""

    content: bytes
    media_type: str
    etag: str
    last_modified: str
    unchanged: bool = False

    @property
    def modified_at(self) -> float:
        """When the server says it changed, in seconds; 0 when it does not say."""
        try:
            return parsedate_to_datetime(self.last_modified).timestamp()
        except (TypeError, ValueError):
            return 0.0


def _pool_classes(private_addresses: bool) -> dict[str, type]:
    """Pools whose connections refuse private addresses and never read an answer they do not need.

    The address is looked at once connected, so no name and no redirect leads round that. An answer
    that is retried or redirected is closed: urllib3 would read it to its end, however far that is.
    """

    class Plain(HTTPConnection):
        def _new_conn(self) -> Any:
            return _allowed(super()._new_conn(), private_addresses)

        def getresponse(self) -> Any:
            return _left_unread(super().getresponse())

    class Tls(HTTPSConnection):
        def _new_conn(self) -> Any:
            return _allowed(super()._new_conn(), private_addresses)

        def getresponse(self) -> Any:
            return _left_unread(super().getresponse())

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = Tls

    return {"http": PlainPool, "https": TlsPool}


def _allowed(socket: Any, private_addresses: bool) -> Any:
    address = ipaddress.ip_address(socket.getpeername()[0].partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    if not private_addresses and not (mapped or address).is_global:
        socket.close()
        raise _PrivateAddress(str(address))
    return socket


def _left_unread(response: Any) -> Any:
    response.drain_conn = response.close
    return response


class Web:
    """Asks for pages within `limits`; one for a source."""

    def __init__(
        self,
        limits: WebLimits,
        headers: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`headers` go with every request, but `Authorization` never to another host."""
        self._limits = limits
        self._headers = {"User-Agent": _USER_AGENT, "Accept-Encoding": "gzip", **(headers or {})}
        self._clock = clock
        self._sleep = sleep
        self._next_at = clock()
        self._pools = urllib3.PoolManager(num_pools=8, maxsize=1)
        self._pools.pool_classes_by_scheme = _pool_classes(limits.private_addresses)

    def get(self, url: str, etag: str = "", last_modified: str = "") -> Answer:
        """Ask for a page; with validators, only if it has changed.

        429, 5xx and lost connections are tried again after a growing wait, or after the wait the
        server asks for; redirects are followed; nothing beyond the limits is read.

        Raises:
            WebFailed: there is no answer that can be used.
        """
        headers = dict(self._headers)
        if etag:
            headers["If-None-Match"] = etag
        if last_modified:
            headers["If-Modified-Since"] = last_modified
        self._wait_for_turn()
        try:
            response = self._pools.request(
                "GET",
                url,
                headers=headers,
                retries=self._retries(),
                timeout=Timeout(connect=self._limits.timeout_s, read=self._limits.timeout_s),
                preload_content=False,
            )
        except MaxRetryError as error:
            redirected = isinstance(error.reason, ResponseError)
            raise WebFailed(_one_line(error.reason or error), retryable=not redirected) from error
        except _PrivateAddress as error:
            reason = f"its server is at the private address {error}"
            raise WebFailed(reason, retryable=False) from error
        except (LocationParseError, ValueError) as error:
            raise WebFailed(f"not an address: {_one_line(error)}", retryable=False) from error
        except (HTTPError, OSError) as error:
            raise WebFailed(_one_line(error), retryable=True) from error
        try:
            return self._answer(response)
        except (HTTPError, OSError) as error:
            raise WebFailed(f"broke off: {_one_line(error)}", retryable=True) from error
        finally:
            response.close()

    def _wait_for_turn(self) -> None:
        now = self._clock()
        if self._next_at > now:
            self._sleep(self._next_at - now)
        self._next_at = max(now, self._next_at) + 1 / self._limits.requests_per_s

    def _retries(self) -> Retry:
        tries = self._limits.attempts - 1
        return Retry(
            total=None,
            connect=tries,
            read=tries,
            status=tries,
            other=0,
            redirect=self._limits.redirects,
            status_forcelist=_RETRIED,
            backoff_factor=self._limits.backoff_s,
            backoff_max=_MOST_BACKOFF_S,
            backoff_jitter=self._limits.backoff_s / 2,
            retry_after_max=int(self._limits.max_wait_s),
            raise_on_status=False,
        )

    def _answer(self, response: urllib3.BaseHTTPResponse) -> Answer:
        status = response.status
        told = response.headers
        etag, last_modified = told.get("ETag", ""), told.get("Last-Modified", "")
        media_type = told.get("Content-Type", "")
        if status == HTTPStatus.NOT_MODIFIED:
            return Answer(b"", media_type, etag, last_modified, unchanged=True)
        if status != HTTPStatus.OK:
            raise WebFailed(
                f"answered {status}", retryable=status in _RETRIED or status >= 500, status=status
            )
        return Answer(self._body(response), media_type, etag, last_modified)

    def _body(self, response: urllib3.BaseHTTPResponse) -> bytes:
        """The unpacked body, read within the limits of size and time."""
        most = self._limits.max_bytes
        too_large = f"larger than {most / 1_000_000:g} MB"
        if (declared := response.headers.get("Content-Length", "")).isdigit() and int(
            declared
        ) > most:
            raise WebFailed(too_large, retryable=False)
        deadline = self._clock() + self._limits.timeout_s
        body = bytearray()
        while chunk := response.read1(_CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > most:
                raise WebFailed(too_large, retryable=False)
            if self._clock() > deadline:
                raise WebFailed(f"takes longer than {self._limits.timeout_s:g} s", retryable=True)
        return bytes(body)


def _one_line(error: BaseException | str) -> str:
    """An error of urllib3 without the names of its objects."""
    text = " ".join(str(error).split())
    return text.partition(": ")[2] or text if text.startswith(("<", "HTTP")) else text
