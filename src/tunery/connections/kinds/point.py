"""The extension point of kinds of connection: places outside this server that rows are read from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tunery.core.egress import Egress
from tunery.core.extensions import Point
from tunery.core.reach import Target
from tunery.schemas.base import Schema


@dataclass(frozen=True)
class RemoteFile:
    """A file over there, as it was when it was listed."""

    key: str
    """What `read` needs to find it, and what people see."""
    size: int
    mark: str
    """Changes when its content does."""


class Source(Protocol):
    """An open connection, for one thread."""

    target: Target
    """Where it leads, to be judged before the connection is stored."""

    def check(self) -> str:
        """Try what an import needs; returns what was found, in a sentence. Raises Problem for what is wrong."""
        ...

    def check_path(self, path: str) -> None:
        """Whether a path can be one here. Raises Problem `invalid_request`."""
        ...

    def files(self, folder: str) -> Sequence[RemoteFile]:
        """Every file in a folder and below it; the file itself where `folder` names one.

        Raises Problem, `source_too_many` among them.
        """
        ...

    def read(self, file: RemoteFile) -> Iterator[bytes]:
        """The content of a file. Raises Problem `source_changed` when it isn't what was listed any more.

        Whether so many bytes came as were listed is looked after by the caller.
        """
        ...


class ConnectionKind(Protocol):
    """What a module in this folder offers; its file name is the kind's."""

    API_VERSION: int
    TITLE: str
    HELP: str
    PATH_HELP: str
    """What a path is, in a sentence."""
    Settings: type[Schema]
    """What a connection of this kind needs. Fields of type SecretStr are sealed and never shown."""

    def connect(self, settings: Any, egress: Egress) -> Source:
        """A source. Every request goes through `egress`; nothing is sent yet. Raises Problem `address_invalid`."""
        ...


KINDS: Point[ConnectionKind] = Point("tunery.connections.kinds", "kind of connection", api_version=1)
