"""Documents cut into passages: one section, or a part of a long one, with its heading path."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from voice_agent.knowledge.documents import Document

CHUNKER = "sections-2"
"""Part of an index's identity; changes whenever the same document gives other passages."""

MAX_TOKENS = 110  # reading a prompt costs about 5 ms a token on a CPU
_MAX_VERIFIED_TOKENS = 200  # an approved answer is spoken whole; the embedder sees 256 tokens
_MAX_WORD = 100  # characters; the tokenizer counts anything longer as one token
_MARKDOWN = MarkdownIt("commonmark").enable("table")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[\"'(]?[A-Z0-9])")
_BLANK_LINE = re.compile(r"\n\s*\n")
_NOT_SLUG = re.compile(r"[^a-z0-9]+")

CountTokens = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Passage:
    """What a search finds: text that stands on its own, and where it comes from.

    `heading` is the path of headings below the title, joined with " > ". `score` is the
    cosine similarity to the query, -1 to 1; 0 for a passage that no query has found. `language`
    (ISO 639-1), `valid_from` and `valid_until` (ISO dates, inclusive) are empty when unknown or
    open. A `verified` passage is a whole approved answer, `spoken` its approved spoken form;
    `asked` are other ways to ask for it, as one text.
    """

    passage_id: str
    document_id: str
    title: str
    heading: str
    text: str
    source: str
    score: float = 0.0
    language: str = ""
    valid_from: str = ""
    valid_until: str = ""
    verified: bool = False
    spoken: str = ""
    asked: str = ""

    @property
    def embedded_text(self) -> str:
        """The text that is embedded: a section seldom names what its title is about."""
        named = (self.title, self.asked, self.heading)
        ended = (part if part.endswith((".", "?", "!")) else f"{part}." for part in named if part)
        return " ".join((*ended, self.text))


def cut_into_passages(
    document: Document, count_tokens: CountTokens, max_tokens: int = MAX_TOKENS
) -> list[Passage]:
    """Cut a document at its headings, and long sections at paragraphs or sentences.

    Args:
        document: what to cut.
        count_tokens: length of a text in tokens of the embedding model.
        max_tokens: longest text of a passage; sections within it are never merged or cut.

    Returns:
        Passages in reading order; none for a document that is only headings.
    """
    longest = max(max_tokens, _MAX_VERIFIED_TOKENS) if document.verified else max_tokens
    sections = _markdown_sections(document) if document.markdown else _plain_sections(document)
    cut = [
        (heading, text)
        for heading, blocks in sections
        for text in _fit(blocks, count_tokens, longest)
    ]
    approved = document.verified and len(cut) == 1  # a part of an answer was never approved
    passages: list[Passage] = []
    used: dict[str, int] = {}
    for heading, text in cut:
        slug = _NOT_SLUG.sub("-", heading.lower()).strip("-") or "text"
        used[slug] = used.get(slug, 0) + 1
        number = f"-{used[slug]}" if used[slug] > 1 else ""
        passages.append(
            Passage(
                passage_id=f"{document.document_id}#{slug}{number}",
                document_id=document.document_id,
                title=document.title,
                heading=heading,
                text=text,
                source=document.source,
                language=document.language,
                valid_from=document.valid_from,
                valid_until=document.valid_until,
                verified=approved,
                spoken=document.spoken if approved else "",
                asked=_other_questions(document),
            )
        )
    return passages


def _other_questions(document: Document) -> str:
    others = (" ".join(question.split()) for question in document.questions)
    return " ".join(q for q in dict.fromkeys(others) if q and q != document.title)


def _plain_sections(document: Document) -> Iterator[tuple[str, list[str]]]:
    blocks = [" ".join(block.split()) for block in _BLANK_LINE.split(document.text)]
    yield "", [block for block in blocks if block]


def _markdown_sections(document: Document) -> Iterator[tuple[str, list[str]]]:
    """Heading path and blocks of each section that has a text of its own."""
    root = SyntaxTreeNode(_MARKDOWN.parse(document.text))
    path: dict[int, str] = {}
    blocks: list[str] = []
    for node in root.children:
        if node.type != "heading":
            blocks.extend(text for text in _block_texts(node) if text)
            continue
        if blocks:
            yield _heading_path(path, document.title), blocks
            blocks = []
        level = int(node.tag[1:])
        path = {depth: title for depth, title in path.items() if depth < level}
        path[level] = _inline_text(node)
    if blocks:
        yield _heading_path(path, document.title), blocks


def _heading_path(path: dict[int, str], title: str) -> str:
    names = [path[level] for level in sorted(path)]
    return " > ".join(name for name in names if name and name.lower() != title.lower())


def _block_texts(node: SyntaxTreeNode) -> Iterator[str]:
    """Plain text of a block: list items and table rows become lines that can be spoken."""
    match node.type:
        case "paragraph":
            yield _inline_text(node)
        case "fence" | "code_block":
            yield " ".join(node.content.split())
        case "table":
            yield from _table_rows(node)
        case "html_block" | "hr":
            return
        case _:
            for child in node.children:
                yield from _block_texts(child)


def _inline_text(node: SyntaxTreeNode) -> str:
    parts: list[str] = []
    for inline in node.walk():
        if inline.type in ("text", "code_inline"):
            parts.append(inline.content)
        elif inline.type in ("softbreak", "hardbreak"):
            parts.append(" ")
    return " ".join("".join(parts).split())


def _table_rows(table: SyntaxTreeNode) -> Iterator[str]:
    """Each row as "first cell: header value, header value." """
    rows = [
        [_inline_text(cell) for cell in row.children]
        for part in table.children
        for row in part.children
    ]
    header, *body = rows
    for row in body:
        named = [
            f"{name} {value}".strip()
            for name, value in zip(header[1:], row[1:], strict=False)
            if value
        ]
        yield f"{row[0]}: {', '.join(named)}." if named else row[0]


def _fit(blocks: Iterable[str], count_tokens: CountTokens, max_tokens: int) -> Iterator[str]:
    """Join blocks while they fit, cutting those that do not at sentences, then at words."""
    pieces: list[tuple[str, str]] = []  # a piece and what joins it to the one before
    for block in blocks:
        longest_word = max(map(len, block.split()), default=0)
        if longest_word <= _MAX_WORD and count_tokens(block) <= max_tokens:
            pieces.append((block, "\n"))
            continue
        joint = "\n"
        for sentence in _SENTENCE_END.split(block):
            for piece in _cut_at_words(sentence, count_tokens, max_tokens):
                pieces.append((piece, joint))
                joint = " "
    text = ""
    for piece, joint in pieces:
        joined = f"{text}{joint}{piece}" if text else piece
        if text and count_tokens(joined) > max_tokens:
            yield text
            text = piece
        else:
            text = joined
    if text:
        yield text


def _cut_at_words(sentence: str, count_tokens: CountTokens, max_tokens: int) -> Iterator[str]:
    words = [
        word[start : start + _MAX_WORD]
        for word in sentence.split()
        for start in range(0, len(word), _MAX_WORD)
    ]
    while words:
        length = min(len(words), max_tokens)
        while length > 1 and count_tokens(" ".join(words[:length])) > max_tokens:
            length //= 2
        yield " ".join(words[:length])
        words = words[length:]
