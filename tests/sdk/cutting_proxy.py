"""Stands between a client and a server and breaks every connection after so many bytes of answer, or of question."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit


class CuttingProxy:
    """`cuts` counts the broken connections; each next one may carry `more` bytes more, so that all ends well."""

    def __init__(self, url: str, first: int, more: int, asked: bool) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._target = (parts.hostname, parts.port)
        self._limit, self._more = first, more
        self._asked = asked
        self.cuts = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._target)
            limit, self._limit = self._limit, self._limit + self._more
            for work in (
                lambda a=near, b=far, n=limit: self._pass(a, b, n if self._asked else None),
                lambda a=far, b=near, n=limit: self._pass(a, b, None if self._asked else n),
            ):
                thread = threading.Thread(target=work)
                thread.start()
                self._threads.append(thread)

    def _pass(self, source: socket.socket, target: socket.socket, limit: int | None) -> None:
        with suppress(OSError):  # the other side was cut
            while content := source.recv(65536):
                if limit is not None and len(content) > limit:
                    target.sendall(content[:limit])
                    self.cuts += 1
                    break
                target.sendall(content)
                limit = None if limit is None else limit - len(content)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextmanager
def cutting_proxy(url: str, *, first: int, more: int, asked: bool = False) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(url, first, more, asked)
    try:
        yield proxy
    finally:
        proxy.close()
