"""The file tree in README.md: one line for each package and module, from the first sentence of its docstring."""

import ast
from collections.abc import Iterator
from pathlib import Path

BEGIN, END = "<!-- tree -->", "<!-- /tree -->"
_ROOTS = ("src/tunery", "tools")
_COLUMN = 34


def fill(text: str, root: Path) -> str:
    """`text` with the tree between its two markers."""
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert end, f"README.md needs {BEGIN} and, after it, {END}"
    lines = [line for name in _ROOTS for line in _lines(root / name, name, 0)]
    return f"{before}{BEGIN}\n```text\n" + "\n".join(lines) + f"\n```\n{END}{after}"


def _lines(folder: Path, name: str, depth: int) -> Iterator[str]:
    yield _line(f"{name}/", depth, folder / "__init__.py")
    for module in sorted(folder.glob("*.py")):
        if module.name != "__init__.py":
            yield _line(module.name, depth + 1, module)
    for inner in sorted(folder.iterdir()):
        if inner.is_dir() and any(inner.glob("*.py")):
            yield from _lines(inner, inner.name, depth + 1)


def _line(name: str, depth: int, file: Path) -> str:
    shown = "  " * depth + name
    return f"{shown:<{_COLUMN}} {_first_sentence(file)}".rstrip()


def _first_sentence(file: Path) -> str:
    if not file.is_file():
        return ""
    text = ast.get_docstring(ast.parse(file.read_bytes())) or ""
    line = " ".join(text.partition("\n\n")[0].split())
    return line.partition(". ")[0].rstrip(".")
