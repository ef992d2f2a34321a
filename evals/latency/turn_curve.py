"""False cut-ins against delay: ``python -m evals.latency.turn_curve --speech FOLDER ...``.

Plays recorded callers to the turn engine (``turn_replay``) under many settings and prints, for
each, how long after the last voiced sample of an utterance its turn was committed, and into how
many of the callers' pauses of 0.5 to 1.5 s a commit fell: pauses they made themselves, and one
spliced into each utterance. Neither figure can be won by losing the other unseen.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from evals.latency.speech import Recorded, SpeechError, load, read_audio, with_noise, with_pause
from evals.latency.turn_outcome import SPLICED_MS, outcome, percentile, point
from evals.latency.turn_replay import Costs, Heard, Judges, hear, replay
from telephony.media_stream import FRAME_MS
from voice_agent.config import ConfigError, Settings, TurnSettings
from voice_agent.config import load as load_settings
from voice_agent.models import ModelsError
from voice_agent.speech.transcriber import Transcriber, TranscriberError
from voice_agent.turns.completeness import CompletenessModel
from voice_agent.turns.engine import HYSTERESIS
from voice_agent.turns.voice import VoiceModel

THRESHOLDS = (0.2, 0.4, 0.6, 0.8, 0.9, 0.95)
END_SILENCES_MS = (200, 280, 400, 600, 1000)


def voice_lag_ms(heard: Heard, threshold: float) -> float:
    """How long after the last voiced sample the detector last said "voice"; negative: before."""
    end_ms = heard.ms(heard.recorded.end)
    number = min(int(end_ms // FRAME_MS), len(heard.voice))
    while number < len(heard.voice) and heard.voice[number] >= threshold:
        number += 1
    while number > 0 and heard.voice[number - 1] < threshold:
        number -= 1
    return number * FRAME_MS - end_ms


def variants(settings: TurnSettings) -> list[TurnSettings]:
    """The settings themselves, then each of the two dials turned alone."""
    turned: list[dict[str, Any]] = [{"complete_threshold": value} for value in THRESHOLDS]
    turned += [
        {"end_silence_ms": value} for value in END_SILENCES_MS if value <= settings.max_silence_ms
    ]
    return [settings, *(settings.model_copy(update=change) for change in turned)]


def heard_from(
    folders: Sequence[Path], noise: Path | None, snr_db: float, limit: int, console: Console
) -> tuple[list[Heard], frozenset[str]]:
    """Every utterance as the agent hears it, and once more with a pause spliced in; the second
    value names those.

    Raises:
        SpeechError: material that cannot be used.
    """
    recorded = [each for folder in folders for each in _some(load(folder), limit)]
    spliced = [
        with_pause(each, SPLICED_MS[number % len(SPLICED_MS)])
        for number, each in enumerate(recorded)
    ]
    everything = [*recorded, *spliced]
    if noise is not None:
        sound = read_audio(noise)
        everything = [
            with_noise(each, sound, snr_db, begin=number * 4001 % len(sound))
            for number, each in enumerate(everything)
        ]
    model = VoiceModel()
    with asyncio.Runner() as runner:
        heard = [
            runner.run(hear(each, model))
            for each in track(everything, "hearing", console=console, transient=True)
        ]
    return heard, frozenset(each.name for each in everything[len(recorded) :])


def _some(recorded: list[Recorded], limit: int) -> list[Recorded]:
    if not limit or limit >= len(recorded):
        return recorded
    return [recorded[index * len(recorded) // limit] for index in range(limit)]


def run(
    speech: Sequence[Path],
    settings: Settings,
    *,
    cache: Path,
    costs: Costs,
    console: Console,
    limit: int = 0,
    noise: Path | None = None,
    snr_db: float = 10.0,
    sweep: bool = True,
) -> dict[str, Any]:
    """The curve as JSON: ``points``, the first with the settings as they are; ``voice_lag_ms``;
    and ``utterances`` with every delay and pause under those settings.

    Raises:
        SpeechError, ModelsError, TranscriberError: something that cannot be used.
    """
    heard, spliced = heard_from(speech, noise, snr_db, limit, console)
    ears = settings.speech.transcriber
    points, first = [], None
    with Judges(
        partial(Transcriber.load, ears, settings.models.folder),
        f"{ears.model} {ears.compute_type} {ears.prompt}",
        partial(CompletenessModel.load, settings.turns, settings.models.folder),
        settings.turns.second_opinion,
        cache,
    ) as judges:
        turned = variants(settings.turns) if sweep else [settings.turns]
        for number, turns in enumerate(turned, 1):
            steps = track(heard, f"setting {number}/{len(turned)}", console=console, transient=True)
            outcomes = [outcome(each, replay(each, turns, judges, costs)) for each in steps]
            first = first or outcomes
            points.append(asdict(point(turns, outcomes, spliced)))
    lags = [voice_lag_ms(each, settings.turns.voice_threshold - HYSTERESIS) for each in heard]
    return {
        "points": points,
        "voice_lag_ms": {f"p{share}": percentile(lags, share) for share in (5, 50, 95)},
        "costs": asdict(costs),
        "utterances": [asdict(each) for each in first or []],
    }


def table(report: dict[str, Any]) -> Table:
    """The curve for a terminal."""
    out = Table(title="Delay from the last voiced sample to the commit, and false cut-ins")
    for name in ("setting", "complete_threshold", "end_silence_ms", "median", "p95", "no commit",
                 "false cut-ins at 0.5–1.5 s"):  # fmt: skip
        out.add_column(name, justify="left" if name == "setting" else "right")
    for number, each in enumerate(report["points"]):
        rate = each["false_cut_in_rate"]
        out.add_row(
            "" if number else "as configured",
            f"{each['threshold']:g}",
            str(each["end_silence_ms"]),
            _ms(each["delay_p50_ms"]),
            _ms(each["delay_p95_ms"]),
            f"{each['missed']} of {each['ends']}",
            "–"
            if rate is None
            else f"{100 * rate:.1f} % ({each['false_cut_ins']} of {each['pauses']})",
        )
    return out


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} ms"


def main(arguments: list[str] | None = None) -> int:
    """The command line. Exit code 2 for anything that cannot be used."""
    parser = argparse.ArgumentParser(prog="evals.latency.turn_curve")
    parser.add_argument("--speech", type=Path, action="append", required=True, metavar="FOLDER",
                        help="recordings, or a speech.json; may be repeated")  # fmt: skip
    parser.add_argument("--config", type=Path, help="settings file; default: the built-in values")
    parser.add_argument("--noise", type=Path, help="a recording to mix in")
    parser.add_argument("--snr-db", type=float, default=10.0, help="speech above that noise")
    parser.add_argument("--limit", type=int, default=0, help="utterances a folder; 0 for all")
    parser.add_argument("--transcribe-ms", type=int, default=120, help="modelled cost of Whisper")
    parser.add_argument("--no-sweep", action="store_true", help="only the settings as they are")
    parser.add_argument("--cache", type=Path, default=Path("var/bench/turns.sqlite"))
    parser.add_argument("--out", type=Path, default=Path("var/bench/turn_curve.json"))
    given = parser.parse_args(arguments)
    console = Console(width=110)
    try:
        report = run(
            given.speech,
            load_settings(given.config) if given.config else Settings(),
            cache=given.cache,
            costs=Costs(transcribe_ms=given.transcribe_ms),
            console=console,
            limit=given.limit,
            noise=given.noise,
            snr_db=given.snr_db,
            sweep=not given.no_sweep,
        )
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    except (SpeechError, ConfigError, ModelsError, TranscriberError, OSError) as error:
        print(f"evals.latency.turn_curve: {error}", file=sys.stderr)
        return 2
    console.print(table(report))
    lag = report["voice_lag_ms"]
    console.print(
        f"[dim]last voice seen after the last voiced sample: median {lag['p50']} ms, "
        f"p5 {lag['p5']}, p95 {lag['p95']}; every utterance: {given.out}[/]"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
