from __future__ import annotations

import gzip
import http.server

import pytest

from tests.voice_agent.knowledge.sources.told import QUICK, Remembered, failures, fetched, kinds
from tests.voice_agent.knowledge.sources.web_server import Asked, Reply, WebServer
from voice_agent.knowledge.sources import FetchFailed, Gone, Unchanged, Validators
from voice_agent.knowledge.sources.pages import HttpSource, fetch_page
from voice_agent.knowledge.sources.settings import HttpSourceSettings, WebLimits
from voice_agent.knowledge.sources.web import Web

PAGE = Reply(b"<html><body><p>Thirty days.</p></body></html>")


def source(server: WebServer, *paths: str, web: WebLimits = QUICK, **more: str) -> HttpSource:
    urls = tuple(server.url + path for path in paths)
    return HttpSource(HttpSourceSettings(kind="http", name="site", urls=urls, web=web, **more))


def failure(server: WebServer, path: str, web: WebLimits = QUICK) -> FetchFailed:
    (failed,) = failures(source(server, path, web=web).fetch({}))
    assert "\n" not in failed.reason
    return failed


def revalidated(asked: Asked) -> Reply:
    headers = {"ETag": '"v1"', "Last-Modified": "Wed, 21 Oct 2026 07:28:00 GMT"}
    known = asked.headers.get("If-None-Match") == '"v1"'
    known &= asked.headers.get("If-Modified-Since") == headers["Last-Modified"]
    return Reply(b"", 304, headers=headers) if known else Reply(b"<p>Text</p>", headers=headers)


def test_a_page_is_fetched_with_what_the_server_says_of_it(server: WebServer) -> None:
    server.replies["/a"] = revalidated
    (page,) = fetched(source(server, "/a").fetch({}))
    assert page.uri == f"{server.url}/a"
    assert page.content == b"<p>Text</p>"
    assert page.media_type == "text/html; charset=utf-8"
    assert page.validators.etag == '"v1"'
    assert page.modified_at == 1_792_567_680.0


def test_an_unchanged_page_is_not_sent_again(server: WebServer) -> None:
    server.replies["/a"] = revalidated
    remembered = Remembered(source(server, "/a"))
    remembered.run()
    assert kinds(remembered.run()) == {f"{server.url}/a": "Unchanged"}


def test_a_page_without_validators_is_told_by_its_content(server: WebServer) -> None:
    server.replies["/a"] = PAGE
    remembered = Remembered(source(server, "/a"))
    remembered.run()
    assert kinds(remembered.run()) == {f"{server.url}/a": "Unchanged"}
    server.replies["/a"] = Reply(b"<p>Forty days.</p>")
    assert kinds(remembered.run()) == {f"{server.url}/a": "Fetched"}


def test_429_500_and_a_lost_connection_are_tried_again(server: WebServer) -> None:
    server.replies["/a"] = [
        Reply(status=429, headers={"Retry-After": "3600"}),
        Reply(status=500),
        Reply(status=503, headers={"Retry-After": "0"}),
        PAGE,
    ]
    assert kinds(source(server, "/a").fetch({})) == {f"{server.url}/a": "Fetched"}
    assert len(server.asked) == 4


def test_an_error_is_not_read_to_its_end(server: WebServer) -> None:
    endless = Reply(b"x" * 1000, 500, headers={"Content-Length": str(10**12)})
    server.replies["/a"] = [endless, PAGE]
    assert kinds(source(server, "/a").fetch({})) == {f"{server.url}/a": "Fetched"}


def test_trying_again_ends(server: WebServer) -> None:
    server.replies["/a"] = Reply(status=500)
    failed = failure(server, "/a")
    assert (failed.reason, failed.retryable) == ("answered 500", True)
    assert len(server.asked) == QUICK.attempts


def test_429_500_and_then_garbage_gives_garbage_to_the_parser_and_no_more(
    server: WebServer,
) -> None:
    server.replies["/a"] = [Reply(status=429), Reply(status=500), Reply(b"\x00\x9f\x01" * 50)]
    (page,) = fetched(source(server, "/a").fetch({}))
    assert page.content == b"\x00\x9f\x01" * 50


def test_a_page_that_breaks_off_is_not_taken_for_whole(server: WebServer) -> None:
    server.replies["/a"] = Reply(b"<p>Half of a", break_off=True)
    failed = failure(server, "/a")
    assert failed.retryable
    assert "broke off" in failed.reason


