"""Ready-made datasets: which are offered, and taking one into the project."""

from tunery.schemas.dataset import Dataset
from tunery.schemas.preset_data import PresetDataset, PresetImport
from tunery.sdk.call import Call, as_json, segment

_PRESETS = as_json(list[PresetDataset])
_DATASET = as_json(Dataset)


def presets() -> Call[list[PresetDataset]]:
    """Datasets that ship with Tunery or that an administrator offers."""
    return Call("GET", "/api/v1/preset-datasets", _PRESETS)


def import_preset(
    preset: str, *, name: str | None = None, accept_bad_rows: bool = False, publish: bool = True
) -> Call[Dataset]:
    """Import one, under its own name or another; `wait` follows the import."""
    body = PresetImport(name=name, accept_bad_rows=accept_bad_rows, publish=publish).model_dump(mode="json")
    return Call("POST", f"/api/v1/preset-datasets/{segment(preset)}/import", _DATASET, body=body)
