"""The page about extension points: read from the modules called `point`, their protocols by their source."""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any, get_args

import tunery
from tools import markdown
from tools.markdown import code
from tunery.core.extensions import Point


def page() -> str:
    """Every extension point, what an extension offers, and what there is."""
    return markdown.page(
        "Extension points",
        "Where something can be added by writing one module, in this package or in another one.",
        "An extension is a module. In this package it is a file in the point's folder; in another package "
        "it is an entry point in the group named like that folder. Its name is the file's name, or the "
        "entry point's. Each declares `API_VERSION`; one that was written for another version is refused "
        "with both versions named.",
        *(_section(module, point) for module, point in points()),
    )


def points() -> Iterator[tuple[ModuleType, Point[Any]]]:
    """Every extension point with the module that declares it, in order of name."""
    for found in sorted(pkgutil.walk_packages(tunery.__path__, "tunery."), key=lambda module: module.name):
        if not found.name.endswith(".point"):
            continue
        module = importlib.import_module(found.name)
        for value in list(vars(module).values()):
            if isinstance(value, Point):
                yield module, value


def _section(module: ModuleType, point: Point[Any]) -> str:
    offers = offered(module, point)
    given = [kind for kind in _classes(module) if kind.name != offers.name and _is_protocol(kind)]
    return markdown.section(
        f"{point.noun.capitalize()} (`{point.package}`)",
        inspect.cleandoc(module.__doc__ or ""),
        f"Interface version {point.api_version}. Entry-point group `{point.package}`. "
        f"There are: {', '.join(code(name) for name in point.names()) or 'none yet'}.",
        _members(offers),
        *(f"**{kind.name}**: {_says(kind)}\n\n{_members(kind)}" for kind in given),
    )


def offered(module: ModuleType, point: Point[Any]) -> ast.ClassDef:
    """The protocol that the point's modules satisfy: `Point[…]` as it is annotated, or as a class derives "
    "from it."""
    annotated = [t for name, t in inspect.get_annotations(module).items() if vars(module)[name] is point]
    kinds = annotated or list(getattr(type(point), "__orig_bases__", ()))
    (protocol,) = get_args(kinds[0])
    return next(kind for kind in _classes(module) if kind.name == protocol.__name__)


def _classes(module: ModuleType) -> list[ast.ClassDef]:
    return [node for node in ast.parse(inspect.getsource(module)).body if isinstance(node, ast.ClassDef)]


def _is_protocol(kind: ast.ClassDef) -> bool:
    return any(isinstance(base, ast.Name) and base.id == "Protocol" for base in kind.bases)


def _says(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    return markdown.cell(ast.get_docstring(node) or "")


def _members(kind: ast.ClassDef) -> str:
    rows: list[tuple[str, str]] = []
    for node, after in zip(kind.body, [*kind.body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign):
            rows.append((code(ast.unparse(node)), _docstring_after(after)))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            rows.append((code(_signature(node)), _says(node)))
    return markdown.table(["member", "meaning"], rows)


def _docstring_after(node: ast.stmt | None) -> str:
    if (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ):
        return node.value.value
    return ""


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    arguments = ast.unparse(node.args)
    arguments = arguments.removeprefix("self").removeprefix(", ")
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    if any(isinstance(mark, ast.Name) and mark.id == "property" for mark in node.decorator_list):
        return f"{node.name}: {ast.unparse(node.returns) if node.returns else ''}"
    return f"{'async ' if isinstance(node, ast.AsyncFunctionDef) else ''}{node.name}({arguments}){returns}"
