from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.voice_agent.knowledge.parsing.conftest import fetched
from voice_agent.knowledge.documents import Document
from voice_agent.knowledge.errors import DocumentRefused
from voice_agent.knowledge.parsing import Limits, Parser
from voice_agent.knowledge.parsing.language import code_of, language_of

Read = Callable[..., Document]

RUSSIAN = "Доставка по городу стоит триста рублей и занимает два рабочих дня"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Café costs 5 €".encode(), "Café costs 5 €"),
        (b"\xef\xbb\xbf" + "Café costs 5 €".encode(), "Café costs 5 €"),
        ("Café costs 5 €".encode("utf-16"), "Café costs 5 €"),
        ("Café costs 5 €".encode("utf-32"), "Café costs 5 €"),
        ("Café costs 5 €".encode("cp1252"), "Café costs 5 €"),
        (RUSSIAN.encode("cp1251"), RUSSIAN),
        (RUSSIAN.encode("koi8-r"), RUSSIAN),
        (
            "schön, größer: Café".encode() + "\nà côté".encode("cp1252"),
            "schön, größer: Café\nà côté",
        ),
        ("schön und größer".encode().decode("cp1252").encode(), "schön und größer"),
        ("e\u0301te\u0301".encode(), "été"),
        (b"one\r\ntwo\rthree", "one\ntwo\nthree"),
        ("配送 costs 5 € в день".encode(), "配送 costs 5 € в день"),
        ("pass\u00adword re\u200bset".encode(), "password reset"),
        ("می\u200cخواهم".encode(), "می\u200cخواهم"),
        (b"plain" + "\U000e0049\U000e0047".encode(), "plain"),
    ],
)
def test_text_is_read_in_whatever_encoding_it_came(
    document: Read, content: bytes, text: str
) -> None:
    assert document("a.txt", content).text == text


def test_front_matter_says_what_a_document_is(document: Read) -> None:
    read = document(
        "help/gifts.md",
        "---\ntitle: Gift cards\nid: gifts\nlanguage: en-US\nvalid_from: 2026-01-01\n"
        "valid_until: '2026-12-31'\nverified: true\nspoken: They never expire.\n"
        "questions:\n- Do they expire?\n---\n\n# Other\n\nThey never do.\n",
    )
    assert (read.document_id, read.title, read.text) == (
        "gifts",
        "Gift cards",
        "# Other\n\nThey never do.",
    )
    assert (read.language, read.valid_from, read.valid_until) == ("en", "2026-01-01", "2026-12-31")
    assert (read.verified, read.spoken, read.questions) == (
        True,
        "They never expire.",
        ("Do they expire?",),
    )


@pytest.mark.parametrize(
    ("uri", "content", "document_id", "title"),
    [
        ("help/one.md", "# Returns and refunds #\n\nText.", "help/one", "Returns and refunds"),
        ("help/store-hours.txt", "Open from ten to eight.", "help/store-hours", "Store hours"),
        ("a.html", "<html><p>Some text</p></html>", "a.html", "A"),
        (
            "https://shop.example/help/gift-cards",
            "Text.",
            "https://shop.example/help/gift-cards",
            "Gift cards",
        ),
    ],
)
def test_a_document_is_named_by_its_place_and_titled_by_its_heading(
    document: Read, uri: str, content: str, document_id: str, title: str
) -> None:
    media_type = "text/plain" if "://" in uri else ""
    read = document(uri, content, media_type)
    assert (read.document_id, read.title) == (document_id, title)


def test_html_inside_markdown_becomes_markdown_and_its_hidden_text_goes(document: Read) -> None:
    text = document(
        "a.md",
        "# Returns\n\nThirty *days* <span style='display:none'>Disregard</span> now.\n\n"
        "<!-- Disregard -->\n\n<details><summary>When?</summary>Within &lt; 5 days</details>\n\n"
        "| a | b |\n|---|---|\n| 1 | 2 |\n\n```\n<b>code</b>\n```\n",
    ).text
    assert "Disregard" not in text
    assert "Thirty *days*" in text
    assert "When?\n\nWithin \\< 5 days" in text
    assert "| 1 | 2 |" in text
    assert "<b>code</b>" in text


def test_markdown_without_html_is_left_as_it_is(document: Read) -> None:
    text = "# A\n\nSee <https://shop.example> or 3 < 5.\n\n* one\n* two"
    assert document("a.md", text).text == text


