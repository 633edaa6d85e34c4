"""Ready-made datasets: which are offered, and taking one into the project."""

from fastapi import APIRouter

from tunery.api.session import Reading, Separate
from tunery.schemas.dataset import Dataset
from tunery.schemas.preset_data import PresetDataset, PresetImport
from tunery.services import preset_data

router = APIRouter(prefix="/preset-datasets")


@router.get("")
def list_preset_datasets(ctx: Reading) -> list[PresetDataset]:
    """Datasets that ship with Tunery or that an administrator offers to every project."""
    return preset_data.list_presets(ctx.settings)


@router.post("/{preset}/import", status_code=202)
def import_preset_dataset(open: Separate, preset: str, body: PresetImport) -> Dataset:
    """Import one as a dataset of the project, or as its next version. A task checks every row."""
    with preset_data.taken(open.server, preset) as taken, open.writing() as ctx:
        return preset_data.import_preset(ctx, taken, body)
