"""What a clone changes: its resolved spec beside that of the run it was made from, value by value."""

from collections.abc import Iterator
from typing import Any

from tunery.core.errors import Problem, Where
from tunery.schemas.clone import Change, Clone
from tunery.schemas.run import DataRef, ResolvedSpec
from tunery.services.context import Context
from tunery.services.find_run import need_run
from tunery.services.resolve import acting

_APART = {"schema_version", "clone_of", "trigger", "settings"}
_HASH = 16
"""Digits that are enough to tell two contents apart."""


def compared(ctx: Context, resolved: ResolvedSpec) -> ResolvedSpec:
    """The same with what differs from the run it is a clone of, where it is one. Raises Problem `not_found`."""
    wanted = resolved.spec.clone_of
    if wanted is None:
        return resolved
    try:
        row = need_run(ctx, wanted)
    except Problem as problem:
        raise Problem(problem.code, where=Where(field="clone_of"), **problem.params) from problem
    name = f"{row.name} #{row.number}"
    changes = list(_changes(ResolvedSpec.model_validate(row.resolved), resolved))
    return resolved.model_copy(
        update={
            "spec": resolved.spec.model_copy(update={"clone_of": name}),
            "clone": Clone(run=row.id, name=name, changes=changes),
        }
    )


def _changes(before: ResolvedSpec, after: ResolvedSpec) -> Iterator[Change]:
    """Settings first, those that someone chose before the others."""
    settings = list(_of_settings(before, after))
    yield from sorted(settings, key=lambda change: change.origin != "user")
    old, new = (dict(_flat(one.spec.model_dump(mode="json", exclude=_APART))) for one in (before, after))
    for name in dict.fromkeys([*new, *old]):
        if old.get(name) != new.get(name):
            yield Change(name=name, before=old.get(name), after=new.get(name))
    same_base = before.spec.base_model == after.spec.base_model
    if same_base and before.base_model_hash != after.base_model_hash:
        hashes = (one.base_model_hash[:_HASH] for one in (before, after))
        yield Change(name="base_model_hash", before=next(hashes), after=next(hashes))
    if before.code_version != after.code_version:
        yield Change(name="code_version", before=before.code_version, after=after.code_version)


def _of_settings(before: ResolvedSpec, after: ResolvedSpec) -> Iterator[Change]:
    """Of the settings that act in either run."""
    old, new = acting(before), acting(after)
    for name in dict.fromkeys([*new, *old]):
        if old.get(name) != new.get(name):
            yield Change(
                name=f"settings.{name}",
                before=old.get(name),
                after=new.get(name),
                origin=after.origins.get(name) if name in new else None,
            )


def _flat(fields: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Every value by its path; data is named as people name it."""
    for name, value in fields.items():
        path = f"{above}{name}"
        if isinstance(value, dict) and value.keys() >= DataRef.model_fields.keys():
            yield path, _data(value)
        elif isinstance(value, dict):
            yield from _flat(value, f"{path}.")
        elif value and isinstance(value, list) and isinstance(value[0], dict):
            yield path, [_data(one) for one in value]
        elif value is not None:
            yield path, value


def _data(fields: dict[str, Any]) -> str:
    """`name@2`, and how much of it is taken."""
    label = fields.get("path") or f"{fields['dataset']}@{fields['version']}"
    if fields.get("sampling_rate") is not None:
        return f"{label} × {fields['sampling_rate']:g}"
    return label if fields.get("share") is None else f"{label} ({fields['share']:g} %)"
