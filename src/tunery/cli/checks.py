"""What `tunery doctor` looks at: each check gives one finding with a verdict and, where needed, the cure."""

import os
import platform
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from tunery.core.allocator import find_allocator
from tunery.core.errors import Problem
from tunery.core.files import read_json
from tunery.core.folder import DataFolder
from tunery.core.memory import available_bytes, resident_bytes
from tunery.core.process import ProcessIdentity
from tunery.core.settings import ServerSettings
from tunery.data import native
from tunery.schemas.standby import StandbyReport
from tunery.sdk.client import Client

Verdict = Literal["good", "notice", "bad"]
_GIB = 2**30
_ENOUGH_DISK = 5 * _GIB
_ENOUGH_MEMORY = 4 * _GIB
_EXTRAS = {
    "server": ("fastapi", "sqlalchemy"),
    "train": ("torch", "transformers", "peft"),
    "serve": ("torch", "fastapi"),
}


@dataclass(frozen=True)
class Finding:
    """The outcome of one check."""

    what: str
    verdict: Verdict
    found: str
    cure: str = ""


def examine() -> list[Finding]:
    """Run every check. None of them changes anything."""
    settings = ServerSettings()
    return [
        _python(),
        *_packages(),
        _compiled_reader(),
        _compiled_training(),
        _processor(),
        _allocator(),
        _memory(),
        _data_folder(settings.folder),
        _disk(settings.folder),
        _standby(settings),
        *_database(settings),
        *_server(settings),
    ]


def _python() -> Finding:
    good = sys.version_info >= (3, 11)
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding(
        "Python", "good" if good else "bad", found, "" if good else "Install Python 3.11 or newer."
    )


def _packages() -> Iterator[Finding]:
    for extra, packages in _EXTRAS.items():
        missing = [name for name in packages if find_spec(name) is None]
        cure = (
            f"Run `pip install 'tunery[{extra}]'` if this machine is meant to {_PURPOSE[extra]}."
            if missing
            else ""
        )
        found = f"{', '.join(missing)} not installed" if missing else ", ".join(map(_with_version, packages))
        yield Finding(f"Packages to {_PURPOSE[extra]}", "notice" if missing else "good", found, cure)


_PURPOSE = {"server": "run a server", "train": "train", "serve": "answer requests"}


def _with_version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return package


_TRAINING = ("_rowwise.so", "_tiles.so")
_COMPILER = "Install a C compiler and Python's headers (gcc, python3-dev), then install Tunery again."


def _compiled_reader() -> Finding:
    if native.COMPILED is not None:
        return Finding("Data reader", "good", "compiled")
    return Finding("Data reader", "notice", "not compiled; reading is several times slower", _COMPILER)


def _compiled_training() -> Finding:
    # Looked for, not loaded: that happens beside torch, which this command does without.
    spec = find_spec("tunery.engine")
    folders = (spec and spec.submodule_search_locations) or []
    if all(any(Path(folder, name).is_file() for folder in folders) for name in _TRAINING):
        return Finding("Training", "good", "compiled")
    return Finding("Training", "notice", "norms, losses and attention aren't compiled: slower", _COMPILER)


def _allocator() -> Finding:
    found = find_allocator()
    if found is not None:
        return Finding("Memory allocator", "good", str(found))
    cure = (
        "Training is a little faster with tcmalloc: install libtcmalloc-minimal4 (Debian) or gperftools-libs."
    )
    return Finding("Memory allocator", "notice", "the C library's", cure)


def _processor() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    flags = _cpu_flags()
    kinds = [
        name for flag, name in (("amx_bf16", "AMX bf16"), ("avx512_bf16", "AVX-512 bf16")) if flag in flags
    ]
    if kinds:
        return Finding("Processor", "good", f"{cores} cores, {', '.join(kinds)}")
    return Finding(
        "Processor",
        "notice",
        f"{cores} cores, no bf16 arithmetic",
        "Training runs in fp32 here, at about half the speed; no action is needed.",
    )


