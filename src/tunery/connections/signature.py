"""AWS Signature Version 4 for requests without a body. It sends nothing."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import quote

_EMPTY = hashlib.sha256(b"").hexdigest()
_PLAIN = "-_.~"


def encode_path(key: str) -> str:
    """A key as the path of a request: every byte but the unreserved ones and slashes is escaped, once."""
    return quote(key, safe=f"/{_PLAIN}")


def encode_query(pairs: Sequence[tuple[str, str]]) -> str:
    """A query in the order and spelling that is signed."""
    return "&".join(
        sorted(f"{quote(name, safe=_PLAIN)}={quote(value, safe=_PLAIN)}" for name, value in pairs)
    )


def signed_headers(
    method: str,
    authority: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    *,
    access_key: str,
    secret_key: str,
    region: str,
    now: datetime,
) -> dict[str, str]:
    """`headers` with those that sign the request; `path` and `query` as they are sent."""
    moment = now.strftime("%Y%m%dT%H%M%SZ")
    sent = {name.lower(): value for name, value in headers.items()}
    sent |= {"host": authority, "x-amz-content-sha256": _EMPTY, "x-amz-date": moment}
    names = ";".join(sorted(sent))
    lines = "".join(f"{name}:{sent[name].strip()}\n" for name in sorted(sent))
    request = "\n".join([method, path, query, lines, names, _EMPTY])
    scope = f"{moment[:8]}/{region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{secret_key}".encode()
    for part in (moment[:8], region, "s3", "aws4_request"):
        key = _hmac(key, part)
    credential = f"AWS4-HMAC-SHA256 Credential={access_key}/{scope}"
    signature = _hmac(key, text).hex()
    del sent["host"]
    return sent | {"authorization": f"{credential},SignedHeaders={names},Signature={signature}"}


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
