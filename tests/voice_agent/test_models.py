"""Models: found, refused, pulled whole or not at all."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from voice_agent.model_pull import pull
from voice_agent.models import (
    ManifestError,
    Model,
    ModelFile,
    ModelMissing,
    PullFailed,
    UnknownModel,
    Wheel,
    WrongChecksum,
    inspect,
    locate,
    read_manifest,
)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Watching:
    """Notes what a pull tells."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.received_bytes = 0

    def pulling(self, name: str, size_bytes: int) -> None:
        self.steps.append(f"pulling {name}")

    def received(self, name: str, size_bytes: int) -> None:
        self.received_bytes += size_bytes

    def noted(self, name: str, step: str) -> None:
        self.steps.append(step)


class Index:
    """A package index of wheels made here; it counts what is fetched and can fail."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._wheels: dict[str, bytes] = {}
        self.fetched: list[str] = []
        self.broken: set[str] = set()

    def add(self, package: str, members: dict[str, bytes]) -> Wheel:
        path = self._folder / f"{package}.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for member, data in members.items():
                archive.writestr(member, data)
        self._wheels[package] = path.read_bytes()
        size_bytes = path.stat().st_size
        digest = sha256(self._wheels[package])
        return Wheel(package=package, version="1.0", sha256=digest, size_bytes=size_bytes)

    def tamper(self, package: str) -> None:
        self._wheels[package] += b"!"

    def __call__(self, wheel: Wheel, folder: Path) -> None:
        if wheel.package in self.broken:
            raise PullFailed(f"{wheel.package}: connection reset")
        self.fetched.append(wheel.package)
        (folder / f"{wheel.package}-1.0-py3-none-any.whl").write_bytes(self._wheels[wheel.package])


@pytest.fixture
def index(tmp_path: Path) -> Index:
    folder = tmp_path / "index"
    folder.mkdir()
    return Index(folder)


@pytest.fixture
def joined(index: Index) -> Model:
    """A model whose file is split over two wheels."""
    wheels = (
        index.add("one", {"one/data/part1": b"hello ", "one/code.py": b"raise SystemExit"}),
        index.add("two", {"two/data/part2": b"world"}),
    )
    whole = ModelFile(sha256=sha256(b"hello world"), members=("one/data/part1", "two/data/part2"))
    return Model(
        role="test", about="two parts", licence="MIT", wheels=wheels, files={"model.bin": whole}
    )


def test_parts_are_joined_in_the_order_of_the_manifest(
    tmp_path: Path, index: Index, joined: Model
) -> None:
    watcher = Watching()
    folder = tmp_path / "models"
    assert pull(folder, ["m"], watcher, models={"m": joined}, download=index) == ["m"]
    assert (folder / "m" / "model.bin").read_bytes() == b"hello world"
    assert watcher.received_bytes == joined.download_bytes
    assert inspect(folder, "m", joined, rehash=True).state == "present"


def test_only_the_named_members_are_unpacked_and_no_wheel_is_kept(
    tmp_path: Path, index: Index, joined: Model
) -> None:
    folder = tmp_path / "models"
    pull(folder, ["m"], Watching(), models={"m": joined}, download=index)
    assert sorted(path.name for path in (folder / "m").iterdir()) == [".pulled.json", "model.bin"]
    assert list((folder / ".downloads").iterdir()) == []


def test_a_second_pull_fetches_nothing(tmp_path: Path, index: Index, joined: Model) -> None:
    folder = tmp_path / "models"
    pull(folder, ["m"], Watching(), models={"m": joined}, download=index)
    index.fetched.clear()
    assert pull(folder, ["m"], Watching(), models={"m": joined}, download=index) == []
    assert index.fetched == []


def test_a_wheel_with_a_wrong_checksum_leaves_nothing_behind(
    tmp_path: Path, index: Index, joined: Model
) -> None:
    folder = tmp_path / "models"
    index.tamper("two")
    with pytest.raises(WrongChecksum, match=r"^two 1.0: wrong checksum .*nothing was unpacked$"):
        pull(folder, ["m"], Watching(), models={"m": joined}, download=index)
    assert not (folder / "m").exists()


def test_a_file_with_a_wrong_checksum_leaves_nothing_behind(
    tmp_path: Path, index: Index, joined: Model
) -> None:
    folder = tmp_path / "models"
    wrong = ModelFile(sha256=sha256(b"other"), members=joined.files["model.bin"].members)
    model = joined.model_copy(update={"files": {"model.bin": wrong}})
    with pytest.raises(WrongChecksum, match=r"model\.bin has the wrong checksum"):
        pull(folder, ["m"], Watching(), models={"m": model}, download=index)
    assert not (folder / "m").exists()
    assert not (folder / ".unfinished-m").exists()


def test_an_interrupted_pull_goes_on_where_it_stopped(
    tmp_path: Path, index: Index, joined: Model
) -> None:
    folder = tmp_path / "models"
    index.broken.add("two")
    with pytest.raises(PullFailed, match="connection reset"):
        pull(folder, ["m"], Watching(), models={"m": joined}, download=index)
    assert not (folder / "m").exists()
    index.broken.clear()
    index.fetched.clear()
    pull(folder, ["m"], Watching(), models={"m": joined}, download=index)
    assert index.fetched == ["two"]


def test_what_a_killed_pull_left_half_downloaded_is_cleared_away(
    tmp_path: Path, index: Index, joined: Model
) -> None:
    folder = tmp_path / "models"
    (folder / ".downloads" / "tmpkilled").mkdir(parents=True)
    (folder / ".downloads" / "tmpkilled" / "half.whl").write_bytes(b"half")
    pull(folder, ["m"], Watching(), models={"m": joined}, download=index)
    assert list((folder / ".downloads").iterdir()) == []


def test_a_half_written_wheel_of_an_earlier_pull_is_fetched_again(
    tmp_path: Path, index: Index, joined: Model
) -> None:
    folder = tmp_path / "models"
    (folder / ".downloads").mkdir(parents=True)
    (folder / ".downloads" / "one-1.0.whl").write_bytes(b"half")
    pull(folder, ["m"], Watching(), models={"m": joined}, download=index)
    assert sorted(index.fetched) == ["one", "two"]


def test_a_member_no_wheel_has_is_named(tmp_path: Path, index: Index, joined: Model) -> None:
    odd = ModelFile(sha256=sha256(b""), members=("nowhere/part",))
    model = joined.model_copy(update={"files": {"model.bin": odd}})
    with pytest.raises(PullFailed, match="no wheel of it contains nowhere/part"):
        pull(tmp_path, ["m"], Watching(), models={"m": model}, download=index)


def test_a_changed_manifest_replaces_the_files(tmp_path: Path, index: Index, joined: Model) -> None:
    folder = tmp_path / "models"
    pull(folder, ["m"], Watching(), models={"m": joined}, download=index)
    wheel = index.add("three", {"three/new": b"new"})
    files = {"model.bin": ModelFile(sha256=sha256(b"new"), members=("three/new",))}
    newer = joined.model_copy(update={"wheels": (wheel,), "files": files})
    assert inspect(folder, "m", newer).state == "outdated"
    pull(folder, ["m"], Watching(), models={"m": newer}, download=index)
    assert (folder / "m" / "model.bin").read_bytes() == b"new"


def test_a_changed_byte_is_found_by_reading_everything(
    tmp_path: Path, index: Index, joined: Model
) -> None:
    folder = tmp_path / "models"
    pull(folder, ["m"], Watching(), models={"m": joined}, download=index)
    (folder / "m" / "model.bin").write_bytes(b"hello_world")
    assert inspect(folder, "m", joined).state == "present"
    assert inspect(folder, "m", joined, rehash=True).state == "damaged"


def test_a_cut_file_is_found_without_reading_it(
    tmp_path: Path, index: Index, joined: Model
) -> None:
    folder = tmp_path / "models"
    pull(folder, ["m"], Watching(), models={"m": joined}, download=index)
    (folder / "m" / "model.bin").write_bytes(b"hello")
    assert inspect(folder, "m", joined).state == "damaged"
    assert pull(folder, ["m"], Watching(), models={"m": joined}, download=index) == ["m"]


def test_a_model_only_a_hub_has_says_where_to_get_it(tmp_path: Path) -> None:
    model = Model(role="r", about="a", licence="MIT", hub="org/repo", wheels=(), files={})
    with pytest.raises(PullFailed, match="download org/repo from a model hub into"):
        pull(tmp_path, ["m"], Watching(), models={"m": model})


def test_the_shipped_manifest_pins_everything_by_checksum() -> None:
    for name, model in read_manifest().models.items():
        assert model.licence, name
        assert model.hub, name
        packages = [wheel.package.replace("-", "_") for wheel in model.wheels]
        for file in model.files.values():
            folders = {member.split("/")[0] for member in file.members}
            assert all(any(each.startswith(own) for each in packages) for own in folders), name
        assert not model.serves or model.serves in model.files, name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models: {m: {role: r}}", "models.m.about"),
        ("models: [", "not valid YAML"),
        (
            "models: {m: {role: r, about: a, licence: MIT, files: {}, wheels: "
            "[{package: p, version: '1', sha256: abc, size_bytes: 1}]}}",
            "models.m.wheels.0.sha256",
        ),
        ("models: {m: {role: r, about: a, licence: MIT, files: {}, wheels: [], urls: []}}", "urls"),
    ],
)
def test_a_manifest_with_a_mistake_is_refused_in_one_line(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(text)
    with pytest.raises(ManifestError, match=message) as caught:
        read_manifest(path)
    assert "\n" not in str(caught.value)


def test_a_path_of_ones_own_is_returned_as_it_is(tmp_path: Path) -> None:
    own = tmp_path / "mine.gguf"
    own.touch()
    assert locate(tmp_path, str(own)) == own


def test_a_model_that_is_not_there_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="run `voice-agent models pull`"):
        locate(tmp_path, "whisper-base")
    with pytest.raises(ModelMissing, match="download mobiuslabs"):
        locate(tmp_path, "whisper-large-v3-turbo")
    with pytest.raises(ModelMissing, match="does not exist"):
        locate(tmp_path, str(tmp_path / "gone.gguf"))


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match=r"unknown model `whisper-bse`.*whisper-base"):
        locate(tmp_path, "whisper-bse")


def test_a_model_is_a_folder_or_the_file_it_serves(tmp_path: Path) -> None:
    (tmp_path / "whisper-base").mkdir()
    (tmp_path / "piper-joe").mkdir()
    (tmp_path / "piper-joe" / "en_US-joe-medium.onnx").touch()
    assert locate(tmp_path, "whisper-base") == tmp_path / "whisper-base"
    assert locate(tmp_path, "piper-joe").name == "en_US-joe-medium.onnx"
