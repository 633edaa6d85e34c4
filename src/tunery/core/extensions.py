"""Extension points: one file in one folder, or one entry point of another installed package, is one extension.

An extension is a module. Its file name (or entry-point name) is its name. Nothing keeps a list: the folder
is scanned, then the entry points of the group with the same name. Modules load on use, never all at start.
This module doesn't know what any point is for.
"""

import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Generic, TypeVar, cast

from tunery.core.errors import Problem

T = TypeVar("T")


@dataclass(frozen=True)
class Point(Generic[T]):
    """One extension point. `package` is both the folder scanned and the entry-point group."""

    package: str
    noun: str
    api_version: int

    @cached_property
    def _foreign(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=self.package)}

    @cached_property
    def _own(self) -> frozenset[str]:
        spec = importlib.util.find_spec(self.package)
        if spec is None or spec.submodule_search_locations is None:
            return frozenset()
        found = (module.name for module in pkgutil.iter_modules(spec.submodule_search_locations))
        return frozenset(name for name in found if name != "point")

    def names(self) -> list[str]:
        """Every extension's name, ours and others', sorted."""
        return sorted(self._own | set(self._foreign))

    def load(self, name: str) -> T:
        """The extension called `name`.

        Raises Problem `unknown_extension` (the known names are listed) or `extension_version`.
        """
        if name in self._own:
            module = importlib.import_module(f"{self.package}.{name}")
        elif name in self._foreign:
            module = cast(ModuleType, self._foreign[name].load())
        else:
            raise Problem("unknown_extension", noun=self.noun, name=name, known=", ".join(self.names()))
        version = getattr(module, "API_VERSION", None)
        if version != self.api_version:
            raise Problem(
                "extension_version", noun=self.noun, name=name, theirs=version, ours=self.api_version
            )
        return cast(T, module)

    def all(self) -> Iterator[tuple[str, T]]:
        """Load every extension, in order of name."""
        for name in self.names():
            yield name, self.load(name)
