"""Imports of files as versions of datasets: queue one, go back to one that left rows out, look at its bad rows."""

import os
import shutil
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import orjson
from sqlalchemy import Row, event, func, select, update

from tunery.core.clock import now_us
from tunery.core.errors import Problem
from tunery.core.folder import fixes_of
from tunery.core.ids import new_id
from tunery.data.fixed import add_fixed, read_fixed, try_row
from tunery.data.formats.point import FORMATS
from tunery.data.names import FileNames
from tunery.db.tables import dataset, dataset_version
from tunery.jobs.line import enqueue
from tunery.schemas.dataset import (
    Dataset,
    Fixed,
    HeldRow,
    ImportAgain,
    ImportOptions,
    ImportRequest,
    QuarantinePage,
    RowFix,
    StillBad,
)
from tunery.services.context import Context
from tunery.services.datasets import find_dataset, get_dataset, open_quarantine, version_row
from tunery.services.staging import forget, staged

_REMEMBERED = ("format", "columns", "turns", "only_named")


def import_file(
    ctx: Context,
    *,
    name: str,
    source: Path,
    filename: str,
    options: ImportOptions,
    sha256: str | None = None,
) -> Dataset:
    """Queue the import of a file as the next version of dataset `name`; takes the file over.

    Raises Problem `unknown_extension` for a format there isn't.
    """

    def take(target: Path) -> None:
        shutil.move(source, target)
        event.listen(ctx.conn, "rollback", lambda _: _put_back(target, source))

    return queue_import(ctx, name, filename, options, sha256, take)


def queue_import(
    ctx: Context,
    name: str,
    filename: str,
    options: ImportOptions,
    sha256: str | None,
    place: Callable[[Path], object],
) -> Dataset:
    """Queue the import of the file that `place` puts where it is told. Raises Problem `unknown_extension`."""
    id, version = new_version(ctx, name, options, filename)
    target = staged(ctx.folder, version)
    target.parent.mkdir(parents=True, exist_ok=True)
    place(target)
    event.listen(ctx.conn, "rollback", lambda _: forget(target))
    _queue(ctx, version, filename, options, sha256)
    return get_dataset(ctx, id)


def new_version(ctx: Context, name: str, options: ImportOptions, filename: str | None) -> tuple[str, str]:
    """The dataset `name`, made if need be, and its next version that waits for rows; gives both ids.

    Raises Problem `unknown_extension`.
    """
    if options.format is not None:
        FORMATS.load(options.format)
    existing = find_dataset(ctx, name)
    id, name = (existing.id, existing.name) if existing else (new_id("ds"), name)
    format = options.format or "unknown"
    if existing is None:
        ctx.conn.execute(
            dataset.insert().values(id=id, project_id=ctx.project, name=name, format=format, created=now_us())
        )
    # Counted over deleted datasets of this name too: `name@1` never means other rows than it did.
    newest = ctx.conn.scalar(
        select(func.max(dataset_version.c.version))
        .join(dataset, dataset.c.id == dataset_version.c.dataset_id)
        .where(dataset.c.project_id == ctx.project, dataset.c.name == name)
    )
    version = new_id("dsv")
    ctx.conn.execute(
        dataset_version.insert().values(
            id=version,
            project_id=ctx.project,
            dataset_id=id,
            version=(newest or 0) + 1,
            state="importing",
            format=format,
            options=options.model_dump(mode="json"),
            filename=filename,
            created=now_us(),
        )
    )
    return id, version


def import_again(ctx: Context, name: str, number: int | None, wanted: ImportAgain) -> Dataset:
    """Read the kept file of a version once more, with other options or with fixed rows.

    A version whose import failed is imported anew itself; from any other the next version is made.
    Raises Problem `source_gone`, `not_in_state`, `unknown_extension`.
    """
    found = version_row(ctx, name, number)
    source = _kept(ctx, name, found)
    options = _changed(found, wanted)
    if options.format is not None:
        FORMATS.load(options.format)
    if found.state == "failed":
        version = found.id
        if wanted.fixes:
            add_fixed(fixes_of(source), wanted.fixes)
        ctx.conn.execute(
            update(dataset_version)
            .where(dataset_version.c.id == version)
            .values(state="importing", error=None, options=options.model_dump(mode="json"))
        )
    else:
        _, version = new_version(ctx, name, options, found.filename)
        target = staged(ctx.folder, version)
        event.listen(ctx.conn, "rollback", lambda _: forget(target))
        os.link(source, target)
        if fixes_of(source).exists():
            shutil.copyfile(fixes_of(source), fixes_of(target))
        if wanted.fixes:
            add_fixed(fixes_of(target), wanted.fixes)
    _queue(ctx, version, found.filename, options, None)
    return get_dataset(ctx, found.dataset_id)


