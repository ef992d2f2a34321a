"""`voice-agent serve` as a person runs it, on free ports, writing only below a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.voice_agent.test_check import free_port

ROOT = Path(__file__).parents[2]


def settings_tree(folder: Path) -> dict[str, Any]:
    """Settings on free ports; all that is made is made in ``folder``."""
    media = free_port()
    return {
        "gateway": {
            "sip": {"port": free_port()},
            "web": {"port": free_port()},
            "control": {"port": free_port(), "token_file": str(folder / "control.token")},
            "kill_switch": str(folder / "kill_switch.json"),
            "agent": {"url": f"ws://127.0.0.1:{media}/media"},
            "prompts": str(folder / "prompts"),
            "law": str(ROOT / "configs" / "law.yaml"),
        },
        "media": {"port": media},
        "console": {"port": free_port(), "folder": str(folder / "console")},
        "models": {"folder": str(ROOT / "var" / "models")},
        "speech": {"synthesiser": {"port": free_port()}},
        "knowledge": {
            "documents": str(ROOT / "configs" / "knowledge"),
            "index": str(folder / "knowledge"),
        },
        "answering": {
            "prompt": str(ROOT / "configs" / "prompts" / "answer.txt"),
            "roads": {
                "examples": str(ROOT / "configs" / "roads.yaml"),
                "calibration": str(ROOT / "configs" / "road_calibration.yaml"),
            },
            "model": {"url": f"http://127.0.0.1:{free_port()}/v1"},
        },
        "handoff": {"reasons": str(ROOT / "configs" / "handoff.yaml")},
        "safety": {"policy": str(ROOT / "configs" / "policy.yaml")},
        "records": {"path": str(folder / "records.sqlite")},
    }
