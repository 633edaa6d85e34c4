"""Reading Markdown pages: their code blocks and links. Knows nothing of running them.

A block's first line says what tests do with it:

    ```bash run                 run, in the page's folder, with TUNERY_URL and TUNERY_TOKEN of a real server
    ```python run               the same in Python
    ```yaml file=run.yaml       written into that folder first; any language
    ```python source=PATH       must be the repository's file at PATH, to the letter
    ```bash                     not run, but its `tunery` commands and options must exist
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    line: int
    language: str
    marks: tuple[str, ...]
    text: str

    @property
    def run(self) -> bool:
        return "run" in self.marks

    def named(self, mark: str) -> str | None:
        """The value of `mark=VALUE`, or None."""
        return next((m.partition("=")[2] for m in self.marks if m.startswith(f"{mark}=")), None)


def blocks(page: Path) -> Iterator[Block]:
    """The code blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        language, *marks = found[1].split() or [""]
        yield Block(text.count("\n", 0, found.start()) + 1, language, tuple(marks), found[2])


def links(page: Path) -> Iterator[str]:
    """Targets of the page's links, code aside."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    yield from _LINK.findall(text)
