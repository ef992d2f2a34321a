from __future__ import annotations

import gzip

import pytest

from tests.voice_agent.knowledge.sources.told import QUICK, Remembered, failures, kinds
from tests.voice_agent.knowledge.sources.web_server import Reply, WebServer
from voice_agent.knowledge.sources import Validators
from voice_agent.knowledge.sources.feed import FeedSource
from voice_agent.knowledge.sources.listings import NotAListing, read_listing
from voice_agent.knowledge.sources.settings import FeedSourceSettings

URL = "https://shop.example/feed"


def sitemap(*pages: tuple[str, str]) -> Reply:
    entries = "".join(f"<url><loc>{loc}</loc><lastmod>{at}</lastmod></url>" for loc, at in pages)
    space = "http://www.sitemaps.org/schemas/sitemap/0.9"
    return Reply(f"<urlset xmlns='{space}'>{entries}</urlset>".encode())


def rss(*links: str) -> Reply:
    items = "".join(f"<item><title>x</title><link>{link}</link></item>" for link in links)
    return Reply(f"<rss version='2.0'><channel>{items}</channel></rss>".encode())


def source(server: WebServer, path: str = "/feed", max_pages: int = 100) -> FeedSource:
    return FeedSource(
        FeedSourceSettings(
            kind="feed", name="news", url=server.url + path, max_pages=max_pages, web=QUICK
        )
    )


def serve(server: WebServer, *paths: str) -> list[str]:
    for path in paths:
        server.replies[path] = Reply(f"<p>Page {path}</p>".encode())
    return [server.url + path for path in paths]


@pytest.mark.parametrize(
    ("content", "urls"),
    [
        (
            "<rss><channel><link>https://shop.example/</link><item><link>/a</link>"
            "<pubDate>Wed, 21 Oct 2026 07:28:00 GMT</pubDate></item></channel></rss>",
            ["https://shop.example/a"],
        ),
        (
            "<feed xmlns='http://www.w3.org/2005/Atom'><link href='/self'/><entry>"
            "<link rel='edit' href='/e'/><link href='b#part'/>"
            "<updated>2026-10-21T07:28:00Z</updated></entry></feed>",
            ["https://shop.example/b"],
        ),
        (
            "<urlset><url><loc> https://shop.example/c </loc>"
            "<lastmod>2026-10-21T09:28:00+02:00</lastmod></url></urlset>",
            ["https://shop.example/c"],
        ),
    ],
    ids=["rss", "atom", "sitemap"],
)
def test_what_feeds_and_sitemaps_list(content: str, urls: list[str]) -> None:
    for packed in (content.encode(), gzip.compress(content.encode())):
        listing = read_listing(packed, URL)
        assert [page.url for page in listing.pages] == urls
        assert [page.modified_at for page in listing.pages] == [1_792_567_680.0]


@pytest.mark.parametrize(
    "content",
    [
        b"<html><body>Please log in</body></html>",
        b"\x00\x9f garbage",
        b"",
        b"\x1f\x8bnot packed",
        gzip.compress(b"<urlset>" + b" " * 70_000_000),
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><urlset><url><loc>&b;",
    ],
)
def test_what_is_no_listing_is_told(content: bytes) -> None:
    with pytest.raises(NotAListing):
        read_listing(content, URL)


def test_a_page_that_leaves_a_sitemap_is_gone(server: WebServer) -> None:
    one, two = serve(server, "/1", "/2")
    server.replies["/feed"] = sitemap((one, ""), (two, ""))
    remembered = Remembered(source(server))
    assert kinds(remembered.run()) == {one: "Fetched", two: "Fetched"}
    server.replies["/feed"] = sitemap((one, ""))
    assert kinds(remembered.run()) == {one: "Unchanged", two: "Gone"}


def test_a_page_that_leaves_a_feed_is_asked_for_by_itself(server: WebServer) -> None:
    one, two, three = serve(server, "/1", "/2", "/3")
    server.replies["/feed"] = rss(one, two)
    remembered = Remembered(source(server))
    remembered.run()
    server.replies["/feed"] = rss(three)
    server.replies["/2"] = Reply(status=410)
    assert kinds(remembered.run()) == {one: "Unchanged", two: "Gone", three: "Fetched"}


def test_a_page_with_the_listed_time_it_was_fetched_with_is_not_asked_for(
    server: WebServer,
) -> None:
    one, two = serve(server, "/1", "/2")
    at, day = "2026-10-21T07:28:00Z", "2026-10-21"
    server.replies["/feed"] = sitemap((one, at), (two, day))
    remembered = Remembered(source(server))
    remembered.run()
    server.asked.clear()
    assert kinds(remembered.run()) == {one: "Unchanged", two: "Unchanged"}
    assert server.paths() == ["/feed", "/2"]
    server.replies["/1"] = Reply(b"<p>Changed</p>")
    server.replies["/feed"] = sitemap((one, "2026-10-21T08:00:00Z"), (two, day))
    assert kinds(remembered.run())[one] == "Fetched"


def test_an_index_of_sitemaps_is_followed(server: WebServer) -> None:
    one, two = serve(server, "/1", "/2")
    index = "".join(f"<sitemap><loc>{server.url}/{n}.xml</loc></sitemap>" for n in "ab")
    server.replies["/feed"] = Reply(f"<sitemapindex>{index}</sitemapindex>".encode())
    server.replies["/a.xml"] = sitemap((one, ""))
    server.replies["/b.xml"] = sitemap((two, ""))
    assert kinds(source(server).fetch({})) == {one: "Fetched", two: "Fetched"}


@pytest.mark.parametrize("reply", [Reply(b"<p>Garbage"), Reply(status=500), Reply(status=404)])
def test_nothing_is_gone_when_the_listing_cannot_be_read(server: WebServer, reply: Reply) -> None:
    server.replies["/feed"] = reply
    old = f"{server.url}/old"
    results = list(source(server).fetch({old: Validators("x")}))
    assert kinds(results) == {f"{server.url}/feed": "FetchFailed"}


def test_nothing_is_gone_when_one_of_several_sitemaps_fails(server: WebServer) -> None:
    (one,) = serve(server, "/1")
    index = "".join(f"<sitemap><loc>{server.url}/{n}.xml</loc></sitemap>" for n in "ab")
    server.replies["/feed"] = Reply(f"<sitemapindex>{index}</sitemapindex>".encode())
    server.replies["/a.xml"] = sitemap((one, ""))
    results = kinds(source(server).fetch({f"{server.url}/old": Validators("x")}))
    assert results == {f"{server.url}/b.xml": "FetchFailed", one: "Fetched"}


def test_pages_of_other_hosts_and_beyond_the_limit_are_refused_by_name(server: WebServer) -> None:
    one, two = serve(server, "/1", "/2")
    server.replies["/feed"] = rss("http://other.example/x", one, two)
    failed = failures(source(server, max_pages=2).fetch({}))
    assert {failure.uri: failure.reason for failure in failed} == {
        "http://other.example/x": "on another host than its listing",
        two: "listed beyond `max_pages`",
    }
