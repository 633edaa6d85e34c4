"""Secrets that must be kept and used again: sealed with a key that lies outside the database.

AES-256-GCM; what a secret belongs to is sealed in, so that a sealed text can't be moved elsewhere. The key is the
one an administrator gives, or a file of the data folder, made at first use. This module doesn't know what the
secrets open.
"""

import base64
import binascii
import hashlib
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tunery.core.errors import Problem

KEY_BYTES = 32
_NONCE_BYTES = 12
_VERSION = "v1"


class SealBroken(Exception):
    """This key doesn't open it."""


class Vault:
    """Seals and opens texts with one key."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._name = hashlib.sha256(b"tunery vault" + key).hexdigest()[:12]

    def seal(self, text: str, belongs_to: str) -> str:
        """A text that only this key opens, and only for the same `belongs_to`."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, text.encode(), belongs_to.encode())
        return f"{_VERSION}.{self._name}.{base64.b64encode(sealed).decode()}"

    def open(self, sealed: str, belongs_to: str) -> str:
        """What was sealed. Raises SealBroken when that was with another key, or it was changed."""
        version, _, rest = sealed.partition(".")
        key, _, text = rest.partition(".")
        if version != _VERSION or key != self._name:
            raise SealBroken("encrypted with a different key")
        try:
            content = base64.b64decode(text, validate=True)
            opened = self._cipher.decrypt(content[:_NONCE_BYTES], content[_NONCE_BYTES:], belongs_to.encode())
        except (binascii.Error, ValueError, InvalidTag) as error:
            raise SealBroken("changed since it was encrypted") from error
        return opened.decode()


def decode_key(text: str) -> bytes:
    """A key as an administrator writes it: 32 bytes in base64. Raises ValueError."""
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ValueError("it must be 32 random bytes in base64") from error
    if len(key) != KEY_BYTES:
        raise ValueError("it must be 32 random bytes in base64")
    return key


def load_key(path: Path) -> bytes:
    """The key in a file, made at the first call; only its owner can read the file.

    Raises Problem `data_folder_unusable` when the file holds no key.
    """
    key = secrets.token_bytes(KEY_BYTES)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(base64.b64encode(key) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(aside, path)  # whole or absent, and the first of two processes wins
        return key
    except FileExistsError:
        pass
    finally:
        aside.unlink(missing_ok=True)
    try:
        return decode_key(path.read_text(encoding="ascii").strip())
    except ValueError as error:
        detail = f"{path.name} contains no key; restore the original"
        raise Problem("data_folder_unusable", path=str(path.parent), detail=detail) from error
