"""`tunery up`: one server process on a data folder and a port, until it is told to end."""

import errno
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from types import FrameType

import uvicorn
from fastapi import FastAPI

from tunery.core.errors import Problem
from tunery.core.folder import DataFolder
from tunery.core.settings import ServerSettings
from tunery.db.engine import check_database, usable, writing
from tunery.server.app import create_app
from tunery.server.folder import hold_folder
from tunery.services.tokens import first_start

_GRACE_SECONDS = 3
"""How long answers that are under way may take once the server is told to end."""
_LOG_BYTES = 10 * 2**20


@dataclass(frozen=True)
class Up:
    """A server that answers."""

    url: str
    folder: DataFolder
    first_token: str | None
    """At the very first start, the token that was made: never to be seen again."""


def serve(settings: ServerSettings, announce: Callable[[Up], None]) -> None:
    """Run the server until SIGTERM or SIGINT; `announce` is called once it answers.

    Raises Problem `data_folder_unusable`, `data_folder_in_use`, `data_folder_newer`, `database_damaged`, `disk_full`,
    `disk_unwritable`, `port_taken`, `address_unusable`, `server_setting_invalid`.
    """
    with (
        _listen(settings.host, settings.port) as listener,
        hold_folder(settings.folder) as folder,
        _logging(folder),
    ):
        app = create_app(settings)
        check_database(app.state.tunery.engine, settings.folder)
        with usable(settings.folder), writing(app.state.tunery.engine) as connection:
            _, token = first_start(connection)
        url = _url(settings.host, listener.getsockname()[1])
        server = _Server(app, lambda: announce(Up(url, folder, token)))
        server.run(sockets=[listener])


class _Server(uvicorn.Server):
    """uvicorn, telling when it answers, and telling endless answers to stop when it is told to end."""

    def __init__(self, app: FastAPI, announce: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="on",
                server_header=False,
                timeout_graceful_shutdown=_GRACE_SECONDS,
                h11_max_incomplete_event_size=64 * 1024,
            )
        )
        self._announce = announce
        self._state = app.state.tunery

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._state.closing.set()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Not uvicorn's own, which raises the signal again at the end: then nothing after `serve` would run.
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


@contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    """The listening socket. Raises Problem `port_taken`, `address_unusable`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(128)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise Problem("port_taken", host=host, port=port) from error
            raise Problem("address_unusable", host=host, port=port, detail=error.strerror) from error
        yield listener


@contextmanager
def _logging(folder: DataFolder) -> Iterator[None]:
    """What the server has to say goes to logs/server.log; from warnings on, to the terminal too."""
    file = RotatingFileHandler(
        folder.logs / "server.log", maxBytes=_LOG_BYTES, backupCount=1, encoding="utf-8"
    )
    terminal = logging.StreamHandler()
    terminal.setLevel(logging.WARNING)
    loggers = [logging.getLogger(name) for name in ("tunery", "uvicorn")]
    for handler in (file, terminal):
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    for logger in loggers:
        logger.setLevel(logging.INFO)
        logger.addHandler(file)
        logger.addHandler(terminal)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(file)
            logger.removeHandler(terminal)
        file.close()


def _url(host: str, port: int) -> str:
    """An address that a program on this machine can use."""
    name = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
