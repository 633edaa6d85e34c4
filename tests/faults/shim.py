"""A machine whose clock is set, and whose disk fails to sync, while Tunery's processes run on it."""

import mmap
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

_SOURCE = Path(__file__).with_name("shim.c")
_WANTED = struct.Struct("=qq")


def build(folder: Path) -> Path:
    """The compiled library."""
    library = folder / "shim.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-o", library, _SOURCE], check=True)
    return library


@dataclass
class Machine:
    """What the processes with `environment` see."""

    library: Path
    control: Path

    def __post_init__(self) -> None:
        self.control.write_bytes(_WANTED.pack(0, 0))

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self.library), "TUNERY_TEST_SHIM": str(self.control)}

    def be(self, *, seconds: int = 0, sync_fails: bool = False) -> None:
        """From now on the wall clock goes wrong by so much, and syncing a file fails or not."""
        with self.control.open("r+b") as file, mmap.mmap(file.fileno(), _WANTED.size) as shared:
            shared[:] = _WANTED.pack(seconds, sync_fails)
