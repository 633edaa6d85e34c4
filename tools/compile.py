"""Builds the compiled parts when Tunery is installed. Where one can't be built, what it does works slower."""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_STRICT = ("-std=c11", "-O3", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-fPIC")
_LINK = ("-bundle", "-undefined", "dynamic_lookup") if sys.platform == "darwin" else ("-shared",)


@dataclass(frozen=True)
class Part:
    """Sources and the library that is made of them."""

    does: str
    sources: tuple[Path, ...]
    library: Path
    options: tuple[str, ...] = ()
    if_possible: tuple[str, ...] = ()
    """Options that not every compiler knows."""

    def compile(self, root: Path, library: Path | None = None, *more: str) -> str:
        """Compile with the machine's C compiler; says what is in the way, if something is."""
        compiler = _compiler()
        if compiler is None:
            return "there is no C compiler"
        headers = {sysconfig.get_path("include"), sysconfig.get_path("platinclude")}
        command = [
            *compiler,
            *_STRICT,
            *self.options,
            *more,
            *_LINK,
            *(f"-I{one}" for one in sorted(headers)),
        ]
        files = [*(str(root / one) for one in self.sources), "-o", str(library or root / self.library)]
        trouble = ""
        for options in dict.fromkeys((self.if_possible, ())):
            done = subprocess.run([*command, *options, *files], capture_output=True, text=True, check=False)
            if not done.returncode:
                return ""
            trouble = done.stderr.strip() or f"{compiler[0]} failed"
        return trouble


_ENGINE = Path("src/tunery/engine")
ROWS = Part("reading rows", (Path("src/tunery/data/_rows.c"),), Path("src/tunery/data/_rows.abi3.so"))
ROWWISE = Part(
    "norms, gates, losses and the optimizer in training",
    (_ENGINE / "_rowwise.c",),
    _ENGINE / "_rowwise.so",
    options=("-fno-math-errno", "-fno-trapping-math"),
    if_possible=("-fopenmp",),
)
TILES = Part(
    "attention and products in training",
    (_ENGINE / "_attention.c", _ENGINE / "_product.c"),
    _ENGINE / "_tiles.so",
    options=("-fno-math-errno", "-fno-trapping-math", "-lm"),
    if_possible=("-fopenmp",),
)
PARTS = (ROWS, ROWWISE, TILES)


class CompiledParts(BuildHookInterface[Any]):
    """Called by hatchling for a wheel and for an editable installation."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        for part in PARTS:
            (root / part.library).unlink(missing_ok=True)
            if trouble := part.compile(root):
                self.app.display_warning(f"No compiled code for {part.does}: {trouble}")
                continue
            build_data["artifacts"].append(part.library.as_posix())
            build_data["pure_python"] = False
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["tag"] = f"cp311-abi3-{platform}"


def _compiler() -> list[str] | None:
    """The one in CC, Python's own, or what a system calls it."""
    named = [os.environ.get("CC"), sysconfig.get_config_var("CC"), "cc", "gcc", "clang"]
    split = [shlex.split(one) for one in named if one]
    return next((one for one in split if shutil.which(one[0])), None)
