"""llama.cpp for this processor: found, refused, built whole or not at all. No compiler is run."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from voice_agent.answering import native_build
from voice_agent.answering.native_build import (
    SERVER,
    STAMP,
    NativeBuildError,
    Source,
    build,
    built,
    processor,
    progress,
    unpack,
)

COMPILES = """#!/bin/sh
case "$1" in
  -S) mkdir -p "$4/bin"; echo "-- configured";;
  --build)
    echo "[ 10%] one"; echo "[ 55%] two"; echo "[100%] three"
    printf '#!/bin/sh\\n' > "$2/bin/llama-server"; chmod +x "$2/bin/llama-server";;
esac
"""
FAILS = """#!/bin/sh
[ "$1" = -S ] && exit 0
echo "[ 10%] one"
echo "ggml.c:3: error: unknown type name 'flot'"
exit 1
"""


def archive_of(path: Path, files: dict[str, bytes]) -> Source:
    """A source archive with these files, and what pins it."""
    with tarfile.open(path, "w:gz") as packed:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            packed.addfile(entry, io.BytesIO(content))
    return Source("pretend", "1.0", hashlib.sha256(path.read_bytes()).hexdigest(), "llama.cpp")


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive that is the pinned one."""
    path = tmp_path / "pretend-1.0.tar.gz"
    pinned = archive_of(path, {"pretend-1.0/llama.cpp/CMakeLists.txt": b"project(x)"})
    monkeypatch.setattr(native_build, "SOURCE", pinned)
    return path


def tools(folder: Path, monkeypatch: pytest.MonkeyPatch, cmake: str) -> None:
    """A PATH with a compiler that is never called, and this cmake."""
    folder.mkdir()
    for name, script in {"c++": "#!/bin/sh\n", "make": "#!/bin/sh\n", "cmake": cmake}.items():
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CXX", raising=False)


def test_what_is_built_is_found_again_and_not_built_twice(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools(tmp_path / "bin", monkeypatch, COMPILES)
    home, told, fetched = tmp_path / "native", list[str](), list[str]()

    def fetch(wanted: Source, _: Path) -> Path:
        fetched.append(wanted.package)
        return source

    assert built(home) is None
    server = build(home, report=told.append, fetch=fetch)
    assert server == built(home) == (home / SERVER).resolve()
    assert [line for line in told if line.startswith("compiled")] == [
        "compiled 10 %",
        "compiled 50 %",
        "compiled 100 %",
    ]
    assert build(home, report=told.append, fetch=fetch) == server
    assert fetched == ["pretend"]
    assert not list(home.glob(".building-*"))


def test_a_build_for_another_processor_or_source_is_not_used(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools(tmp_path / "bin", monkeypatch, COMPILES)
    home = tmp_path / "native"
    build(home, report=lambda _: None, fetch=lambda *_: source)
    monkeypatch.setattr(native_build, "processor", lambda: "another")
    assert built(home) is None


@pytest.mark.parametrize("stamp", ["", "{}", "[1]", "not JSON", '{"source": 1}'])
def test_a_damaged_stamp_is_no_build(tmp_path: Path, stamp: str) -> None:
    (tmp_path / SERVER).write_text("#!/bin/sh\n")
    (tmp_path / SERVER).chmod(0o755)
    (tmp_path / STAMP).write_text(stamp)
    assert built(tmp_path) is None


def test_a_failed_build_says_why_in_one_line_and_leaves_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools(tmp_path / "bin", monkeypatch, FAILS)
    home = tmp_path / "native"
    with pytest.raises(NativeBuildError, match="unknown type name 'flot'") as caught:
        build(home, report=lambda _: None, fetch=lambda *_: source)
    assert "\n" not in str(caught.value)
    assert built(home) is None
    assert not list(home.glob(".building-*"))


def test_other_bytes_than_pinned_are_not_unpacked(source: Path, tmp_path: Path) -> None:
    pinned = native_build.SOURCE
    source.write_bytes(source.read_bytes() + b"more")
    with pytest.raises(NativeBuildError, match="wrong checksum"):
        unpack(source, pinned, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_archive_without_llama_cpp_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.tar.gz"
    pinned = archive_of(path, {"other-1.0/README": b"hello"})
    with pytest.raises(NativeBuildError, match=r"there is no llama\.cpp in it"):
        unpack(path, pinned, tmp_path / "out")


def test_an_archive_that_reaches_outside_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.tar.gz"
    pinned = archive_of(path, {"../../escaped": b"x"})
    with pytest.raises(NativeBuildError, match="cannot be unpacked"):
        unpack(path, pinned, tmp_path / "deep" / "out")
    assert not (tmp_path / "escaped").exists()


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "page.tar.gz"
    path.write_bytes(b"<html>not found</html>")
    pinned = Source("pretend", "1.0", hashlib.sha256(path.read_bytes()).hexdigest(), "llama.cpp")
    with pytest.raises(NativeBuildError, match="cannot be unpacked"):
        unpack(path, pinned, tmp_path / "out")


def test_without_a_compiler_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(NativeBuildError, match="apt-get install g"):
        build(tmp_path / "native", report=lambda _: None)


@pytest.mark.parametrize(
    ("line", "percent"),
    [
        ("[  3%] Building CXX object a.o", 3),
        ("[100%] Built target llama-server", 100),
        ("[1/212] Building", 0),
        ("[106/212] Building", 50),
        ("-- The C compiler is GNU", None),
        ("[x%]", None),
        ("", None),
    ],
)
def test_progress_is_read_from_make_and_ninja(line: str, percent: int | None) -> None:
    assert progress(line) == percent


def test_a_processor_has_one_name() -> None:
    assert processor() == processor()
    assert "/" not in processor()


def test_a_build_given_up_takes_its_compilers_along(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = tmp_path / "goes_on"
    os.mkfifo(goes_on)
    tools(
        tmp_path / "bin",
        monkeypatch,
        f'#!/bin/sh\n[ "$1" = -S ] && exit 0\necho "[ 10%] one"\ncat {goes_on}\n',
    )

    def give_up(line: str) -> None:
        if line.startswith("compiled"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # would wait for the compiler for ever
        build(tmp_path / "native", report=give_up, fetch=lambda *_: source)
    assert built(tmp_path / "native") is None


def test_what_a_killed_build_left_is_cleared_away(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools(tmp_path / "bin", monkeypatch, COMPILES)
    left = tmp_path / "native" / ".building-old"
    left.mkdir(parents=True)
    build(tmp_path / "native", report=lambda _: None, fetch=lambda *_: source)
    assert not left.exists()
