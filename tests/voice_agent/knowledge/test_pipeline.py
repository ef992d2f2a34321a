"""Documents go through their states once, whatever happens in between."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.voice_agent.knowledge.hashed_embedder import HashedEmbedder
from voice_agent.config import KnowledgeSettings
from voice_agent.knowledge.build import LEDGER, BuildOptions, BuildReport, build_index
from voice_agent.knowledge.errors import BuildRunning, IndexUnusable, NothingToIndex
from voice_agent.knowledge.ledger import Ledger
from voice_agent.knowledge.ledger_schema import connect_read_only
from voice_agent.knowledge.ledger_views import dead_letters, notes, runs, states
from voice_agent.knowledge.sources import (
    Fetched,
    FetchFailed,
    FetchResult,
    Gone,
    Unchanged,
    Validators,
)
from voice_agent.knowledge.versions import VersionStore

ROOT = Path(__file__).parents[3]
LONG = " ".join(f"Sentence number {n} of the terms of sale says something else." for n in range(30))


class Shelf:
    """A source held in memory; ``down`` makes it fail as a whole, ``broken`` single documents."""

    def __init__(self, name: str = "shelf", **texts: str) -> None:
        self.name = name
        self.texts = dict(texts)
        self.down = False
        self.broken: set[str] = set()
        self.sent: list[str] = []

    def fetch(self, known: Mapping[str, Validators]) -> Iterator[FetchResult]:
        if self.down:
            yield FetchFailed("shelf://", "answered 500", retryable=True)
            return
        for name, text in sorted(self.texts.items()):
            uri = f"{name}.md"
            if name in self.broken:
                yield FetchFailed(uri, "answered 429", retryable=True)
            elif uri in known and known[uri].etag == text:
                yield Unchanged(uri)
            else:
                self.sent.append(name)
                yield Fetched(uri, text.encode(), "text/markdown", Validators(etag=text), 100.0)
        yield from (Gone(uri) for uri in known if uri.removesuffix(".md") not in self.texts)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf(sofas="# Sofas\n\nA sofa costs $899.", lamps="# Lamps\n\nA lamp costs $39.")


@pytest.fixture
def settings(tmp_path: Path) -> KnowledgeSettings:
    return KnowledgeSettings(
        documents=tmp_path / "documents", index=tmp_path / "index", questions=None
    )


def build(
    settings: KnowledgeSettings, shelf: Shelf, embedder: HashedEmbedder | None = None
) -> BuildReport:
    options = BuildOptions(force=True, why="test")
    return build_index(
        settings, embedder or HashedEmbedder(), lambda *_: None, None, options, [shelf]
    )


def letters(settings: KnowledgeSettings) -> list[tuple[str, str, str]]:
    database = connect_read_only(settings.index / LEDGER)
    assert database is not None
    return [(letter.document, letter.state, letter.reason) for letter in dead_letters(database)]


def texts(settings: KnowledgeSettings) -> dict[str, str]:
    versions = VersionStore(settings.index)
    return {p.document_id: p.text for p in versions.read(versions.current()).passages}


def test_what_is_unchanged_costs_nothing(settings: KnowledgeSettings, shelf: Shelf) -> None:
    first = build(settings, shelf)
    assert (first.fetched, first.embedded, shelf.sent) == (2, 2, ["lamps", "sofas"])
    shelf.sent.clear()
    embedder = HashedEmbedder()
    again = build(settings, shelf, embedder)
    assert (again.unchanged, again.fetched, again.reused) == (2, 0, True)
    assert (shelf.sent, embedder.embedded) == ([], [])


def test_only_what_has_changed_is_embedded(settings: KnowledgeSettings, shelf: Shelf) -> None:
    build(settings, shelf)
    shelf.texts["sofas"] = "# Sofas\n\nA sofa costs $799."
    embedder = HashedEmbedder()
    build(settings, shelf, embedder)
    assert embedder.embedded == ["Sofas. A sofa costs $799."]
    assert texts(settings) == {"sofas": "A sofa costs $799.", "lamps": "A lamp costs $39."}


def test_another_embedding_model_embeds_everything_and_fetches_nothing(
    settings: KnowledgeSettings, shelf: Shelf
) -> None:
    build(settings, shelf)
    shelf.sent.clear()
    other = HashedEmbedder("other")
    report = build(settings, shelf, other)
    assert (len(other.embedded), shelf.sent) == (2, [])
    assert VersionStore(settings.index).read(report.version).embedder == "other"


def test_a_document_that_is_gone_leaves_the_index(
    settings: KnowledgeSettings, shelf: Shelf
) -> None:
    build(settings, shelf)
    del shelf.texts["lamps"]
    assert build(settings, shelf).gone == 1
    assert list(texts(settings)) == ["sofas"]


def test_what_cannot_be_fetched_stays_as_it_was_and_is_told(
    settings: KnowledgeSettings, shelf: Shelf
) -> None:
    first = build(settings, shelf)
    shelf.broken = {"sofas"}
    second = build(settings, shelf)
    assert (second.version, second.failed) == (first.version, 1)
    assert letters(settings) == [("sofas.md", "fetched", "answered 429")]
    shelf.broken = set()
    build(settings, shelf)
    assert letters(settings) == []


def test_a_source_that_is_down_takes_nothing_away(
    settings: KnowledgeSettings, shelf: Shelf
) -> None:
    first = build(settings, shelf)
    shelf.down = True
    assert build(settings, shelf).version == first.version
    assert build(settings, shelf).version == first.version
    assert letters(settings) == [("shelf://", "fetched", "answered 500")]
    shelf.down = False
    assert build(settings, shelf).version == first.version
    assert letters(settings) == []


def test_garbage_is_refused_by_name_and_can_be_retried(
    settings: KnowledgeSettings, shelf: Shelf
) -> None:
    shelf.texts["chairs"] = "\x00\x01\x02"
    build(settings, shelf)
    assert [(name, state) for name, state, _ in letters(settings)] == [("chairs.md", "parsed")]
    shelf.sent.clear()
    build(settings, shelf)
    assert shelf.sent == []  # its content is known to be useless
    ledger = Ledger(settings.index / LEDGER)
    assert (ledger.retry(["sofas.md"]), ledger.retry(["chairs.md"])) == (0, 1)
    ledger.close()
    build(settings, shelf)
    assert shelf.sent == ["chairs"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("# Only\n\n## Headings", "headings without any text"),
        (
            "# Returns\n\n" + "You can send things back. " * 8 + "within thirty days of the",
            "cut off",
        ),
        ("# Page not found\n\nGo back to the start.", "an error page"),
        ("# Data\n\n" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo= " * 9, "encoded data"),
    ],
)
def test_what_is_no_document_is_refused(
    settings: KnowledgeSettings, shelf: Shelf, text: str, reason: str
) -> None:
    shelf.texts["chairs"] = text
    report = build(settings, shelf)
    assert report.documents == 2
    assert [(r.document, r.reason.startswith(reason)) for r in report.refused] == [
        ("chairs.md", True)
    ]
    assert report.completeness == pytest.approx(2 / 3, abs=1e-3)


def test_copies_are_left_out_and_near_copies_noted(
    settings: KnowledgeSettings, shelf: Shelf
) -> None:
    shelf.texts |= {
        "terms": f"# Terms\n\n{LONG}",
        "terms_too": f"# Terms\n\n* **{LONG}**",
        "terms_old": f"# Terms\n\n{LONG.replace('number 7', 'number seventy')}",
    }
    report = build(settings, shelf)
    assert [(r.document, r.reason) for r in report.refused] == [
        ("terms_too.md", "a copy of terms.md")
    ]
    assert report.notes == (
        ("terms_old.md", "nearly the same as terms.md: one of them may be out of date"),
    )
    del shelf.texts["terms"]
    report = build(settings, shelf)
    assert report.refused == ()
    assert [document for document, _ in report.notes] == ["terms_too.md"]


def test_an_id_belongs_to_the_first_that_has_it(settings: KnowledgeSettings, shelf: Shelf) -> None:
    shelf.texts["z"] = "---\nid: sofas\n---\n# Other\n\nAnother text."
    report = build(settings, shelf)
    assert [(r.document, r.reason) for r in report.refused] == [
        ("z.md", "its id `sofas` belongs to sofas.md")
    ]


def test_a_run_is_reported(settings: KnowledgeSettings, shelf: Shelf) -> None:
    build(settings, shelf)
    shelf.texts["sofas"] = "# Sofas\n\nA sofa costs $799."
    build(settings, shelf)
    database = connect_read_only(settings.index / LEDGER)
    assert database is not None
    last, first = runs(database)
    assert (first["fetched"], first["embedded"], first["completeness"]) == (2, 2, 1.0)
    assert (last["fetched"], last["unchanged"], last["embedded"]) == (1, 1, 1)
    assert last["freshness_lag_s"] >= 0
    assert states(database) == {"indexed": 2}
    assert notes(database) == []


STATES = [
    ("fetched", 1), ("parsed", 0), ("parsed", 2), ("checked", 1), ("embedded", 0),
    ("written", 0), ("indexed", 0), ("promoted", 0),
]  # fmt: skip


@pytest.mark.parametrize("again", [False, True], ids=["first build", "later build"])
@pytest.mark.parametrize(("state", "times"), STATES)
def test_a_killed_build_serves_nothing_half_built_and_is_taken_up(
    settings: KnowledgeSettings, state: str, times: int, again: bool
) -> None:
    settings.documents.mkdir()
    for name in ("a", "b", "c", "d"):
        (settings.documents / f"{name}.md").write_text(f"# {name}\n\nThe price of {name} is 1.\n")
    versions = VersionStore(settings.index)
    before = None
    if again:
        before = build_index(settings, HashedEmbedder(), lambda *_: None).version
        for name in ("a", "b", "c"):
            (settings.documents / f"{name}.md").write_text(f"# {name}\n\nIt is 22 for {name}.\n")
        (settings.documents / "d.md").unlink()
    arguments = [str(settings.documents), str(settings.index), state, str(times)]
    killed = subprocess.run(
        [sys.executable, "-m", "tests.voice_agent.knowledge.kill_build", *arguments],
        cwd=ROOT, capture_output=True, check=False,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    current = versions.current_or_none()
    if state != "promoted":
        assert current == before
    for kept in versions.kept():
        assert versions.read(kept.version).passages
    options = BuildOptions(force=True, why="test")
    embedder = HashedEmbedder()
    report = build_index(settings, embedder, lambda *_: None, options=options)
    fresh = settings.model_copy(update={"index": settings.index.with_name("fresh")})
    assert build_index(fresh, HashedEmbedder(), lambda *_: None).version == report.version
    assert versions.current() == report.version
    assert len(versions.read(report.version).passages) == (3 if again else 4)
    if state in ("embedded", "written", "indexed", "promoted"):
        assert embedder.embedded == []
    assert [path.name for path in (settings.index / "versions").glob(".*")] == []


def test_two_builds_at_once_are_refused(settings: KnowledgeSettings, shelf: Shelf) -> None:
    def second() -> None:
        with pytest.raises(BuildRunning, match="another build is running"):
            build(settings, shelf)
        tried.append(True)

    tried: list[bool] = []
    build(settings, shelf, HashedEmbedder(before_embed=second))
    assert tried


FULL_DISK = """
import resource, sys
from pathlib import Path
from tests.voice_agent.knowledge.hashed_embedder import HashedEmbedder
from voice_agent.config import KnowledgeSettings
from voice_agent.knowledge.build import build_index
from voice_agent.knowledge.errors import IndexUnusable
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
settings = KnowledgeSettings(
    documents=Path(sys.argv[1]), index=Path(sys.argv[2]), questions=None
)
try:
    build_index(settings, HashedEmbedder(), lambda *_: None)