def test_an_empty_answer_is_no_page(server: WebServer) -> None:
    server.replies["/a"] = Reply(b"  \n")
    assert failure(server, "/a") == FetchFailed(f"{server.url}/a", "an empty answer", True)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_is_not_tried_again(server: WebServer, status: int) -> None:
    server.replies["/a"] = Reply(status=status)
    failed = failure(server, "/a")
    assert (failed.reason, failed.retryable) == (f"answered {status}", False)
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [404, 410])
def test_a_known_page_that_is_not_found_is_gone(server: WebServer, status: int) -> None:
    server.replies["/a"] = Reply(status=status)
    url = f"{server.url}/a"
    assert list(source(server, "/a").fetch({url: Validators("x")})) == [Gone(url)]


def test_a_known_page_that_fails_is_not_gone(server: WebServer) -> None:
    server.replies["/a"] = Reply(status=503)
    url = f"{server.url}/a"
    assert kinds(source(server, "/a").fetch({url: Validators("x")})) == {url: "FetchFailed"}


def test_a_page_off_the_list_is_gone(server: WebServer) -> None:
    server.replies["/a"] = PAGE
    old = f"{server.url}/old"
    results = kinds(source(server, "/a").fetch({old: Validators("x")}))
    assert results == {f"{server.url}/a": "Fetched", old: "Gone"}


def test_redirects_are_followed_and_bounded(server: WebServer) -> None:
    server.replies["/a"] = Reply(status=302, headers={"Location": "/b"})
    server.replies["/b"] = PAGE
    server.replies["/loop"] = Reply(status=302, headers={"Location": "/loop"})
    assert kinds(source(server, "/a").fetch({})) == {f"{server.url}/a": "Fetched"}
    failed = failure(server, "/loop")
    assert (failed.reason, failed.retryable) == ("too many redirects", False)
    assert server.paths().count("/loop") == QUICK.redirects + 1


def test_a_redirect_to_another_scheme_is_refused(server: WebServer) -> None:
    server.replies["/a"] = Reply(status=302, headers={"Location": "file:///etc/passwd"})
    assert not failure(server, "/a").retryable


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b"x" * 5_000),
        Reply(gzip.compress(b"x" * 5_000_000), headers={"Content-Encoding": "gzip"}),
    ],
    ids=["plain", "packed"],
)
def test_an_answer_larger_than_the_limit_is_refused(server: WebServer, reply: Reply) -> None:
    server.replies["/a"] = reply
    failed = failure(server, "/a", QUICK.model_copy(update={"max_bytes": 4_000}))
    assert (failed.reason, failed.retryable) == ("larger than 0.004 MB", False)


def test_private_addresses_are_refused_unless_allowed(server: WebServer) -> None:
    server.replies["/a"] = PAGE
    failed = failure(server, "/a", QUICK.model_copy(update={"private_addresses": False}))
    assert failed.reason == "its server is at the private address 127.0.0.1"
    assert not failed.retryable
    assert not server.asked


def test_a_server_that_does_not_listen_is_tried_again_later() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as free:
        port = free.server_address[1]
    settings = HttpSourceSettings(
        kind="http", name="site", urls=(f"http://127.0.0.1:{port}/",), web=QUICK
    )
    (failed,) = failures(HttpSource(settings).fetch({}))
    assert failed.retryable


def test_a_token_goes_with_every_request(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SITE_TOKEN", "s3cret")
    server.replies["/a"] = PAGE
    list(source(server, "/a", token_env="SITE_TOKEN").fetch({}))
    assert server.asked[0].headers["Authorization"] == "Bearer s3cret"


def test_a_token_does_not_follow_a_redirect_to_another_host(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SITE_TOKEN", "s3cret")
    with WebServer().running() as other:
        other.replies["/b"] = PAGE
        server.replies["/a"] = Reply(status=302, headers={"Location": f"{other.url}/b"})
        list(source(server, "/a", token_env="SITE_TOKEN").fetch({}))
        assert "Authorization" not in other.asked[0].headers


def test_a_missing_token_fails_by_the_name_of_its_variable(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SITE_TOKEN", raising=False)
    (failed,) = source(server, "/a", token_env="SITE_TOKEN").fetch({"x": Validators()})
    assert failed == FetchFailed("site", "the variable SITE_TOKEN is not set", False)
    assert not server.asked


def test_requests_keep_their_pace(server: WebServer) -> None:
    server.replies["/a"] = PAGE
    now = [100.0]
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(round(seconds, 3))
        now[0] += seconds

    limits = QUICK.model_copy(update={"requests_per_s": 4})
    web = Web(limits, clock=lambda: now[0], sleep=sleep)
    for _ in range(3):
        fetch_page(web, f"{server.url}/a", None)
    now[0] += 60
    fetch_page(web, f"{server.url}/a", None)
    assert waits == [0.25, 0.25]


def test_a_304_to_a_first_question_is_no_page(server: WebServer) -> None:
    server.replies["/a"] = Reply(status=304)
    assert failure(server, "/a").retryable
    url = f"{server.url}/a"
    assert fetch_page(Web(QUICK), url, Validators("x", etag="y")) == Unchanged(url)
