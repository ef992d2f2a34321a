from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voice_agent.knowledge.documents import Document
from voice_agent.knowledge.passages import Passage, cut_into_passages


def count_words(text: str) -> int:
    return len(text.split())


def cut(text: str, max_tokens: int = 20, markdown: bool = True) -> list[Passage]:
    document = Document("doc", "Delivery", "doc.md", text, markdown, "digest")
    return cut_into_passages(document, count_words, max_tokens)


def test_each_section_is_a_passage_with_its_heading_path() -> None:
    passages = cut(
        "# Delivery\n\nHello.\n\n## Parcels\n\nOne.\n\n### Express\n\nTwo.\n\n## Sofas\n\nThree."
    )
    assert [(p.heading, p.text) for p in passages] == [
        ("", "Hello."),
        ("Parcels", "One."),
        ("Parcels > Express", "Two."),
        ("Sofas", "Three."),
    ]


def test_passage_ids_are_readable_and_unique() -> None:
    passages = cut("## Price & time\n\nA.\n\n## Price & time\n\nB.\n\nIntro.", max_tokens=1)
    assert [p.passage_id for p in passages] == [
        "doc#price-time",
        "doc#price-time-2",
        "doc#price-time-3",
    ]


def test_short_sections_are_not_merged_and_empty_ones_leave_nothing() -> None:
    assert [p.text for p in cut("## A\n\nOne.\n\n## B\n\n## C\n\nTwo.")] == ["One.", "Two."]
    assert cut("# Only\n\n## Headings") == []


def test_a_long_section_is_cut_at_paragraphs_then_sentences_then_words() -> None:
    text = "One two three.\n\nFour five. Six seven eight nine. Ten.\n\na b c d e f g h i"
    assert [p.text for p in cut(text, max_tokens=4, markdown=False)] == [
        "One two three.",
        "Four five.",
        "Six seven eight nine.",
        "Ten.",
        "a b c d",
        "e f g h",
        "i",
    ]


def test_abbreviations_do_not_end_a_sentence() -> None:
    text = "We open at 8 a.m. on weekdays and close late. Sunday is shorter for all."
    assert [p.text for p in cut(text, max_tokens=10)] == [
        "We open at 8 a.m. on weekdays and close late.",
        "Sunday is shorter for all.",
    ]


def test_markup_is_not_spoken() -> None:
    text = "See **our** [prices](https://x.example) and `E18`.\nNext <b>line</b>.\n\n"
    text += "<script>x</script>\n\n---"
    assert [p.text for p in cut(text)] == ["See our prices and E18. Next line."]


def test_lists_and_tables_become_lines() -> None:
    text = "- Sofa: $59\n- Chair: $29\n\n"
    text += "| Item | Price | Days |\n|--|--|--|\n| Bed | $9 | 3 |\n| Lamp | | |"
    assert [p.text for p in cut(text)] == ["Sofa: $59\nChair: $29\nBed: Price $9, Days 3.\nLamp"]


def test_a_hash_inside_a_code_block_is_no_heading() -> None:
    assert [(p.heading, p.text) for p in cut("## A\n\n```\n# not a heading\n```")] == [
        ("A", "# not a heading")
    ]


def test_an_endless_word_is_cut_too() -> None:
    passages = cut("x" * 100_000, max_tokens=20, markdown=False)
    assert max(len(p.text) for p in passages) < 2_100
    assert sum(p.text.count("x") for p in passages) == 100_000


@given(st.text(max_size=400), st.integers(1, 12))
def test_no_word_is_lost_or_invented_in_plain_text(text: str, max_tokens: int) -> None:
    passages = cut(text, max_tokens, markdown=False)
    assert " ".join(p.text for p in passages).split() == text.split() or any(
        len(word) > 100 for word in text.split()
    )
    assert all(count_words(p.text) <= max_tokens for p in passages)


@given(st.text(max_size=400))
def test_any_text_is_valid_markdown(text: str) -> None:
    for passage in cut(text):
        assert passage.text.strip()
