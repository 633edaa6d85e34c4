"""Stand-ins for services outside: each answers as a test tells it, on a loopback port, and notes what came."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Asked:
    """One request."""

    path: str
    headers: dict[str, str]


@dataclass
class Reply:
    status: int = 200
    content: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class StandIn:
    port: int
    asked: list[Asked]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def standin(answer: Callable[[Asked], Reply]) -> Iterator[StandIn]:
    """A web server."""
    asked: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            one = Asked(self.path, {name.lower(): value for name, value in self.headers.items()})
            asked.append(one)
            reply = answer(one)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.content)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield StandIn(server.server_port, asked)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def listener(drip: bytes = b"", again: bytes = b"") -> Iterator[tuple[int, list[bytes]]]:
    """Takes connections and what comes on them; sends `drip`, then `again` over and over, and never ends."""
    came: list[bytes] = []
    ended = threading.Event()
    with socket.socket() as waiting:
        waiting.bind(("127.0.0.1", 0))
        waiting.listen()
        waiting.settimeout(0.05)

        def serve() -> None:
            while not ended.is_set():
                try:
                    connection, _ = waiting.accept()
                except TimeoutError:
                    continue
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(2)
                    came.append(connection.recv(65536))
                    connection.sendall(drip)
                    while not ended.is_set():
                        connection.sendall(again)
                        time.sleep(0.05)  # a stream that drips is what it stands in for

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield waiting.getsockname()[1], came
        finally:
            ended.set()
            thread.join()


class Gate:
    """A way to another service that holds a connection up where certain bytes are sent, until it is opened."""

    def __init__(self, to: int, holds: bytes) -> None:
        self.opened = threading.Event()
        self.reached = threading.Event()
        self._to = to
        self._holds = holds
        self._waiting = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._waiting.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self.opened.set()
        self._waiting.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._waiting.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                for source, target, holds in ((near, far, self._holds), (far, near, None)):
                    threading.Thread(target=self._pass_on, args=(source, target, holds), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, holds: bytes | None) -> None:
        with source, target, contextlib.suppress(OSError):
            while piece := source.recv(65536):
                if holds is not None and holds in piece:
                    self.reached.set()
                    self.opened.wait(600)
                target.sendall(piece)
            target.shutdown(socket.SHUT_RDWR)