def test_a_text_file_that_is_a_page_is_read_as_one(document: Read) -> None:
    html = (
        "<!DOCTYPE html><html><head><title>T</title></head><body><p>Hello there</p></body></html>"
    )
    assert document("a.txt", html).text == "Hello there"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.md", "", "empty"),
        ("blank.md", "   \n\n\t\n", "empty"),
        ("only-front-matter.md", "---\ntitle: A\n---\n", "empty"),
        ("marks.md", "***\n---\n", "empty"),
        ("zeros.md", b"abc\x00def", "binary"),
        ("noise.md", bytes(range(1, 256)) * 20, "binary"),
        ("half.md", b"\xff\xfeA", "cut off"),
        ("picture.png", b"\x89PNG", "not a format that is read (.png)"),
        ("old.doc", b"\xd0\xcf\x11\xe0", "not a format that is read (.doc)"),
        ("LICENSE", "text", "no suffix"),
        ("picture.txt", b"\x89PNG\r\n\x1a\n", "claims to be plain text but holds a PNG picture"),
        ("book.txt", b"%PDF-1.7\n", "claims to be plain text but holds PDF"),
        ("book.md", b"PK\x03\x04rest", "holds DOCX"),
        ("lfs.md", b"version https://git-lfs.github.com/spec/v1\n", "git LFS"),
        ("yaml.md", "---\ntitle: [unclosed\n---\nText.", "front matter is not valid YAML"),
        ("list.md", "---\n- a\n- b\n---\nText.", "front matter is not a list"),
        ("date.md", "---\nvalid_from: soon\n---\nText.", "`valid_from` is not a date"),
        ("true.md", "---\nverified: perhaps\n---\nText.", "`verified` is neither"),
        ("title.md", "---\ntitle: {a: b}\n---\nText.", "`title` is not text"),
        (
            "order.md",
            "---\nvalid_from: 2026-02-01\nvalid_until: 2026-01-01\n---\nText.",
            "valid until 2026-01-01, before",
        ),
    ],
)
def test_an_unusable_file_is_refused_with_the_reason(
    refusal: Callable[..., str], name: str, content: str | bytes, reason: str
) -> None:
    assert reason in refusal(name, content)


def test_what_a_server_says_it_is_wins_over_the_name(
    document: Read, refusal: Callable[..., str]
) -> None:
    url = "https://shop.example/book.pdf"
    assert document(url, "<html><p>Moved here</p></html>", "text/html").text == "Moved here"
    assert "image/png" in refusal("https://shop.example/a", b"\x89PNG", "image/png")
    assert "holds PDF" in refusal("https://shop.example/a", b"%PDF-1.7", "text/html")


def test_a_text_larger_than_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "huge.md"
    path.write_bytes(b"a " * 600_000)
    limits = Limits(max_text_bytes=1_000_000)
    with Parser(limits) as parser, pytest.raises(DocumentRefused, match=r"1.2 MB, larger than 1.0"):
        parser.parse(fetched("huge.md", path))


def test_a_very_long_document_is_read_whole(document: Read) -> None:
    text = "\n\n".join(f"## Part {n}\n\nSome text of part {n}." for n in range(40_000))
    assert document("long.md", text).text == text


def test_a_file_that_is_gone_is_refused(refusal: Callable[..., str], tmp_path: Path) -> None:
    assert "cannot be read" in refusal("gone.md", tmp_path / "gone.md")


@pytest.mark.parametrize(
    ("text", "declared", "language"),
    [
        ("How much does it cost to have a sofa delivered to my house?", "", "en"),
        ("Wie viel kostet es, ein Sofa nach Hause liefern zu lassen?", "", "de"),
        ("配送料はいくらですか。ソファを自宅まで配送していただくといくらかかりますか。", "", "ja"),
        ("OK", "", ""),
        ("OK", "de-CH", "de"),
        ("Wie viel kostet es, ein Sofa nach Hause liefern zu lassen? " * 4, "en", "de"),
        ("0742 4711 0815 12-34-56 99.95 €", "", ""),
    ],
)
def test_the_language_is_told_when_it_can_be(text: str, declared: str, language: str) -> None:
    assert language_of(text, declared) == language


@pytest.mark.parametrize(
    ("declared", "code"), [("en-us", "en"), ("DE", "de"), ("pt_BR", "pt"), ("", ""), ("x1", "")]
)
def test_a_locale_has_a_language(declared: str, code: str) -> None:
    assert code_of(declared) == code
