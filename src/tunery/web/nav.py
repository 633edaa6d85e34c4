"""The rooms of the console: every module of the folder `rooms` is one.

A room has a `router` and, when it belongs into the navigation, a `NAV`.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import ModuleType


@dataclass(frozen=True)
class Nav:
    """A room's entry in the navigation."""

    order: int
    label: str
    href: str
    icon: str
    also: tuple[str, ...] = ()
    """Other addresses that belong to the entry."""

    def holds(self, path: str) -> bool:
        """The path is in this room."""
        if self.href == "/":
            return path == "/"
        return any(path == href or path.startswith(href + "/") for href in (self.href, *self.also))


def rooms() -> Iterator[ModuleType]:
    """All rooms, by name."""
    package = importlib.import_module("tunery.web.rooms")
    for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda module: module.name):
        yield importlib.import_module(f"tunery.web.rooms.{module.name}")


@cache
def entries() -> tuple[Nav, ...]:
    """The navigation, in order."""
    found = (getattr(room, "NAV", None) for room in rooms())
    return tuple(sorted((nav for nav in found if nav is not None), key=lambda nav: nav.order))