def read_quarantine(
    ctx: Context, name: str, number: int, offset: int = 0, limit: int = 20, rule: str | None = None
) -> QuarantinePage:
    """Some bad rows of a version, perhaps only those that break one rule."""
    report = version_row(ctx, name, number).report
    if not report or not report["rows_rejected"]:
        return QuarantinePage(rows=[], offset=offset, total=0)
    total = report["rows_rejected"] if rule is None else report["problems_by_rule"].get(rule, 0)
    with open_quarantine(ctx, name, number) as lines:
        rows = (orjson.loads(line) for line in lines)
        wanted = (row for row in rows if rule is None or row["rule"] == rule)
        page = [msgspec.convert(row, HeldRow) for row in islice(wanted, offset, offset + limit)]
    fixed = fixed_rows(ctx, name, number)
    for row in page:
        if (text := fixed.get((row.file, row.row))) is not None:
            row.fixed = text.decode()
    return QuarantinePage(rows=page, offset=offset, total=total)


def fixed_rows(ctx: Context, name: str, number: int) -> dict[tuple[str, int], bytes]:
    """The rows of a version's kept file that were fixed, by file and number."""
    return read_fixed(fixes_of(staged(ctx.folder, version_row(ctx, name, number).id)))


def keep_fixes(ctx: Context, name: str, number: int, fixes: list[RowFix]) -> Fixed:
    """Try fixed rows, and keep those that can be used now for the next import. Raises Problem `source_gone`."""
    found = version_row(ctx, name, number)
    source = _kept(ctx, name, found)
    names = FileNames.of(ImportOptions.model_validate(found.options or {}))
    good: list[RowFix] = []
    problems: list[StillBad] = []
    for fix in fixes:
        error = try_row(fix.text, found.format, names)
        if error is None:
            good.append(fix)
        else:
            problems.append(
                StillBad(file=fix.file, row=fix.row, field=error.field, rule=error.rule, fix=error.fix)
            )
    if good:
        add_fixed(fixes_of(source), good)
    return Fixed(kept=len(good), waiting=waiting_rows(ctx, name, number), problems=problems)


def waiting_rows(ctx: Context, name: str, number: int) -> int:
    """How many fixed rows the next import of a version's file will read for the first time."""
    report = version_row(ctx, name, number).report
    return max(0, len(fixed_rows(ctx, name, number)) - (report["fixed"] if report else 0))


def like_before(ctx: Context, request: ImportRequest) -> ImportOptions:
    """The options of a request, completed from the dataset's newest version where it asks for that."""
    own = ImportOptions.model_validate(request.model_dump(exclude={"name", "as_before"}))
    if not request.as_before or find_dataset(ctx, request.name) is None:
        return own
    before = ImportOptions.model_validate(version_row(ctx, request.name, None).options or {})
    kept = {part: getattr(own, part) or getattr(before, part) for part in _REMEMBERED}
    return own.model_copy(update=kept)


def _queue(ctx: Context, version: str, filename: str, options: ImportOptions, sha256: str | None) -> None:
    payload = {
        "version": version,
        "path": str(staged(ctx.folder, version)),
        "filename": filename,
        "sha256": sha256,
        "options": options.model_dump(mode="json"),
        "accept_bad_rows": options.accept_bad_rows,
        "publish": options.publish,
    }
    task = enqueue(ctx.conn, "import_dataset", ctx.project, payload)
    ctx.conn.execute(update(dataset_version).where(dataset_version.c.id == version).values(task_id=task))


def _kept(ctx: Context, name: str, found: Row[Any]) -> Path:
    if found.state == "importing":
        label = f"{name}@{found.version}"
        raise Problem(
            "not_in_state",
            noun="version",
            name=label,
            state=found.state,
            verb="import again",
            needed="finished",
        )
    source = staged(ctx.folder, found.id)
    if found.kept_until is None or found.kept_until < now_us() or not source.exists():
        raise Problem("source_gone", name=f"{name}@{found.version}")
    return source


def _changed(found: Row[Any], wanted: ImportAgain) -> ImportOptions:
    before = ImportOptions.model_validate(found.options or {})
    changes = wanted.model_dump(exclude={"fixes"}, exclude_none=True)
    if changes.get("format") == "":
        changes["format"] = None
    return before.model_copy(update=changes)


def _put_back(target: Path, source: Path) -> None:
    """The transaction failed: the file is its owner's again."""
    if target.exists():
        shutil.move(target, source)
