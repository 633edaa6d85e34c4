"""Foreign registries of datasets in an uploaded ZIP: each entry becomes a dataset of its own."""

import os
import posixpath

from sqlalchemy import event

from tunery.data.llamafactory import FILE, plan, read_registry
from tunery.data.member import names_in, read_small
from tunery.db.tables import upload
from tunery.schemas.dataset import Dataset, ImportOptions, RegistryImport, RegistryImported, Skipped
from tunery.services.context import Context
from tunery.services.imports import queue_import
from tunery.services.staging import forget, staged
from tunery.services.upload_writers import Writers
from tunery.services.uploads import whole_upload


def import_registry(ctx: Context, writers: Writers, id: str, request: RegistryImport) -> RegistryImported:
    """Queue the import of every entry that lies in the archive, each from its own file there.

    Raises Problem `upload_unfinished`, `file_unreadable`, `not_found`.
    """
    row = whole_upload(ctx, writers, id)
    archive = staged(ctx.folder, id)
    where, content = read_small(archive, row.filename, FILE)
    folder = posixpath.dirname(where)
    held = names_in(archive, row.filename)

    def present(file: str) -> str | None:
        return None if posixpath.join(folder, file) in held else f"the archive holds no {file}"

    entries, skipped = plan(read_registry(content, where), request.only, present)
    datasets: list[Dataset] = []
    for entry in entries:
        options = ImportOptions(
            **entry.options.model_dump(exclude={"member"}),
            member=posixpath.join(folder, entry.file),
            accept_bad_rows=request.accept_bad_rows,
            publish=request.publish,
        )
        datasets.append(
            queue_import(
                ctx,
                entry.dataset,
                row.filename,
                options,
                row.sha256,
                lambda target: os.link(archive, target),
            )
        )
    notes = [Skipped(name=entry.name, reason=entry.note) for entry in entries if entry.note]
    ctx.conn.execute(upload.delete().where(upload.c.id == id))
    event.listen(ctx.conn, "commit", lambda _: forget(archive))
    return RegistryImported(datasets=datasets, skipped=skipped, notes=notes)
