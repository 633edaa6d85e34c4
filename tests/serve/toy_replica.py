"""A replica without a model: starts at once, answers with its process id, dies when told to.

Where it is to be slow it waits for a file: a base named `slow` starts, and an answer to `wait` ends, when the file `go`
lies beside its socket.
"""

import json
import os
import socketserver
import sys
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._begin(0)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        word = asked["messages"][0]["content"]
        if word == "die at once":
            os._exit(9)
        self._begin(None)
        self._line({"type": "text", "text": f"{os.getpid()}\u2028"})
        if word == "die":
            os._exit(9)
        if word == "wait":
            _wait_for_go()
        self._line({"type": "end", "finish_reason": "stop", "prompt_tokens": 1, "completion_tokens": 1})
        self.wfile.write(b"0\r\n\r\n")

    def _begin(self, length: int | None) -> None:
        self.send_response(200)
        if length is None:
            self.send_header("transfer-encoding", "chunked")
        else:
            self.send_header("content-length", str(length))
        self.end_headers()

    def _line(self, line: dict[str, object]) -> None:
        data = json.dumps(line, ensure_ascii=False).encode() + b"\n"
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def address_string(self) -> str:
        return "socket"


def _wait_for_go() -> None:
    go = Path(sys.argv[2]).with_name("go")
    while not go.exists():
        time.sleep(0.01)


if __name__ == "__main__":
    base, path = sys.argv[1:]
    if base.endswith("broken"):
        print(json.dumps({"problem": {"code": "no_chat_template", "params": {"name": "broken"}}}))  # noqa: T201
        sys.exit(1)
    if base.endswith("slow"):
        _wait_for_go()
    with socketserver.ThreadingUnixStreamServer(path, _Handler) as server:
        server.serve_forever()
