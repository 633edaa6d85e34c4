"""A run's YAML read for training without a server: names mean files and folders beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunery.core.errors import Problem, Where
from tunery.schemas.run import DataRef, ResourceSpec, RunSpec
from tunery.sdk.spec import parse_spec, read_yaml
from tunery.starter.place import MODEL_FOLDER, MODEL_NAME


def read_local_spec(file: Path) -> RunSpec:
    """The RunSpec with absolute paths. Relative ones count from the file's folder.

    Raises Problem `file_missing`, `spec_invalid`, `needs_server`, `unknown_base_model`.
    """
    fields = read_yaml(file)
    base = file.resolve().parent
    if "data" in fields:
        fields["data"] = _files(fields["data"], base)
    evaluate = fields.get("evaluate")
    if isinstance(evaluate, dict) and "dataset" in evaluate:
        fields["evaluate"] = {**evaluate, "dataset": _file(evaluate["dataset"], base)}
    spec = parse_spec(fields, file=str(file))
    _refuse_server_only(spec)
    return spec.model_copy(update={"base_model": str(_model_folder(spec.base_model, base))})


def without_effect(spec: RunSpec) -> list[str]:
    """What the spec says of taking turns, which nobody does without a server."""
    usual = ResourceSpec()
    return [
        f"resources.{name}"
        for name in ("idle_time", "priority")
        if getattr(spec.resources, name) != getattr(usual, name)
    ]


def all_refs(spec: RunSpec) -> list[DataRef]:
    """Every file the spec names."""
    others = (spec.data.validation, spec.evaluate.dataset)
    return [*spec.data.train, *(ref for ref in others if ref is not None)]


def _files(data: Any, base: Path) -> Any:
    """The field `data` in its long form, with absolute paths."""
    if isinstance(data, str) or (isinstance(data, dict) and "path" in data):
        data = [data]
    if isinstance(data, list):
        data = {"train": data}
    if not isinstance(data, dict):
        return data
    filled = dict(data)
    if filled.get("train") is not None:
        train = filled["train"]
        filled["train"] = [_file(one, base) for one in (train if isinstance(train, list) else [train])]
    if filled.get("validation") is not None:
        filled["validation"] = _file(filled["validation"], base)
    return filled


def _file(ref: Any, base: Path) -> Any:
    """A reference with an absolute path; anything that isn't one is left for the schema to refuse."""
    if isinstance(ref, str):
        ref = {"path": ref} if _looks_like_path(ref, base) else {"dataset": ref}
    if not isinstance(ref, Mapping) or not isinstance(ref.get("path"), str):
        return ref
    path = (base / Path(ref["path"]).expanduser()).resolve()
    if not path.is_file():
        raise Problem("file_missing", path=ref["path"], base=str(base), where=Where(field="data"))
    return {**ref, "path": str(path)}


def _looks_like_path(text: str, base: Path) -> bool:
    return "/" in text or bool(Path(text).suffix) or (base / text).exists()


def _refuse_server_only(spec: RunSpec) -> None:
    for ref in all_refs(spec):
        if ref.dataset is not None:
            raise Problem("needs_server", what=f"The dataset “{ref.dataset}”", where=Where(field="data"))
    if spec.continue_from is not None:
        what = f"The run “{spec.continue_from.run}”"
        raise Problem("needs_server", what=what, where=Where(field="continue_from"))
    if spec.clone_of is not None:
        what = f"The run “{spec.clone_of}”"
        raise Problem("needs_server", what=what, where=Where(field="clone_of"))
    if spec.publish.auto:
        raise Problem("needs_server", what="publish.auto", where=Where(field="publish.auto"))


def _model_folder(name: str, base: Path) -> Path:
    folder = (base / Path(name).expanduser()).resolve()
    if folder.is_dir():
        return folder
    if name == MODEL_NAME and MODEL_FOLDER.is_dir():
        return MODEL_FOLDER
    raise Problem("unknown_base_model", name=name, where=Where(field="base_model"))