def _cpu_flags() -> set[str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return set()
    line = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return set(line.partition(":")[2].split())


def _memory() -> Finding:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    enough = total >= _ENOUGH_MEMORY
    cure = "" if enough else "Train small models with LoRA and a short max_sequence_length."
    return Finding("Memory", "good" if enough else "notice", f"{total / _GIB:.1f} GiB", cure)


def _standby(settings: ServerSettings) -> Finding:
    """Whether a run would begin at once, on an engine that waits."""
    what, path = "Standby engine", DataFolder(settings.folder).standby
    if settings.standby_engines == 0:
        return Finding(what, "good", "off; a run's first step comes some seconds later")
    if not path.exists():
        return Finding(what, "good", "none; a worker starts one when it has nothing to train")
    report = StandbyReport.model_validate(read_json(path))
    alive = [one for one in (ProcessIdentity(**found) for found in report.processes) if one.alive()]  # pyright: ignore[reportArgumentType]
    if alive:
        sizes = ", ".join(f"process {one.pid}, {resident_bytes(one.pid) / 2**20:.0f} MB" for one in alive)
        return Finding(what, "good", f"waiting ({sizes})")
    if report.why_none == "memory":
        return Finding(
            what,
            "notice",
            f"none: memory is scarce ({available_bytes() / _GIB:.1f} GiB free)",
            "Runs begin some seconds later; nothing needs to be done. Free memory if you want them sooner.",
        )
    if report.why_none == "failed":
        return Finding(
            what, "notice", "none: the last one ended by itself", "See logs/worker.log in the data folder."
        )
    return Finding(what, "good", "none; a worker starts one when it has nothing to train")


def _data_folder(folder: Path) -> Finding:
    if not folder.exists():
        if os.access(_nearest(folder), os.W_OK):
            return Finding("Data folder", "good", f"{folder} will be created by `tunery up`")
        return Finding(
            "Data folder", "bad", f"{folder} can't be created", "Choose another with TUNERY_DATA or `--data`."
        )
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return Finding("Data folder", "bad", f"{folder} isn't writable", "Choose another with TUNERY_DATA.")
    return Finding("Data folder", "good", str(folder))


def _nearest(folder: Path) -> Path:
    return next(parent for parent in (folder, *folder.parents) if parent.exists())


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(_nearest(folder)).free
    enough = free >= _ENOUGH_DISK
    cure = "" if enough else "Free some space, or choose a larger disk with TUNERY_DATA."
    return Finding("Free disk", "good" if enough else "bad", f"{free / _GIB:.1f} GiB", cure)


def _database(settings: ServerSettings) -> Iterator[Finding]:
    """The schema's version, where there is a database and the packages to read it."""
    if find_spec("sqlalchemy") is None or find_spec("alembic") is None:
        return
    if not settings.database_url and not (settings.folder / "tunery.db").exists():
        return
    from sqlalchemy.exc import SQLAlchemyError

    from tunery.db.engine import connect, reading, versions

    engine = connect(settings.url)
    try:
        with reading(engine) as connection:
            found, newest = versions(connection)
    except SQLAlchemyError as error:
        yield Finding(
            "Database",
            "bad",
            f"can't be read: {error.args[0]}",
            "Check TUNERY_DATABASE_URL and the data folder.",
        )
        return
    finally:
        engine.dispose()
    if found == newest:
        yield Finding("Database", "good", f"schema {found}")
    else:
        yield Finding(
            "Database",
            "notice",
            f"schema {found}, this Tunery has {newest}",
            "`tunery up` upgrades it.",
        )


def _server(settings: ServerSettings) -> Iterator[Finding]:
    with Client() as client:
        url = client.config.url
        try:
            health = client.health()
        except Problem as problem:
            yield Finding("Server", "notice", problem.message, problem.cli_cure)
            yield _port(settings.host, settings.port)
            return
        yield Finding("Server", "good", f"{url} answers, version {health.version}")
        yield _token(client)


def _token(client: Client) -> Finding:
    if client.config.token is None:
        return Finding("Token", "bad", "no token is set", "Set TUNERY_TOKEN to the one `tunery up` printed.")
    return _tried("Token", lambda: f"accepted; {len(client.deployments.list())} models are available")


def _tried(what: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(what, "good", check())
    except Problem as problem:
        return Finding(what, "bad", problem.message, problem.cli_cure)


def _port(host: str, port: int) -> Finding:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            taken = Problem("port_taken", port=port, host=host)
            return Finding("Port", "bad", f"{taken.message} ({error.strerror})", taken.cure)
    return Finding("Port", "good", f"{host}:{port} is free")
