"""A memory allocator that serves training better than the C library's, where the machine has one.

Training frees and asks again for the same large blocks all the time. tcmalloc keeps them apart by size and at hand;
glibc cuts them up. It is taken over by starting a program with LD_PRELOAD.
"""

import os
import sys
import sysconfig
from pathlib import Path

PRELOAD = "LD_PRELOAD"
_NAMES = ("libtcmalloc_minimal.so.4", "libtcmalloc.so.4")


def find_allocator() -> Path | None:
    """The library, if one is installed where systems put it."""
    if sys.platform != "linux":
        return None
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    folders = [Path("/usr/lib", multiarch), Path("/usr/lib64"), Path("/usr/local/lib")]
    return next((path for folder in folders for name in _NAMES if (path := folder / name).is_file()), None)


def use_allocator() -> None:
    """Start this very program again with a better allocator, where there is one and none was chosen.

    The process stays the same one. Returns where there is nothing to do; programs started later don't inherit it.
    """
    found = find_allocator()
    if found is not None and PRELOAD not in os.environ:
        os.execve(sys.executable, sys.orig_argv, {**os.environ, PRELOAD: str(found)})
    if found is not None and os.environ[PRELOAD] == str(found):
        del os.environ[PRELOAD]
