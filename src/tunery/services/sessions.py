"""The console's signed-in visitors: a cookie that names a token, signed with this installation's secret.

Nothing is stored: a session ends when it expires, when its token is revoked, or when the secret is replaced.
The cookie never holds the token itself.
"""

import os
import secrets
from pathlib import Path

from itsdangerous import BadData, URLSafeTimedSerializer
from sqlalchemy import Connection, select

from tunery.db.tables import token
from tunery.services.tokens import digest_of

COOKIE = "tunery_session"
MAX_AGE_SECONDS = 14 * 24 * 3600


class Sessions:
    """Makes and checks the values of the session cookie."""

    def __init__(self, secret: bytes) -> None:
        self._signer = URLSafeTimedSerializer([secret], salt="tunery.console")

    def issue(self, token_id: str) -> str:
        """The cookie's value for someone who showed the token with this id."""
        # The random part makes each sign-in's cookie a new one, so that none can be planted beforehand.
        return self._signer.dumps([token_id, secrets.token_hex(8)])

    def token_of(self, value: str) -> str | None:
        """The id of the token a cookie stands for; None when it is forged or has expired."""
        try:
            token_id, _ = self._signer.loads(value, max_age=MAX_AGE_SECONDS)
        except (BadData, ValueError, TypeError):
            return None
        return token_id if isinstance(token_id, str) else None


def sign_in(connection: Connection, sessions: Sessions, secret: str) -> str | None:
    """The cookie's value for someone who shows a token; None when the token opens nothing."""
    token_id = connection.scalar(
        select(token.c.id).where(token.c.digest == digest_of(secret), token.c.revoked.is_(None))
    )
    return None if token_id is None else sessions.issue(token_id)


def project_of(connection: Connection, sessions: Sessions, value: str) -> str | None:
    """The project a cookie opens; None when it is forged, has expired or its token was revoked."""
    token_id = sessions.token_of(value)
    if token_id is None:
        return None
    return connection.scalar(
        select(token.c.project_id).where(token.c.id == token_id, token.c.revoked.is_(None))
    )


def load_secret(path: Path) -> bytes:
    """The installation's secret, made at the first call; only its owner can read the file."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(handle, "wb") as file:
        secret = secrets.token_bytes(32)
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
    return secret
