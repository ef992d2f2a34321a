"""What the demo shows of a call."""

from __future__ import annotations

import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from evals.demo import _print_turns

TURN = {
    "heard": "I was born on [date of birth].",
    "heard_by_caller": "Thank you, [person].",
    "end_reason": "interrupted",
}


@pytest.mark.loopback
def test_words_withheld_from_the_record_are_shown_as_such() -> None:
    class Record(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"turns": [TURN]}).encode())

        def log_message(self, *_: Any) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Record)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    shown, over = io.StringIO(), threading.Event()
    over.set()
    host, port = server.server_address[:2]
    media = SimpleNamespace(host=host, port=port, token_env="NO_SUCH_TOKEN")
    bench = cast(Any, SimpleNamespace(settings=SimpleNamespace(media=media)))
    try:
        _print_turns(bench, "c1", Console(file=shown, width=100), over)
    finally:
        server.shutdown()
        server.server_close()
    assert "agent heard    I was born on [date of birth]." in shown.getvalue()
    assert "Thank you, [person]. (interrupted)" in shown.getvalue()
