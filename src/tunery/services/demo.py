"""The sample that ships with Tunery, as a dataset of the project."""

from tunery.core.folder import DataFolder
from tunery.core.ids import new_id
from tunery.schemas.dataset import Dataset, ImportOptions
from tunery.services import imports
from tunery.services.context import Context
from tunery.starter.place import HELD_OUT_ROWS, TRAIN_ROWS
from tunery.starter.sample import write

TRAIN_NAME = "support-messages"
HELD_OUT_NAME = "support-messages-held-out"


def load_sample(ctx: Context, seed: int = 0) -> tuple[Dataset, Dataset]:
    """Queue the import of the sample's training and held-out rows; those that are there already stay."""
    folder = DataFolder(ctx.folder).uploads / new_id("sample")
    folder.mkdir(parents=True)
    write(folder, seed, TRAIN_ROWS, HELD_OUT_ROWS)
    made = []
    for name, filename in ((TRAIN_NAME, "train.jsonl"), (HELD_OUT_NAME, "held_out.jsonl")):
        made.append(
            imports.import_file(
                ctx,
                name=name,
                source=folder / filename,
                filename=filename,
                options=ImportOptions(format="alpaca"),
            )
        )
    folder.rmdir()
    return made[0], made[1]