except IndexUnusable as error:
    print(error)
"""


@pytest.mark.parametrize("limit", [100_000, 400_000])
def test_a_disk_that_fills_is_one_clear_line_and_the_old_version_stays(
    settings: KnowledgeSettings, limit: int
) -> None:
    settings.documents.mkdir()
    (settings.documents / "first.md").write_text("# First\n\nThe first text.\n")
    before = build_index(settings, HashedEmbedder(), lambda *_: None).version
    for number in range(400):
        text = f"# Text {number}\n\nThe text of number {number}.\n"
        (settings.documents / f"{number}.md").write_text(text)
    arguments = [str(settings.documents), str(settings.index), str(limit)]
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "cannot be written" in done.stdout, done.stderr
    assert len(done.stdout.splitlines()) == 1
    versions = VersionStore(settings.index)
    assert versions.current() == before
    assert versions.read(before).passages
    report = build_index(settings, HashedEmbedder(), lambda *_: None)
    assert report.documents == 401


def test_a_damaged_ledger_is_put_aside_and_made_again(
    settings: KnowledgeSettings, shelf: Shelf
) -> None:
    first = build(settings, shelf)
    for suffix in ("-wal", "-shm"):
        (settings.index / f"{LEDGER}{suffix}").unlink(missing_ok=True)
    (settings.index / LEDGER).write_bytes(b"not a database at all" * 100)
    assert build(settings, shelf).version == first.version
    assert len(list(settings.index.glob(f"{LEDGER}.damaged-*"))) == 1


def test_a_ledger_of_a_newer_agent_is_left_alone(settings: KnowledgeSettings, shelf: Shelf) -> None:
    build(settings, shelf)
    with sqlite3.connect(settings.index / LEDGER) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(IndexUnusable, match="newer version"):
        build(settings, shelf)


def test_a_source_whose_connector_fails_does_not_end_the_run(settings: KnowledgeSettings) -> None:
    class Faulty(Shelf):
        def fetch(self, known: Mapping[str, Validators]) -> Iterator[FetchResult]:
            yield from super().fetch(known)
            raise RuntimeError("a fault of its own")

    faulty = Faulty("faulty", stools="# Stools\n\nA stool costs $19.")
    shelf = Shelf(sofas="# Sofas\n\nA sofa costs $899.")
    report = build_index(settings, HashedEmbedder(), lambda *_: None, sources=[faulty, shelf])
    assert report.documents == 2
    database = connect_read_only(settings.index / LEDGER)
    assert database is not None
    reasons = dict(database.execute("SELECT name, reason FROM sources").fetchall())
    assert reasons == {"faulty": "RuntimeError: a fault of its own", "shelf": ""}


def test_a_source_that_is_configured_no_more_leaves_the_index(
    settings: KnowledgeSettings, shelf: Shelf
) -> None:
    other = Shelf("other", stools="# Stools\n\nA stool costs $19.")
    build_index(settings, HashedEmbedder(), lambda *_: None, sources=[shelf, other])
    assert build(settings, shelf).documents == 2


def test_nothing_at_all_says_why(settings: KnowledgeSettings, shelf: Shelf) -> None:
    shelf.texts = {"a": ""}
    with pytest.raises(NothingToIndex, match=r"a\.md: empty"):
        build(settings, shelf)


def test_memory_does_not_grow_with_the_number_of_passages(tmp_path: Path) -> None:
    def peak_mb(passages: int) -> int:
        code = (
            "import json, sys\nfrom pathlib import Path\n"
            "from tests.voice_agent.knowledge.many_documents import build_many\n"
            "print(json.dumps(build_many(Path(sys.argv[1]), int(sys.argv[2])).peak_mb))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / str(passages)), str(passages)],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return int(json.loads(done.stdout))

    assert peak_mb(5_000) < peak_mb(1_000) * 1.1
