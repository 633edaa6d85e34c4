"""Opening a stored connection: its secrets unsealed, its requests under the rules of `core.egress`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import orjson
from pydantic import SecretStr, ValidationError

from tunery.connections.kinds.point import KINDS, Source
from tunery.core.egress import Egress
from tunery.core.errors import Problem, Where
from tunery.core.folder import DataFolder
from tunery.core.settings import ServerSettings
from tunery.core.vault import SealBroken, Vault, decode_key, load_key
from tunery.schemas.words import said


def vault_of(settings: ServerSettings) -> Vault:
    """The vault of this server. Raises Problem `data_folder_unusable`."""
    if settings.secret_key:
        return Vault(decode_key(settings.secret_key))
    return Vault(load_key(DataFolder(settings.folder).vault_key))


def prepare(
    settings: ServerSettings, kind: str, given: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Settings as a person gives them, checked: those to be shown, and the secrets.

    Where the connection leads is judged now, and again whenever it is used; a name that leads nowhere yet may come.
    Raises Problem `unknown_extension`, `invalid_request` naming the field, `address_invalid`, `address_private`,
    `address_forbidden`.
    """
    module = KINDS.load(kind)
    filled = {name: value.strip() if isinstance(value, str) else value for name, value in given.items()}
    try:
        checked = module.Settings.model_validate({k: v for k, v in filled.items() if v not in ("", None)})
    except ValidationError as error:
        wrong = [_wrong(one) for one in error.errors(include_url=False, include_input=False)]
        raise Problem.together(wrong) from None  # the cause would repeat what was given
    with Egress(settings.allowances) as egress:
        target = module.connect(checked, egress).target
        try:
            egress.judge(target)
        except Problem as problem:
            if problem.code != "remote_host_unknown":
                raise
    secret = secret_fields(module.Settings)
    values = {name: getattr(checked, name) for name in type(checked).model_fields}
    secrets = {n: v.get_secret_value() for n, v in values.items() if isinstance(v, SecretStr)}
    return {name: value for name, value in values.items() if name not in secret}, secrets


def _wrong(error: Mapping[str, Any]) -> Problem:
    name = ".".join(str(part) for part in error["loc"])
    return Problem("invalid_request", where=Where(field=name), detail=f"{name}: {said(error)}.")


def secret_fields(schema: type[Any]) -> list[str]:
    """Which settings of a kind are secrets."""
    properties = schema.model_json_schema()["properties"]
    return [name for name, about in properties.items() if _is_secret(about)]


def _is_secret(about: Mapping[str, Any]) -> bool:
    return about.get("writeOnly", False) or any(one.get("writeOnly") for one in about.get("anyOf", ()))


@contextmanager
def dial(
    settings: ServerSettings, id: str, name: str, kind: str, shown: Mapping[str, Any], sealed: str
) -> Iterator[Source]:
    """An open connection, from what is stored of it. Raises Problem `secret_key_lost`."""
    module = KINDS.load(kind)
    try:
        secrets = orjson.loads(vault_of(settings).open(sealed, id))
    except SealBroken as error:
        raise Problem("secret_key_lost", name=name) from error
    seconds = settings.outbound_seconds
    with Egress(settings.allowances, read_seconds=seconds, answer_seconds=seconds) as egress:
        yield module.connect(module.Settings.model_validate({**shown, **secrets}), egress)
