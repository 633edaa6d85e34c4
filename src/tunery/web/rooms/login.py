"""Signing in with a token, and out again."""

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import RedirectResponse, Response

from tunery.core.errors import Problem
from tunery.services.sessions import COOKIE, MAX_AGE_SECONDS
from tunery.web.page import render, room

router = room()
_WRONG = "This token is unknown or was revoked."


@router.get("/login")
def ask(request: Request, next: str = "/") -> Response:
    """The page; who is signed in already goes on at once."""
    try:
        request.app.state.tunery.authenticate(request)
    except Problem:
        return render(request, "login.html", next=_own(next), problem=None)
    return RedirectResponse(_own(next), 303)


@router.post("/login")
def sign_in(request: Request, token: Annotated[str, Form()], next: Annotated[str, Form()] = "/") -> Response:
    """Take a token for a session cookie."""
    cookie = request.app.state.tunery.sign_in(token.strip())
    if cookie is None:
        return render(request, "login.html", status=401, next=_own(next), problem=_WRONG)
    response = RedirectResponse(_own(next), 303)
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=MAX_AGE_SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


@router.post("/logout")
def sign_out() -> Response:
    """Forget the session."""
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


def _own(address: str) -> str:
    """The address when it is a path of this server, else the start: no way out to foreign sites."""
    plain = address.isprintable() and "\\" not in address
    return address if plain and address.startswith("/") and not address.startswith("//") else "/"
