"""Where the client finds its server: arguments, environment, the file `tunery up` leaves, the local default.

A token goes only to the server it was kept for, never to another address that the environment names.
"""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tunery.core.errors import Problem
from tunery.core.files import read_json, write_json

DEFAULT_URL = "http://127.0.0.1:8420"


@dataclass(frozen=True)
class ClientConfig:
    """An address and the token for it."""

    url: str
    token: str | None
    folder: str | None = None
    """The data folder of a server on this machine; tells it again when its port changes."""


def config_path() -> Path:
    """`~/.config/tunery/client.json`, or what TUNERY_CONFIG names."""
    named = os.environ.get("TUNERY_CONFIG")
    if named:
        return Path(named).expanduser()
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "tunery" / "client.json"


def read_configs() -> list[ClientConfig]:
    """The servers this user knows, the one used last first. Raises Problem `file_unreadable`."""
    path = config_path()
    try:
        stored = read_json(path)
        others: Any = stored.pop("others", [])
        return [_entry(found) for found in (stored, *others)]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise Problem("file_unreadable", path=str(path), detail=str(error)) from error


def _entry(stored: dict[str, Any]) -> ClientConfig:
    url, token, folder = stored.get("url"), stored.get("token"), stored.get("folder")
    if not isinstance(url, str) or not all(text is None or isinstance(text, str) for text in (token, folder)):
        raise ValueError("it must contain “url” and “token” as text")
    return ClientConfig(url.rstrip("/"), token, folder)


def save_config(config: ClientConfig) -> Path:
    """Keep a server for this user (mode 0600) as the one to use; those known before stay. Returns the file."""
    path = config_path()
    others = [
        known
        for known in read_configs()
        if known.url != config.url and (known.folder is None or known.folder != config.folder)
    ]
    write_json(path, {**asdict(config), "others": [asdict(known) for known in others]})
    return path


def find_config(url: str | None = None, token: str | None = None) -> ClientConfig:
    """Fill in what wasn't given. Precedence: argument, TUNERY_URL / TUNERY_TOKEN, file, local default."""
    url = url or os.environ.get("TUNERY_URL")
    token = token or os.environ.get("TUNERY_TOKEN")
    known = [] if url and token else read_configs()
    found = (url or (known[0].url if known else DEFAULT_URL)).rstrip("/")
    kept = next((one.token for one in known if one.url == found), None)
    return ClientConfig(found, token or kept)
