"""The console's files: style sheets, scripts, vendored libraries, under an address that changes with their content.

`/static/<digest>/…` may be kept by browsers for ever; modules import each other by relative paths, so the digest
carries over to them.
"""

import hashlib
from functools import cache
from pathlib import Path

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).parent / "static"


@cache
def digest() -> str:
    """Names the content of all files together."""
    total = hashlib.sha256()
    for path in sorted(FOLDER.rglob("*")):
        if path.is_file():
            total.update(path.relative_to(FOLDER).as_posix().encode())
            total.update(path.read_bytes())
    return total.hexdigest()[:12]


def asset(path: str) -> str:
    """The address of one file."""
    return f"/static/{digest()}/{path}"


class Assets(StaticFiles):
    """Files with or without the digest in front; only those with it are kept by browsers."""

    def get_path(self, scope: Scope) -> str:
        path = super().get_path(scope)
        return path.removeprefix(f"{digest()}/")

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        named = f"/{digest()}/" in scope["path"]
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if named else "no-cache"
        return response
