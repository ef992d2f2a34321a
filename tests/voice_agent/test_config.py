"""Settings: a mistake is one line that names the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from voice_agent.config import ConfigError, Settings, load

MISTAKES = [
    ("speach: {}", "unknown key `speach`"),
    ("speech: {transcriber: {modell: x}}", "unknown key `speech.transcriber.modell`"),
    ("gateway: {sip: {port: 70000}}", "`gateway.sip.port`"),
    ("gateway: {sip: {port: sixty}}", "`gateway.sip.port`"),
    ("gateway: {sip: {srtp: maybe}}", "`gateway.sip.srtp`"),
    ("gateway: {sip: {trunk: {user: u}}}", "`gateway.sip.trunk.domain`"),
    ("gateway: {max_calls: 0}", "`gateway.max_calls`"),
    ("media: {max_calls: -1}", "`media.max_calls`"),
    ("answering: {model: {engine: gpt}}", "`answering.model.engine`"),
    ("answering: {model: {temperature: 9}}", "`answering.model.temperature`"),
    ("answering: {model: {url: 'ftp://127.0.0.1'}}", "`answering.model.url`"),
    ("answering: {model: {url: 'http://[::1/v1'}}", "is not an http address"),
    ("answering: {model: {url: 'http://127.0.0.1:99999/v1'}}", "is not an http address"),
    ("knowledge: {server_url: not a url}", "`knowledge.server_url`: `not a url` is not an http"),
    ("turns: {voice_threshold: 1.5}", "`turns.voice_threshold`"),
    ("knowledge: {passages: 0}", "`knowledge.passages`"),
    ("knowledge: [a, b]", "`knowledge`"),
    ("logging: {level: loud}", "`logging.level`"),
    ("- a\n- b", "dictionary"),
    ("just words", "dictionary"),
    ("gateway: {sip: ", "is not valid YAML"),
    ("gateway: !!python/object/apply:os.getcwd []", "is not valid YAML"),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_a_mistake_is_one_line_that_names_the_key(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_binary_file_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigError, match="is not valid YAML"):
        load(tmp_path / "binary.yaml")


def test_an_empty_file_means_every_default(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("")
    assert load(path) == Settings()


@pytest.mark.parametrize("name", ["local", "gpu"])
def test_the_shipped_settings_are_valid(name: str) -> None:
    load(Path(__file__).parents[2] / "configs" / f"{name}.yaml")


def test_every_key_is_documented_by_the_schema() -> None:
    schema = Settings.model_json_schema()
    sections = {**schema["$defs"], "Settings": schema}
    undocumented = [
        f"{section}.{key}"
        for section, content in sections.items()
        for key, value in content.get("properties", {}).items()
        if not value.get("description") and "$ref" not in value
    ]
    assert undocumented == []


def test_no_setting_holds_a_secret_itself() -> None:
    schema = Settings.model_json_schema()
    keys = [key for section in schema["$defs"].values() for key in section.get("properties", {})]
    assert not [key for key in keys if key.endswith(("password", "token", "secret", "key"))]
