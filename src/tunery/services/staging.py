"""Files on their way in: where each lies in the data folder, and which of them nobody waits for any more."""

import shutil
from pathlib import Path

from sqlalchemy import Connection, or_, select

from tunery.core.clock import now_us
from tunery.core.folder import DataFolder, fixes_of
from tunery.db.tables import dataset_version, task, upload
from tunery.jobs.analyses import analysis_folder
from tunery.jobs.states import TASK_ENDED


def staged(folder: Path, id: str) -> Path:
    """The file of an upload, or of a version that is or was imported. `folder` is the data folder."""
    return DataFolder(folder).uploads / id


def forget(path: Path) -> None:
    """Remove such a file, with its fixed rows."""
    path.unlink(missing_ok=True)
    fixes_of(path).unlink(missing_ok=True)


def sweep_uploads(connection: Connection, folder: Path) -> None:
    """Remove what no import and no upload waits for: what expired, or what a killed process or an ended task left."""
    now = now_us()
    versions = select(dataset_version.c.id).where(
        or_(dataset_version.c.state == "importing", dataset_version.c.kept_until > now)
    )
    uploads = select(upload.c.id).where(upload.c.expires > now)
    tasks = select(task.c.id).where(task.c.state.not_in(TASK_ENDED))
    waiting = {*connection.scalars(versions), *connection.scalars(uploads)}
    waiting |= {analysis_folder(folder, id).name for id in connection.scalars(tasks)}
    for path in [
        found for kind in ("dsv", "upl", "sample", "analysis") for found in folder.glob(f"{kind}_*")
    ]:
        if path.name.partition(".")[0] in waiting:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
