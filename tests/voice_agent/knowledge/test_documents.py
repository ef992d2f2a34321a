from __future__ import annotations

from pathlib import Path

import pytest

from voice_agent.knowledge.documents import MAX_BYTES, Document, read_documents
from voice_agent.knowledge.errors import NothingToIndex


def write(folder: Path, name: str, content: str | bytes) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def read_one(folder: Path) -> Document:
    documents, refused = read_documents(folder)
    assert not refused
    assert len(documents) == 1
    return documents[0]


def reasons(folder: Path) -> dict[str, str]:
    return {refusal.document: refusal.reason for refusal in read_documents(folder)[1]}


def test_title_and_id_come_from_the_front_matter(tmp_path: Path) -> None:
    write(tmp_path, "a.md", "---\ntitle: Gift cards\nid: gifts\n---\n\n# Other\n\nText.\n")
    document = read_one(tmp_path)
    assert (document.document_id, document.title, document.source) == (
        "gifts",
        "Gift cards",
        "a.md",
    )
    assert document.text == "# Other\n\nText."


def test_title_falls_back_to_the_heading_then_to_the_file_name(tmp_path: Path) -> None:
    write(tmp_path, "help/one.md", "# Returns and refunds #\n\nText.")
    write(tmp_path, "help/store-hours.txt", "Open from ten to eight.")
    documents, _ = read_documents(tmp_path)
    assert [(d.document_id, d.title) for d in documents] == [
        ("help/one", "Returns and refunds"),
        ("help/store-hours", "Store hours"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        "Café costs 5 €".encode(),
        b"\xef\xbb\xbf" + "Café costs 5 €".encode(),
        "Café costs 5 €".encode("utf-16"),
        "Café costs 5 €".encode("cp1252"),
    ],
    ids=["utf-8", "utf-8 with mark", "utf-16", "cp1252"],
)
def test_text_is_read_in_every_usual_encoding(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, "a.txt", content)
    assert read_one(tmp_path).text == "Café costs 5 €"


def test_windows_and_mac_line_ends_become_newlines(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", b"one\r\ntwo\rthree")
    assert read_one(tmp_path).text == "one\ntwo\nthree"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.md", "", "empty"),
        ("blank.md", "   \n\n\t\n", "empty"),
        ("only-front-matter.md", "---\ntitle: A\n---\n", "empty"),
        ("marks.md", "***\n---\n", "empty"),
        ("zeros.md", b"abc\x00def", "binary"),
        ("noise.md", bytes(range(1, 256)) * 20, "binary"),
        ("half.md", b"\xff\xfeA", "binary"),
        ("picture.png", b"\x89PNG", "not Markdown or plain text (.png)"),
        ("LICENSE", "text", "no suffix"),
        ("huge.md", b"a " * (MAX_BYTES // 2 + 1), "larger than 2 MB"),
        ("yaml.md", "---\ntitle: [unclosed\n---\nText.", "front matter is not valid YAML"),
        ("list.md", "---\n- a\n- b\n---\nText.", "front matter is not a list"),
    ],
)
def test_an_unusable_document_is_refused_with_its_name_and_the_reason(
    tmp_path: Path, name: str, content: str | bytes, reason: str
) -> None:
    write(tmp_path, name, content)
    write(tmp_path, "good.md", "# Good\n\nText.")
    documents, refused = read_documents(tmp_path)
    assert [document.source for document in documents] == ["good.md"]
    assert [refusal.document for refusal in refused] == [name]
    assert reason in refused[0].reason
    assert "\n" not in refused[0].reason


def test_a_dangling_link_and_a_link_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    write(folder, "good.md", "Text.")
    write(tmp_path, "secret.md", "Nobody should hear this.")
    (folder / "gone.md").symlink_to(folder / "nowhere.md")
    (folder / "out.md").symlink_to(tmp_path / "secret.md")
    assert set(reasons(folder)) == {"gone.md", "out.md"}
    assert "leads out" in reasons(folder)["out.md"]


def test_a_copy_and_a_second_owner_of_an_id_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.md", "---\nid: x\n---\nFirst.")
    write(tmp_path, "b.md", "---\nid: x\n---\nSecond.")
    write(tmp_path, "c.txt", "Same words.")
    write(tmp_path, "d.txt", "Same words.")
    assert reasons(tmp_path) == {
        "b.md": "its id `x` belongs to a.md",
        "d.txt": "a copy of c.txt",
    }


def test_hidden_files_and_folders_are_not_documents(tmp_path: Path) -> None:
    write(tmp_path, ".git/config.md", "Text.")
    write(tmp_path, ".draft.md", "Text.")
    write(tmp_path, "a.md", "Text.")
    assert read_one(tmp_path).source == "a.md"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(NothingToIndex, match="no such folder"):
        read_documents(tmp_path / "nowhere")
