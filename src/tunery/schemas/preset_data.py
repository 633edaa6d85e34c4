"""Ready-made datasets: the list an administrator or Tunery itself offers, and taking one into a project."""

from typing import Self

from pydantic import model_validator

from tunery.schemas.base import Name, Schema
from tunery.schemas.file_options import FileOptions


class PresetDataset(Schema):
    """A dataset that is offered to every project. It becomes one of the project's own when it is imported."""

    name: Name
    title: str
    description: str = ""
    licence: str = ""
    shipped: bool = False
    """It ships with Tunery; otherwise an administrator offers it."""


class PresetEntry(FileOptions):
    """One entry of a catalogue, `presets.yaml`, with how its file is to be read."""

    name: Name
    title: str = ""
    description: str = ""
    licence: str = ""
    file: str | None = None
    """Where its file lies, from the catalogue's folder."""
    made_by: str | None = None
    """The generator that writes its rows; for those that ship."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.file is None) == (self.made_by is None):
            raise ValueError("an entry needs a file")
        return self


class PresetCatalogue(Schema):
    """The document `presets.yaml`."""

    presets: list[PresetEntry]


class PresetImport(Schema):
    """Import a ready-made dataset into the project."""

    name: Name | None = None
    """The dataset's name; the preset's own by default. An existing dataset gets a new version."""
    accept_bad_rows: bool = False
    publish: bool = True
