"""API tokens: shown once, kept as a hash, checked in constant time by the database's index."""

import hashlib
import secrets
from typing import Any

from sqlalchemy import Connection, select, update

from tunery.core.clock import now_us
from tunery.core.errors import Problem
from tunery.core.ids import new_id
from tunery.db.tables import project, token
from tunery.services.context import Context

_PREFIX = "tnr_"
_BYTES = 30


def create(ctx: Context, name: str) -> tuple[str, str]:
    """Make a token; returns (id, the secret, which is never shown again)."""
    return create_for(ctx.conn, ctx.project, name)


def create_for(connection: Connection, project_id: str, name: str) -> tuple[str, str]:
    """Make a token for a project."""
    secret = _PREFIX + secrets.token_urlsafe(_BYTES)
    id = new_id("tok")
    connection.execute(
        token.insert().values(
            id=id,
            project_id=project_id,
            name=name,
            digest=digest_of(secret),
            hint=secret[:8],
            scopes=["all"],
            created=now_us(),
        )
    )
    return id, secret


def digest_of(secret: str) -> str:
    """What is kept of a secret. It has 240 random bits, so a plain hash can't be guessed back."""
    return hashlib.sha256(secret.encode()).hexdigest()


def project_of(connection: Connection, secret: str) -> str | None:
    """The project a token opens; None for an unknown or revoked one."""
    return connection.scalar(
        select(token.c.project_id).where(token.c.digest == digest_of(secret), token.c.revoked.is_(None))
    )


def list_tokens(ctx: Context) -> list[dict[str, Any]]:
    """Tokens without their secrets, newest first."""
    rows = ctx.conn.execute(
        select(token).where(token.c.project_id == ctx.project).order_by(token.c.created.desc())
    )
    return [
        {"id": row.id, "name": row.name, "hint": row.hint, "created": row.created, "revoked": row.revoked}
        for row in rows
    ]


def revoke(ctx: Context, id: str) -> None:
    """Make a token useless from now on."""
    changed = ctx.conn.execute(
        update(token)
        .where(token.c.id == id, token.c.project_id == ctx.project, token.c.revoked.is_(None))
        .values(revoked=now_us())
    )
    if changed.rowcount == 0:
        raise Problem("not_found", noun="token", name=id, list="tunery token list")


def first_start(connection: Connection) -> tuple[str, str | None]:
    """Make the project `default` and its first token where there is none.

    Returns (project id, the token if it was made now).
    """
    found = connection.scalar(select(project.c.id).where(project.c.name == "default"))
    if found is not None:
        return found, None
    id = new_id("proj")
    connection.execute(project.insert().values(id=id, name="default", created=now_us()))
    return id, create_for(connection, id, "first start")[1]
