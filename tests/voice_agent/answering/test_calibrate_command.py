"""`voice-agent answering`, with the real embedding model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from voice_agent.answering.calibration import read_calibration
from voice_agent.cli import app

pytestmark = pytest.mark.models


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text(
        f"knowledge: {{index: {tmp_path / 'index'}}}\n"
        f"answering: {{roads: {{calibration: {tmp_path / 'calibration.yaml'}}}}}\n",
        encoding="utf-8",
    )
    return path


def test_calibrating_writes_what_the_router_reads_and_a_picture(
    tmp_path: Path, config: Path
) -> None:
    plot = tmp_path / "plots" / "plot.svg"
    data = "evals/trust/roads_calibration.yaml"
    command = ["answering", "calibrate", "--config", str(config), "--data", data]
    done = CliRunner().invoke(app, [*command, "--plot", str(plot), "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["right"] > 0.8
    assert said["error_after"] < said["error_before"]
    assert read_calibration(tmp_path / "calibration.yaml").requests == said["requests"]
    assert plot.read_text(encoding="utf-8").startswith("<svg")

    road = ["answering", "road", "I want to speak about suing you", "--config", str(config)]
    told = json.loads(CliRunner().invoke(app, [*road, "--json"]).stdout)
    assert told["road"] == "person"
    assert sum(told["likelihoods"].values()) == pytest.approx(1.0, abs=0.01)


def test_data_that_cannot_be_used_leaves_the_calibration_alone(
    tmp_path: Path, config: Path
) -> None:
    (tmp_path / "few.yaml").write_text("answer: [How much]\n", encoding="utf-8")
    command = ["answering", "calibrate", "--config", str(config)]
    failed = CliRunner().invoke(app, [*command, "--data", str(tmp_path / "few.yaml")])
    assert failed.exit_code != 0
    assert "too few" in str(failed.exception)
    assert not (tmp_path / "calibration.yaml").exists()
