"""Builds the compiled part of reading rows when Tunery is installed. Where it can't be built, the rest works slower."""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("src/tunery/data/_rows.c")
LIBRARY = SOURCE.with_name("_rows.abi3.so")
_OPTIONS = ("-std=c11", "-O3", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-fPIC")
_LINK = ("-bundle", "-undefined", "dynamic_lookup") if sys.platform == "darwin" else ("-shared",)


class CompiledRows(BuildHookInterface[Any]):
    """Called by hatchling for a wheel and for an editable installation."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        (root / LIBRARY).unlink(missing_ok=True)
        if trouble := compile_rows(root / SOURCE, root / LIBRARY):
            self.app.display_warning(f"Rows will be read without compiled code: {trouble}")
            return
        build_data["artifacts"].append(LIBRARY.as_posix())
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"cp311-abi3-{platform}"


def compile_rows(source: Path, library: Path, *options: str) -> str:
    """Compile with the machine's C compiler; says what is in the way, if something is."""
    compiler = _compiler()
    if compiler is None:
        return "there is no C compiler"
    headers = {sysconfig.get_path("include"), sysconfig.get_path("platinclude")}
    command = [*compiler, *_OPTIONS, *options, *_LINK, *(f"-I{folder}" for folder in sorted(headers))]
    done = subprocess.run(
        [*command, str(source), "-o", str(library)], capture_output=True, text=True, check=False
    )
    return done.stderr.strip() or f"{compiler[0]} failed" if done.returncode else ""


def _compiler() -> list[str] | None:
    """The one in CC, Python's own, or what a system calls it."""
    named = [os.environ.get("CC"), sysconfig.get_config_var("CC"), "cc", "gcc", "clang"]
    split = [shlex.split(one) for one in named if one]
    return next((one for one in split if shutil.which(one[0])), None)
