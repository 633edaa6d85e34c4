"""Tokens: access to the server."""

from fastapi import APIRouter

from tunery.api.session import Reading, Writing
from tunery.schemas.project import NewToken, Token, TokenRequest
from tunery.services import tokens

router = APIRouter(prefix="/tokens")


@router.get("")
def list_tokens(ctx: Reading) -> list[Token]:
    """Tokens without their secrets, newest first."""
    return [Token(**found) for found in tokens.list_tokens(ctx)]


@router.post("", status_code=201)
def create_token(ctx: Writing, body: TokenRequest) -> NewToken:
    """Create a token. Its secret is only in this response."""
    id, secret = tokens.create(ctx, body.name)
    return NewToken(id=id, name=body.name, token=secret)


@router.delete("/{token}", status_code=204)
def revoke_token(ctx: Writing, token: str) -> None:
    """Revoke a token."""
    tokens.revoke(ctx, token)
