"""One visit to the console: who comes, how a page or a part of one is answered, how errors look.

It knows nothing of the rooms; they bring their templates and values. Security headers are the server's.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ValidationError
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tunery.core.errors import Problem, Where
from tunery.core.settings import ServerSettings
from tunery.schemas.words import said
from tunery.services.context import Context
from tunery.web.nav import entries
from tunery.web.templating import environment

S = TypeVar("S", bound=BaseModel)


@dataclass(frozen=True)
class Visit:
    """A signed-in visitor's request."""

    request: Request
    project: str

    @property
    def settings(self) -> ServerSettings:
        """The server's."""
        return self.request.app.state.tunery.settings

    @contextmanager
    def reading(self) -> Iterator[Context]:
        """The services, for looking only."""
        with self.request.app.state.tunery.context(self.project, write=False) as context:
            yield context

    @contextmanager
    def writing(self) -> Iterator[Context]:
        """The services; what was changed is stored when this ends."""
        with self.request.app.state.tunery.context(self.project) as context:
            yield context

    def page(self, template: str, **values: Any) -> HTMLResponse:
        """Answer with a template."""
        return render(self.request, template, signed_in=True, **values)

    def part(self, template: str, *, say: str | None = None, **values: Any) -> HTMLResponse:
        """Answer with a part of a page; `say` is shown as a passing message."""
        text = environment().get_template(template).render(_common(self.request, signed_in=True) | values)
        response = HTMLResponse(text)
        if say is not None:
            _toast(response, say, tone="good")
        return response

    def go(self, address: str) -> Response:
        """Send the browser to another page."""
        if _wants_part(self.request):
            return Response(status_code=204, headers={"HX-Redirect": address})
        return RedirectResponse(address, 303)


def _visit(request: Request) -> Visit:
    return Visit(request, request.app.state.tunery.authenticate(request))


Visitor = Annotated[Visit, Depends(_visit)]
"""What a handler takes to be for signed-in visitors only."""


def room() -> APIRouter:
    """The router of a room."""
    return APIRouter(include_in_schema=False)


def filled(schema: type[S], **values: Any) -> S:
    """A document out of a form's fields, empty ones left out. Raises Problem `invalid_request` naming the fields."""
    try:
        return schema.model_validate({name: value for name, value in values.items() if value != ""})
    except ValidationError as error:
        raise Problem.together([_wrong_field(one) for one in error.errors(include_url=False)]) from error


def _wrong_field(error: Mapping[str, Any]) -> Problem:
    name = ".".join(str(part) for part in error["loc"])
    return Problem("invalid_request", where=Where(field=name), detail=f"{name}: {said(error)}.")


def render(
    request: Request, template: str, *, status: int = 200, signed_in: bool = False, **values: Any
) -> HTMLResponse:
    """A whole page."""
    text = environment().get_template(template).render(_common(request, signed_in) | values)
    return HTMLResponse(text, status)


def problem_page(request: Request, problem: Problem) -> Response:
    """An error in the console's look; a passing message where only a part of a page was asked for."""
    partial = _wants_part(request)
    if problem.code == "not_authenticated":
        if partial:
            return Response(status_code=204, headers={"HX-Redirect": "/login"})
        return RedirectResponse(_login_address(request), 303)
    if partial:
        response = Response(status_code=problem.status)
        _toast(response, " ".join(part.message for part in problem.parts), more=problem.cure, tone="bad")
        return response
    return render(request, "problem.html", status=problem.status, problem=problem)


def _wants_part(request: Request) -> bool:
    return request.headers.get("HX-Request") == "true"


def _login_address(request: Request) -> str:
    back = request.url.path
    if request.url.query:
        back += f"?{request.url.query}"
    return "/login" if request.method != "GET" or back == "/" else f"/login?next={quote(back, safe='/')}"


def _common(request: Request, signed_in: bool) -> dict[str, Any]:
    return {
        "path": request.url.path,
        "entries": entries(),
        "signed_in": signed_in,
        "origin": f"{request.url.scheme}://{request.url.netloc}",
    }


def _toast(response: Response, text: str, *, more: str = "", tone: str) -> None:
    # The standard library's json writes ASCII only, which is all a header may hold.
    response.headers["HX-Trigger"] = json.dumps({"tunery:toast": {"text": text, "more": more, "tone": tone}})
