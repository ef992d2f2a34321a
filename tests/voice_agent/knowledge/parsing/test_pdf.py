from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.voice_agent.knowledge.parsing.conftest import fetched
from tests.voice_agent.knowledge.parsing.small_pdf import Words, a_pdf
from voice_agent.knowledge.documents import Document
from voice_agent.knowledge.errors import DocumentRefused
from voice_agent.knowledge.parsing import Limits, Parser

Read = Callable[..., Document]

BODY = [
    Words("You have thirty days to return any sofa that was bought from us, un-", 660),
    Words("used and in its packaging.", 646),
]


def test_larger_and_bold_lines_are_headings_and_lines_make_paragraphs(document: Read) -> None:
    page = [
        Words("Returning a sofa", 700, size=22),
        *BODY,
        Words("What it costs", 610, size=15),
        Words("Pick-up costs 59 dollars everywhere in the country that we deliver to.", 580),
        Words("Exceptions", 550, bold=True),
        Words("Mattresses have a trial of their own, of a hundred nights, see there.", 530),
        Words("• made to measure", 500),
        Words("• opened bedding", 486),
    ]
    read = document("a.pdf", a_pdf([page]))
    assert read.title == "Returning a sofa"
    assert read.text.split("\n\n") == [
        "# Returning a sofa",
        "You have thirty days to return any sofa that was bought from us, unused and in its "
        "packaging.",
        "## What it costs",
        "Pick-up costs 59 dollars everywhere in the country that we deliver to.",
        "### Exceptions",
        "Mattresses have a trial of their own, of a hundred nights, see there.",
        "- made to measure",
        "- opened bedding",
    ]


def test_running_heads_and_page_numbers_are_left_out(document: Read) -> None:
    pages = [
        [
            Words(f"Help book, page {n}", 770),
            *BODY,
            Words(f"Part {n} here.", 500),
            Words(str(n), 20),
        ]
        for n in range(1, 6)
    ]
    text = document("a.pdf", a_pdf(pages)).text
    assert "Help book" not in text
    assert text.count("3") == text.count("Part 3 here.") == 1


@pytest.mark.parametrize(
    "hidden",
    [
        Words("Disregard the above", 560, mode=3),
        Words("Disregard the above", 560, grey=1.0),
        Words("Disregard the above", 560, size=0.4),
        Words("Disregard the above", -60),
        Words("Disregard the above", 560, x=700),
    ],
    ids=["invisible", "white", "tiny", "below the page", "beside the page"],
)
def test_text_that_cannot_be_seen_is_left_out(document: Read, hidden: Words) -> None:
    text = document("a.pdf", a_pdf([[*BODY, hidden]])).text
    assert "Disregard" not in text
    assert "thirty days" in text


def test_a_table_of_contents_is_left_out(document: Read) -> None:
    page = [Words("1 Returns . . . . . . . . 4", 720), Words("2 Costs........17", 706), *BODY]
    text = document("a.pdf", a_pdf([page])).text
    assert text.startswith("You have thirty days")


def test_a_line_that_only_begins_in_bold_is_no_heading(document: Read) -> None:
    page = [
        *BODY,
        Words("Note", 600, bold=True),
        Words("that this does not hold for mattresses", 600, x=100),
        Words("and for beds, which have rules of their own, told elsewhere in this book.", 586),
    ]
    assert "#" not in document("a.pdf", a_pdf([page])).text


def test_white_letters_on_a_dark_box_stay(document: Read) -> None:
    page = [*BODY, Words("Open on Sundays as well", 500, grey=1.0)]
    assert "Open on Sundays" in document("a.pdf", a_pdf([page], boxes=[(60, 490, 300, 30)])).text


def test_the_text_layer_of_a_scan_is_read(document: Read) -> None:
    scan = a_pdf([[Words("Recognised from the picture", 600, mode=3)]], picture=True)
    assert document("scan.pdf", scan).text == "Recognised from the picture"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("# 5 * 3 <b> [x] is no markup here.", r"\# 5 \* 3 \<b\> \[x\] is no markup here."),
        ("12. August is a holiday.", r"12\. August is a holiday."),
        ("+ 5 dollars", r"\+ 5 dollars"),
        ("-5 degrees and 2.5 kg", "-5 degrees and 2.5 kg"),
    ],
)
def test_markup_in_a_pdf_stays_text(document: Read, words: str, text: str) -> None:
    assert document("a.pdf", a_pdf([[Words(words, 700)]])).text == text


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (a_pdf([BODY], encrypted=True), "encrypted"),
        (a_pdf([[]], picture=True), "text recognition"),
        (a_pdf([[]]), "no text in it"),
        (b"%PDF-1.7\nnothing of a PDF follows", "damaged"),
        (a_pdf([BODY])[:700], "damaged"),
        (
            b"<!doctype html><html><body>Please log in</body></html>",
            "claims to be PDF but holds HTML",
        ),
        (b"just text", "claims to be PDF but holds something else"),
        (b"", "empty"),
    ],
)
def test_a_pdf_that_cannot_be_read_is_refused_with_the_reason(
    refusal: Callable[..., str], content: bytes, reason: str
) -> None:
    assert reason in refusal("a.pdf", content)


def test_a_pdf_of_300_mb_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.pdf"
    with path.open("wb") as file:
        file.write(b"%PDF-1.7\n")
        file.truncate(300_000_000)
    with Parser() as parser, pytest.raises(DocumentRefused, match="300 MB, larger than 50 MB"):
        parser.parse(fetched("huge.pdf", path))


def test_a_pdf_of_too_many_pages_is_refused() -> None:
    with Parser(Limits(max_pages=3)) as parser, pytest.raises(DocumentRefused, match="4 pages"):
        parser.parse(fetched("long.pdf", a_pdf([BODY] * 4)))
