"""Which adapters are loaded and who uses them. Names never change meaning; one in use is never unloaded.

Runs on the event loop; the work on the model itself is handed to the decoder's thread.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tunery.core.errors import Problem
from tunery.replica.decoder import Decoder
from tunery.replica.model import ServedModel, adapts_experts

MAX_LOADED = 32
"""Above so many, the one unused for longest is unloaded."""


@dataclass(eq=False)
class _Entry:
    path: Path
    users: int = 0
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.idle.set()


class Adapters:
    """The adapters of one replica, least recently used first."""

    def __init__(self, model: ServedModel, decoder: Decoder, *, limit: int = MAX_LOADED) -> None:
        self._model = model
        self._decoder = decoder
        self._limit = limit
        self._entries: dict[str, _Entry] = {}
        self._changing = asyncio.Lock()

    @property
    def names(self) -> list[str]:
        return list(self._entries)

    @asynccontextmanager
    async def use(self, name: str | None) -> AsyncIterator[None]:
        """Keep an adapter loaded meanwhile. Raises Problem `unknown_adapter`."""
        if name is None:
            yield
            return
        entry = self._entries.pop(name, None)
        if entry is None:
            raise Problem("unknown_adapter", name=name)
        self._entries[name] = entry
        entry.users += 1
        entry.idle.clear()
        try:
            yield
        finally:
            entry.users -= 1
            if entry.users == 0:
                entry.idle.set()

    async def load(self, name: str, path: Path) -> None:
        """Load an adapter once. Raises Problem `adapter_unusable`, `name_taken`."""
        async with self._changing:
            known = self._entries.get(name)
            if known is not None:
                if known.path != path:
                    raise Problem("name_taken", noun="adapter", name=name)
                return
            await self._make_room()
            loading = self._decoder.call(
                lambda: self._model.load_adapter(name, path), alone=adapts_experts(path)
            )
            await asyncio.wrap_future(loading)
            self._entries[name] = _Entry(path)

    async def unload(self, name: str) -> None:
        """Refuse new users, wait for those it has, forget it. Raises Problem `unknown_adapter`."""
        async with self._changing:
            entry = self._entries.pop(name, None)
            if entry is None:
                raise Problem("unknown_adapter", name=name)
            await self._forget(name, entry)

    async def _make_room(self) -> None:
        while len(self._entries) >= self._limit:
            unused = next((name for name, entry in self._entries.items() if entry.users == 0), None)
            if unused is None:
                return  # all are in use: better one too many than to make someone wait for another's answer
            await self._forget(unused, self._entries.pop(unused))

    async def _forget(self, name: str, entry: _Entry) -> None:
        await entry.idle.wait()
        await asyncio.wrap_future(self._decoder.call(lambda: self._model.unload_adapter(name)))
