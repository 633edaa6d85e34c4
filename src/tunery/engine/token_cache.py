"""Tokens kept for later trainings, each set in a folder named by what it follows from.

    CACHE/<hash>/
        tokens.bin      examples one after the other
        <column>.npy    what is known of each example, ordered by row
        meta.json       counts and sizes; written last

The hash is of the rows, of the tokenizer's files and template, of the settings that shape examples, and of the code
that makes them. A set that isn't as it was written is as good as absent.
"""

import hashlib
import importlib
import inspect
import logging
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import orjson

from tunery.core.files import fsync_folder, is_disk_full, read_json, sha256_file, write_json
from tunery.data.vocabulary import read_tokenizer_files
from tunery.engine.inputs import TrainInputs
from tunery.engine.tokens import COLUMNS, TokenStore
from tunery.schemas.settings import TrainingSettings

LOG = logging.getLogger("tunery.engine")
_CODE = ("example", "pairs", "render", "rows", "template", "vocabulary")
"""Modules of `tunery.data` that make examples."""
_TOKENS, _META = "tokens.bin", "meta.json"
_COPY_BYTES = 1 << 20


def key_of(inputs: TrainInputs, files: Sequence[Path]) -> str:
    """Names the examples that the rows of these files become."""
    tokenizer = read_tokenizer_files(inputs.base.path)
    template = (inputs.family.CHAT_TEMPLATE or "").encode()
    dated = any(b"strftime_now" in text for text in (*tokenizer.values(), template))
    code = [importlib.import_module(f"tunery.data.{name}") for name in _CODE]
    code.append(sys.modules[inputs.method.examples.__module__])
    parts = {
        "rows": [sha256_file(file) for file in files],
        "tokenizer": {name: hashlib.sha256(content).hexdigest() for name, content in tokenizer.items()},
        "template": hashlib.sha256(template).hexdigest(),
        "decoder": inputs.base.decoder_start if inputs.family.TEXT_TO_TEXT else None,
        "date": inputs.created if dated else None,
        "settings": _shaping(inputs.settings),
        "code": [hashlib.sha256(inspect.getsource(module).encode()).hexdigest() for module in code],
    }
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _shaping(settings: TrainingSettings) -> dict[str, object]:
    """What a method's `examples` may look at: its own settings and the limit."""
    common = TrainingSettings.model_fields.keys() - {"max_sequence_length"}
    return {name: value for name, value in settings.model_dump().items() if name not in common}


class TokenCache:
    """The sets kept under one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._keeping: list[threading.Thread] = []

    def find(self, key: str, rows: int) -> TokenStore | None:
        """The store kept under a key."""
        place = self._folder / key
        try:
            meta = read_json(place / _META)
            columns = {name: np.load(place / f"{name}.npy", allow_pickle=False) for name in COLUMNS}
            handle = os.open(place / _TOKENS, os.O_RDONLY)
        except (FileNotFoundError, ValueError, EOFError):
            return None
        counts: list[int] = meta["counts"]  # pyright: ignore[reportAssignmentType]
        store = TokenStore.stored(handle, rows, columns, counts)
        if meta["rows"] != rows or os.fstat(handle).st_size != 4 * counts[0]:
            return None
        os.utime(place)  # what was used last is thrown away last
        return store

    def keep(self, key: str, store: TokenStore) -> None:
        """Keep a complete store, beside whatever else is done meanwhile; `settle` waits for it."""
        thread = threading.Thread(target=self._keep, args=(key, store), name="token cache", daemon=True)
        self._keeping.append(thread)
        thread.start()

    def settle(self) -> None:
        """Wait until all that is to be kept is kept."""
        for thread in self._keeping:
            thread.join()

    def _keep(self, key: str, store: TokenStore) -> None:
        aside = None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            aside = Path(tempfile.mkdtemp(prefix=f".{key[:8]}-", dir=self._folder))
            _write(aside, store)
            aside.rename(self._folder / key)
            fsync_folder(self._folder)
        except OSError as error:
            # Another run kept the same, or there is no room: the training goes on either way.
            LOG.log(
                logging.WARNING if is_disk_full(error) else logging.INFO, "the tokens aren't kept: %s", error
            )
            if aside is not None:
                shutil.rmtree(aside, ignore_errors=True)


def _write(folder: Path, store: TokenStore) -> None:
    with (folder / _TOKENS).open("wb") as file:
        for piece in store.blocks(_COPY_BYTES):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    for name, column in store.columns():
        with (folder / f"{name}.npy").open("wb") as file:
            np.save(file, column, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
    write_json(folder / _META, {"rows": store.rows, "counts": list(store.counts)})
