"""Write what documentation can be written from the code: docs/reference/ and the file tree in README.md.

    python -m tools.reference               write
    python -m tools.reference --check       write nothing; exit code 1 and the names of what is stale
    python -m tools.reference --out DIR     write the reference, and only it, into DIR

The same code gives the same bytes: nothing of the machine, the day or the environment gets in.
"""

import argparse
import sys
from pathlib import Path

from tools import commands, extensions, pages, rest, tree

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"
README = ROOT / "README.md"
_NOTICE = "<!-- Written by `make docs` from the code. Change the code, not this page. -->\n\n"


def reference() -> dict[str, str]:
    """Every page of the reference: file name to content."""
    written = {
        "settings.md": pages.settings(),
        "run-spec.md": pages.run_spec(),
        "server-settings.md": pages.server_settings(),
        "errors.md": pages.errors(),
        "events.md": pages.events(),
        "data-formats.md": pages.data_formats(),
        "metrics.md": pages.metrics(),
        "cli.md": commands.page(),
        "rest.md": rest.page(),
        "extension-points.md": extensions.page(),
    }
    written["README.md"] = _index(written)
    return {**{name: _NOTICE + text for name, text in written.items()}, "openapi.json": rest.document()}


def _index(written: dict[str, str]) -> str:
    lines = ["# Reference", "", "Written from the code by `make docs`.", ""]
    for name, text in written.items():
        title, _, rest_of = text.partition("\n")
        about = rest_of.strip().partition("\n\n")[0].replace("\n", " ")
        lines.append(f"- [{title.removeprefix('# ')}]({name}): {about}")
    return "\n".join([*lines, "- [openapi.json](openapi.json): the REST API as an OpenAPI document.", ""])


def outputs() -> dict[Path, str]:
    """Every file that is written from the code, with its content."""
    return {
        **{REFERENCE / name: text for name, text in reference().items()},
        README: tree.fill(README.read_text(encoding="utf-8"), ROOT),
    }


def stale(wanted: dict[Path, str]) -> list[str]:
    """Files that are missing, differ from what the code says, or that nothing writes any more."""
    found = [
        str(path.relative_to(ROOT))
        for path, text in wanted.items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    left = [str(path.relative_to(ROOT)) for path in REFERENCE.glob("*") if path not in wanted]
    return found + left


def write(wanted: dict[Path, str]) -> None:
    """Write every file; remove pages of the reference that nothing writes any more."""
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for path in REFERENCE.glob("*"):
        if path not in wanted:
            path.unlink()


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.reference", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--check", action="store_true", help="write nothing; fail when something is stale")
    parser.add_argument("--out", type=Path, help="write the reference, and only it, into this folder")
    asked = parser.parse_args(arguments)
    if asked.out is not None:
        asked.out.mkdir(parents=True, exist_ok=True)
        for name, text in reference().items():
            (asked.out / name).write_text(text, encoding="utf-8")
        return 0
    wanted = outputs()
    if not asked.check:
        write(wanted)
        return 0
    old = stale(wanted)
    if old:
        sys.stderr.write(f"Stale: {', '.join(old)}. Run `make docs` and commit what it writes.\n")
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main())
