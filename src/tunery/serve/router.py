"""What a model name under /v1 leads to. Knows no database; services make targets."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Target:
    """One thing that can answer: a base model, an adapter on it, or a fully tuned model, which is its own base."""

    name: str
    """The name it was asked for by."""
    base_folder: Path
    """Folder of the weights that a replica loads."""
    adapter_folder: Path | None = None
    adapter_name: str | None = None
    """Never means another adapter later: the name of a model and its version, or their id."""
    version: str | None = None
    """`model:3`, where it is a published model."""
    base_model: str = ""
    """The base model's name, for lists."""
    created: int = 0
    """UTC microseconds."""

    def __post_init__(self) -> None:
        assert (self.adapter_folder is None) == (self.adapter_name is None)
