"""Ready-made datasets: which are offered, and taking one into the project."""

from fastapi import APIRouter

from tunery.api.session import Reading, Writing
from tunery.schemas.dataset import Dataset
from tunery.schemas.preset_data import PresetDataset, PresetImport
from tunery.services import preset_data

router = APIRouter(prefix="/preset-datasets")


@router.get("")
def list_preset_datasets(ctx: Reading) -> list[PresetDataset]:
    """Datasets that ship with Tunery or that an administrator offers to every project."""
    return preset_data.list_presets(ctx)


@router.post("/{preset}/import", status_code=202)
def import_preset_dataset(ctx: Writing, preset: str, body: PresetImport) -> Dataset:
    """Import one as a dataset of the project, or as its next version. A task checks every row."""
    return preset_data.import_preset(ctx, preset, body)
