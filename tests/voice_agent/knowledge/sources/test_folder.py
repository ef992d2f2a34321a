from __future__ import annotations

import os
from pathlib import Path

from tests.voice_agent.knowledge.sources.told import Remembered, failures, fetched, kinds
from voice_agent.knowledge.sources import Validators
from voice_agent.knowledge.sources.folder import FolderSource

LATER = 10_000_000_000.0  # when every file of a test has settled


def write(folder: Path, name: str, text: str, changed_s: float = 1_000_000.0) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (changed_s, changed_s))


def source(folder: Path, now: float = LATER) -> FolderSource:
    return FolderSource("help", folder, now=lambda: now)


def test_files_are_named_by_source_and_path_and_given_as_paths(tmp_path: Path) -> None:
    write(tmp_path, "b/two.md", "Two.")
    write(tmp_path, "one.md", "One.")
    first, second = fetched(source(tmp_path).fetch({}))
    assert [first.uri, second.uri] == ["help/b/two.md", "help/one.md"]
    assert first.content == tmp_path / "b/two.md"
    assert first.modified_at == 1_000_000.0


def test_the_folder_of_documents_names_them_by_their_path_alone(tmp_path: Path) -> None:
    write(tmp_path, "b/two.md", "Two.")
    assert kinds(FolderSource.of_documents(tmp_path).fetch({})) == {"b/two.md": "Fetched"}


def test_only_what_changed_is_fetched_again(tmp_path: Path) -> None:
    for name in ("same.md", "touched.md", "changed.md", "gone.md"):
        write(tmp_path, name, "Text.")
    remembered = Remembered(source(tmp_path))
    remembered.run()
    write(tmp_path, "touched.md", "Text.", 2_000_000.0)
    write(tmp_path, "changed.md", "Other", 2_000_000.0)
    write(tmp_path, "new.md", "Text.")
    (tmp_path / "gone.md").unlink()
    assert kinds(remembered.run()) == {
        "help/same.md": "Unchanged",
        "help/touched.md": "Unchanged",
        "help/changed.md": "Fetched",
        "help/new.md": "Fetched",
        "help/gone.md": "Gone",
    }
    assert remembered.known["help/touched.md"].mtime_ns == 2_000_000 * 10**9


def test_a_file_of_the_same_size_and_instant_is_not_mistaken_for_unchanged(tmp_path: Path) -> None:
    write(tmp_path, "a.md", "Old.", 1_000_000.0)
    remembered = Remembered(source(tmp_path, now=1_000_000.5))
    remembered.run()
    write(tmp_path, "a.md", "New.", 1_000_000.0)
    assert kinds(remembered.run()) == {"help/a.md": "Fetched"}


def test_an_unchanged_file_is_not_read(tmp_path: Path) -> None:
    write(tmp_path, "a.md", "Text.")
    status = (tmp_path / "a.md").stat()
    known = Validators("a digest it has not", size=status.st_size, mtime_ns=status.st_mtime_ns)
    assert kinds(source(tmp_path).fetch({"help/a.md": known})) == {"help/a.md": "Unchanged"}


def test_a_huge_file_is_told_without_being_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.pdf").open("wb") as file:
        file.truncate(300_000_000)
    (huge,) = fetched(source(tmp_path).fetch({}))
    assert (huge.validators.digest, huge.validators.size) == ("", 300_000_000)


def test_hidden_files_and_folders_are_not_documents(tmp_path: Path) -> None:
    for name in (".git/config.md", ".draft.md", "a.md"):
        write(tmp_path, name, "Text.")
    assert kinds(source(tmp_path).fetch({})) == {"help/a.md": "Fetched"}


def test_a_dangling_link_and_a_link_out_of_the_folder_fail(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    write(folder, "good.md", "Text.")
    write(tmp_path, "secret.md", "Nobody should hear this.")
    (folder / "gone.md").symlink_to(folder / "nowhere.md")
    (folder / "out.md").symlink_to(tmp_path / "secret.md")
    failed = failures(source(folder).fetch({}))
    assert {f.uri: f.reason for f in failed} == {
        "help/gone.md": "not a readable file",
        "help/out.md": "a link that leads out of the documents folder",
    }


def test_a_missing_folder_fails_and_takes_nothing_away(tmp_path: Path) -> None:
    results = list(source(tmp_path / "nowhere").fetch({"help/a.md": Validators()}))
    (failure,) = failures(results)
    assert len(results) == 1
    assert failure.retryable
    assert "no such folder" in failure.reason
