"""The bench of engines: what it picks, what it asks, what it advises; no engine is started."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from evals import vllm_cpu
from evals.latency import engines
from evals.latency.engines import advice, run
from evals.latency.engines_measure import (
    Prompts,
    Samples,
    answered,
    cases,
    freed_after_ms,
    measure,
)
from evals.latency.engines_serving import (
    EnginesError,
    Name,
    Served,
    Tuning,
    available,
    busy_with,
    chosen,
    running,
)
from tests.voice_agent.answering.chat_server import serving
from voice_agent.answering.language_model import LanguageModel
from voice_agent.answering.language_model_errors import LanguageModelError
from voice_agent.config import LanguageModelSettings, Settings

SETTINGS = Settings()


def row(engine: str, clause_ms: float, four_ms: float | None = None, **more: Any) -> dict[str, Any]:
    made = {"engine": engine, "tuning": "threads 1/2, batch 128", "warm_clause_ms": clause_ms}
    return {**made, **({} if four_ms is None else {"four_first_p95_ms": four_ms}), **more}


def sse(*chunks: dict[str, Any]) -> bytes:
    return b"".join(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks) + (
        b"data: [DONE]\n\n"
    )


async def says_two_words(request: web.Request) -> web.StreamResponse:
    body = sse(
        {"choices": [{"delta": {"content": "It costs four dollars."}}]},
        {"choices": [{"delta": {"content": " Yes."}, "finish_reason": "stop"}]},
        {
            "choices": [],
            "usage": {
                "prompt_tokens": 300,
                "completion_tokens": 7,
                "prompt_tokens_details": {"cached_tokens": 100},
            },
        },
    )
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await response.write(body)
    return response


def test_engines_named_are_measured_once_each_in_the_order_given() -> None:
    assert chosen(["native", "wheel", "native"], ["wheel", "native"]) == ["native", "wheel"]


def test_without_names_all_that_are_there_are_measured() -> None:
    assert chosen(None, ["wheel", "vllm"]) == ["wheel", "vllm"]
    assert chosen([], ["wheel"]) == ["wheel"]


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("gpt", "there is no engine `gpt`: wheel, native, vllm"),
        ("", "there is no engine ``"),
        ("vllm", "not on this machine; to have it: python -m evals.vllm_cpu install"),
        ("native", "to have it: voice-agent models build-native"),
    ],
)
def test_an_engine_that_cannot_be_measured_is_one_line(word: str, why: str) -> None:
    with pytest.raises(EnginesError) as caught:
        chosen([word], ["wheel"])
    assert why in str(caught.value)
    assert caught.value.exit_code == 2


def test_an_unfinished_vllm_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "venv").mkdir()
    assert "vllm" not in available(tmp_path)
    (tmp_path / "venv" / ".installed").write_text("")
    assert "vllm" in available(tmp_path)


@pytest.mark.parametrize(
    ("metrics", "busy"),
    [
        ("llamacpp:requests_processing 1\nllamacpp:requests_deferred 2\n", 3),
        (
            'vllm:num_requests_running{engine="0",model_name="m"} 1.0\n'
            'vllm:num_requests_waiting{engine="0",model_name="m"} 0.0\n',
            1,
        ),
        ("# HELP llamacpp:requests_processing 9\nllamacpp:n_decode_total 7\n", 0),
        ("", 0),
        ("<html>", 0),
    ],
)
def test_metrics_tell_what_is_in_work(metrics: str, busy: int) -> None:
    assert busy_with(metrics) == busy


def test_a_clearly_faster_engine_is_recommended() -> None:
    said = advice([row("wheel", 1000), row("native", 700), row("vllm", 1200, tuning="")])
    assert said == (
        "use llama.cpp, built for this processor (threads 1/2, batch 128): its first clause comes "
        "700 ms after a warm prompt instead of 1000 ms "
        "(llama.cpp, as packaged (threads 1/2, batch 128))"
    )


def test_the_packaged_engine_stays_when_another_is_hardly_faster() -> None:
    said = advice([row("wheel", 1000), row("native", 950)])
    assert said.startswith("use llama.cpp, as packaged")
    assert "nothing measured is a tenth faster" in said


def test_the_better_engine_for_a_crowd_is_named_too() -> None:
    said = advice([row("wheel", 500, 9000), row("vllm", 800, 2000, tuning="")])
    assert said.startswith("use llama.cpp, as packaged")
    assert "with four calls at once vLLM on the CPU answers sooner" in said


def test_engines_that_failed_are_never_recommended() -> None:
    assert advice([{"engine": "wheel", "tuning": "", "failed": "x"}]) == (
        "no engine could be measured"
    )
    assert "vLLM" in advice([{"engine": "wheel", "failed": "x"}, row("vllm", 900, tuning="")])


def test_prompts_have_the_products_shape_and_a_beginning_nobody_has_read() -> None:
    prompts = Prompts(SETTINGS, cases(SETTINGS))
    first, second = prompts.fresh()
    assert [message["role"] for message in first] == ["system", "user"]
    assert "Facts:\n- " in first[1]["content"]
    asked = [text["content"].rpartition("Question: ") for text in (first[1], second[1])]
    assert asked[0][0] == asked[1][0]  # only the question is new
    assert asked[0][2] != asked[1][2]
    assert first[0] == second[0] != prompts.fresh()[0][0]
    assert len(prompts.long()[1]["content"]) > 2 * len(first[1]["content"])


def test_without_documents_or_questions_it_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(EnginesError, match="holds no questions"):
        cases(SETTINGS, str(tmp_path / "none.yaml"))
    for content in ("", "just words", "- {document: x}", "[]", "a: [", "- 3"):
        file = tmp_path / "questions.yaml"
        file.write_text(content)
        with pytest.raises(EnginesError, match="holds no questions"):
            cases(SETTINGS, str(file))
    file.write_bytes(b"- {question: \xff}")
    with pytest.raises(EnginesError, match="holds no questions"):
        cases(SETTINGS, str(file))


async def test_an_answer_is_timed_to_its_first_token_and_clause() -> None:
    async with serving(says_two_words) as server:
        model = LanguageModel(LanguageModelSettings(url=server.url))
        heard = await answered(model, [{"role": "user", "content": "How much?"}])
        await model.close()
    assert (heard.prompt_tokens, heard.cached_tokens, heard.tokens) == (300, 100, 7)
    assert heard.first_token_ms is not None
    assert heard.first_clause_ms is not None
    assert 0 < heard.first_token_ms <= heard.first_clause_ms <= heard.total_ms


class Idle(Served):
    """A server of the test, never busy once its caller has gone."""

    def busy_with(self) -> int:
        return 0


async def test_one_engine_gives_every_figure_it_can() -> None:
    async with serving(says_two_words) as chat:
        server = Idle("wheel", "", 1, LanguageModelSettings(url=chat.url))
        samples = await measure(server, Prompts(SETTINGS, cases(SETTINGS)), 2)
        await asyncio.sleep(0)
    figures = samples.medians()
    assert len(samples.cold_ms) == len(samples.warm_clause_ms) == 2
    assert {"cold_ms", "prefill_tokens_s", "four_first_p50_ms", "four_first_p95_ms"} <= set(figures)
    assert "freed_reading_ms" not in figures  # it had answered before the caller could leave


async def test_a_server_that_fails_while_a_caller_listens_is_a_failure_and_no_figure() -> None:
    async def fails(_: web.Request) -> web.Response:
        return web.Response(status=400, text="no")

    async with serving(fails) as chat:
        settings = LanguageModelSettings(url=chat.url)
        model, server = LanguageModel(settings), Idle("wheel", "", 1, settings)
        with pytest.raises(LanguageModelError):
            await freed_after_ms(model, server, [{"role": "user", "content": "?"}], writing=True)
        await model.close()


def test_an_engine_that_ends_at_once_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    dies = [sys.executable, "-c", "raise SystemExit('no memory')"]
    monkeypatch.setattr(vllm_cpu, "converted", lambda: Path("model"))
    monkeypatch.setattr(vllm_cpu, "command", lambda *_: (dies, {}))
    with (
        pytest.raises(EnginesError, match="did not start: no memory"),
        running("vllm", SETTINGS, Tuning(1, 2)),
    ):
        pass


def test_a_model_that_an_engine_cannot_have_is_the_engines_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def cannot() -> Path:
        raise vllm_cpu.VllmCpuError("cannot be converted")

    monkeypatch.setattr(vllm_cpu, "converted", cannot)
    with pytest.raises(EnginesError, match="converted"), running("vllm", SETTINGS, Tuning(1, 2)):
        pass


def test_figures_are_medians_and_absent_without_samples() -> None:
    samples = Samples(cold_ms=[1, 100, 3], four_first_ms=[1, 2, 3])
    assert samples.medians() == {"cold_ms": 3, "four_first_p50_ms": 2, "four_first_p95_ms": 2.9}
    assert Samples().medians() == {}


@pytest.fixture
def no_engines(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Name, Tuning]]:
    """Engines that answer at once, one of which does not start."""
    started: list[tuple[Name, Tuning]] = []

    @contextmanager
    def pretend(name: Name, _: Settings, tuning: Tuning) -> Iterator[Served]:
        started.append((name, tuning))
        if name == "native":
            raise EnginesError("llama.cpp, built for this processor did not start: killed")
        yield Served(name, "", 0, LanguageModelSettings())

    async def measured(*_: object, **__: object) -> Samples:
        return Samples(warm_clause_ms=[300], cold_ms=[900])

    monkeypatch.setattr(engines, "running", pretend)
    monkeypatch.setattr(engines, "measure", measured)
    monkeypatch.setattr(engines, "available", lambda: ["wheel", "native"])
    monkeypatch.setattr(engines, "busy_share", lambda: 0.6)
    return started


def test_one_engine_that_fails_spoils_no_other(
    no_engines: list[tuple[Name, Tuning]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bench" / "engines.json"
    assert run(SETTINGS, out=out) == 1
    written = json.loads(out.read_text())
    assert [one["engine"] for one in written["engines"]] == ["wheel", "native"]
    assert written["engines"][0]["warm_clause_ms"] == 300
    assert "did not start" in written["engines"][1]["failed"]
    assert written["machine"]["processor"]
    said = " ".join(capsys.readouterr().out.split())
    assert "use llama.cpp, as packaged" in said
    assert "60% of the machine" in said
    assert "python -m evals.vllm_cpu install" in said


def test_a_machine_reads_the_same_as_is_written(
    no_engines: list[tuple[Name, Tuning]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "engines.json"
    assert run(SETTINGS, engines=["wheel"], json_output=True, out=out) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(out.read_text())


def test_a_sweep_tries_each_setting_once(
    no_engines: list[tuple[Name, Tuning]], tmp_path: Path
) -> None:
    run(SETTINGS, engines=["wheel"], sweep=True, json_output=True, out=tmp_path / "x.json")
    tried = [tuning for _, tuning in no_engines]
    assert tried[0] == Tuning(
        SETTINGS.answering.model.threads, SETTINGS.answering.model.batch_threads
    )
    assert len(tried) == len(set(tried)) > 3
