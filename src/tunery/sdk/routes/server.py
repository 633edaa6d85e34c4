"""The server itself: health, extensions, tokens."""

from tunery.schemas.base import Schema
from tunery.schemas.project import ExtensionInfo, NewToken, Token
from tunery.sdk.call import Call, Resource, S, as_json, endpoint, nothing, segment


class Health(Schema):
    """The server answers."""

    status: str
    version: str


_HEALTH = as_json(Health)
_TOKENS = as_json(list[Token])
_NEW = as_json(NewToken)
_EXTENSIONS = as_json(list[ExtensionInfo])


def health() -> Call[Health]:
    """Whether a server answers, and its version; needs no token."""
    return Call("GET", "/api/v1/health", _HEALTH)


def methods() -> Call[list[ExtensionInfo]]:
    """Training methods with their settings."""
    return Call("GET", "/api/v1/methods", _EXTENSIONS)


def formats() -> Call[list[ExtensionInfo]]:
    """Data formats."""
    return Call("GET", "/api/v1/formats", _EXTENSIONS)


def metrics() -> Call[list[ExtensionInfo]]:
    """Metrics of an evaluation."""
    return Call("GET", "/api/v1/metrics", _EXTENSIONS)


def cleaning_steps() -> Call[list[ExtensionInfo]]:
    """Steps of cleaning with their settings."""
    return Call("GET", "/api/v1/cleaning-steps", _EXTENSIONS)


class Extensions(Resource[S]):
    """What the server can do."""

    methods = endpoint(methods)
    formats = endpoint(formats)
    metrics = endpoint(metrics)
    cleaning_steps = endpoint(cleaning_steps)


def list_tokens() -> Call[list[Token]]:
    """Tokens, without their secrets."""
    return Call("GET", "/api/v1/tokens", _TOKENS)


def create_token(name: str) -> Call[NewToken]:
    """Make a token; its secret is shown this once."""
    return Call("POST", "/api/v1/tokens", _NEW, body={"name": name})


def revoke_token(token: str) -> Call[None]:
    """Make a token (by its id) worthless."""
    return Call("DELETE", f"/api/v1/tokens/{segment(token)}", nothing)


class Tokens(Resource[S]):
    """Access to the server."""

    list = endpoint(list_tokens)
    create = endpoint(create_token)
    revoke = endpoint(revoke_token)
