"""A real web server on a loopback port that answers what a test has told it to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Reply:
    """One answer. `break_off` closes the connection before all that was promised is sent."""

    body: bytes = b""
    status: int = 200
    media_type: str = "text/html; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)
    break_off: bool = False


@dataclass(frozen=True)
class Asked:
    """One request that came."""

    path: str
    headers: Mapping[str, str]


Answering = Reply | list[Reply] | Callable[[Asked], Reply]


class WebServer:
    """`replies` maps a path to a reply, to replies one after another, or to a function."""

    def __init__(self) -> None:
        self.replies: dict[str, Answering] = {}
        self.asked: list[Asked] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                asked = Asked(self.path, dict(self.headers.items()))
                server.asked.append(asked)
                reply = server.reply_to(asked)
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", reply.media_type)
                promised = len(reply.body) + (1000 if reply.break_off else 0)
                if reply.status != 304 and "Content-Length" not in reply.headers:
                    self.send_header("Content-Length", str(promised))
                self.end_headers()
                self.wfile.write(reply.body)
                self.close_connection = reply.break_off

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def reply_to(self, asked: Asked) -> Reply:
        """What a request is answered; the last of several replies goes on."""
        answering = self.replies.get(asked.path.partition("?")[0], Reply(status=404))
        if isinstance(answering, list):
            return answering.pop(0) if len(answering) > 1 else answering[0]
        return answering if isinstance(answering, Reply) else answering(asked)

    def paths(self) -> list[str]:
        """The paths that were asked for, in order."""
        return [asked.path for asked in self.asked]

    @contextmanager
    def running(self) -> Iterator[WebServer]:
        """Serve in a thread until the end of the `with` statement."""
        thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._http.shutdown()
            self._http.server_close()
            thread.join()
