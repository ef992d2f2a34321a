from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.voice_agent.knowledge.sources.told import Remembered, failures, fetched, kinds
from voice_agent.knowledge.sources import Validators
from voice_agent.knowledge.sources.git import GitSource
from voice_agent.knowledge.sources.settings import GitSourceSettings


class Repository:
    """A real repository in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> None:
        who = ["-c", "user.name=Writer", "-c", "user.email=writer@shop.example"]
        subprocess.run(
            ["git", "-C", str(self.folder), *who, *arguments], check=True, capture_output=True
        )

    def commit(self, files: dict[str, str | None]) -> None:
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=Change")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "repository")
    made.commit({"help/one.md": "One.", "help/deep/two.md": "Two.", "notes.md": "Notes."})
    return made


def source(where: Path | str, cache: Path, **more: str) -> GitSource:
    return GitSource(
        GitSourceSettings(kind="git", name="docs", repository=str(where), **more), cache
    )


@pytest.mark.parametrize("remote", [False, True], ids=["a clone", "a url"])
def test_only_what_a_commit_changed_is_fetched_again(
    repository: Repository, tmp_path: Path, remote: bool
) -> None:
    where = f"file://{repository.folder}" if remote else repository.folder
    remembered = Remembered(source(where, tmp_path / "cache"))
    first = fetched(remembered.run())
    assert {result.uri: result.content for result in first} == {
        "docs/help/one.md": b"One.",
        "docs/help/deep/two.md": b"Two.",
        "docs/notes.md": b"Notes.",
    }
    assert all(result.modified_at > 1_000_000_000 for result in first)
    repository.commit({"help/one.md": "One, changed.", "notes.md": None, "three.md": "Three."})
    assert kinds(remembered.run()) == {
        "docs/help/one.md": "Fetched",
        "docs/help/deep/two.md": "Unchanged",
        "docs/three.md": "Fetched",
        "docs/notes.md": "Gone",
    }


def test_what_is_not_committed_is_not_fetched(repository: Repository, tmp_path: Path) -> None:
    (repository.folder / "notes.md").write_text("Not committed.")
    (repository.folder / "new.md").write_text("Not committed.")
    contents = [result.content for result in fetched(source(repository.folder, tmp_path).fetch({}))]
    assert contents == [b"Two.", b"One.", b"Notes."]


def test_a_folder_and_a_branch_can_be_chosen(repository: Repository, tmp_path: Path) -> None:
    repository.git("checkout", "--quiet", "-b", "next")
    repository.commit({"help/four.md": "Four."})
    repository.git("checkout", "--quiet", "main")
    for where in (repository.folder, f"file://{repository.folder}"):
        chosen = source(where, tmp_path / "cache", ref="next", below="help")
        assert sorted(kinds(chosen.fetch({}))) == [
            "docs/deep/two.md",
            "docs/four.md",
            "docs/one.md",
        ]


def test_a_rewritten_branch_is_followed(repository: Repository, tmp_path: Path) -> None:
    remembered = Remembered(source(f"file://{repository.folder}", tmp_path / "cache", ref="main"))
    remembered.run()
    (repository.folder / "notes.md").write_text("Rewritten.")
    repository.git("commit", "--quiet", "--all", "--amend", "--message=Other")
    assert kinds(remembered.run())["docs/notes.md"] == "Fetched"


def test_links_and_hidden_files_are_not_documents(repository: Repository, tmp_path: Path) -> None:
    (repository.folder / "link.md").symlink_to("/etc/passwd")
    repository.commit({".hidden.md": "Hidden.", ".github/a.md": "Hidden."})
    names = kinds(source(repository.folder, tmp_path).fetch({}))
    assert sorted(names) == ["docs/help/deep/two.md", "docs/help/one.md", "docs/notes.md"]


@pytest.mark.parametrize("where", ["/nowhere/at/all", "file:///nowhere/at/all"])
def test_a_repository_that_cannot_be_read_fails_and_takes_nothing_away(
    tmp_path: Path, where: str
) -> None:
    results = list(source(where, tmp_path / "cache").fetch({"docs/a.md": Validators()}))
    (failed,) = failures(results)
    assert len(results) == 1
    assert failed.retryable
    assert failed.reason


@pytest.mark.parametrize(
    "where", ["--upload-pack=touch /tmp/x", "ext::sh -c touch% /tmp/x", "ftp://shop.example/a", ""]
)
def test_what_git_would_run_is_no_repository(where: str) -> None:
    with pytest.raises(ValueError, match="repository"):
        GitSourceSettings(kind="git", name="docs", repository=where)
