"""Requests that must not leave, services that tell tales or hang, and what must become of each (cases 41 to 43)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from bench.standin import Reply, listener, standin
from tunery.connections.kinds import model_hub, s3
from tunery.core.egress import Egress
from tunery.core.reach import Allowance, parse_target

CANARY = "upstream-canary-5f1e"
"""What the other side says and nobody repeats."""

PRIVATE = """
http://127.0.0.1 http://127.1 http://0x7f.1 http://0x7f000001 http://2130706433 http://017700000001 http://0177.0.0.1
http://localhost http://LOCALHOST http://[::1] http://[0:0:0:0:0:0:0:1] http://[::ffff:127.0.0.1]
http://[::ffff:7f00:1] http://[::127.0.0.1] http://[64:ff9b::7f00:1] http://[2002:7f00:1::] http://10.0.0.1
http://172.16.0.1 http://192.168.1.1 http://100.64.0.1 http://[fd00::1] http://[fe80::1] http://169.254.1.1
http://198.18.0.1 http://[::ffff:10.0.0.1] http://１２７.0.0.1 http://127。0。0。1 http://ⓛocalhost
https://127.0.0.1:8420 http://[2001:db8::1] http://[fec0::1] http://[::ffff:192.168.0.1]
""".split()
FORBIDDEN = """
http://169.254.169.254 http://0xa9fea9fe http://2852039166 http://[::ffff:169.254.169.254] http://[fd00:ec2::254]
http://100.100.100.200 http://168.63.129.16 http://0.0.0.0 http://0 http://255.255.255.255 http://224.0.0.1
http://[ff02::1] http://[::] http://[64:ff9b::a9fe:a9fe] http://169.254.170.2
""".split()
INVALID = [
    "file:///etc/passwd", "gopher://127.0.0.1:6379/_x", "ftp://example.com", "dict://127.0.0.1:11211", "//127.0.0.1",
    "http://", "http:///x", "http://user@127.0.0.1", "https://example.com@127.0.0.1", "http://127.0.0.1\\@example.com",
    "http://example.com#@127.0.0.1", "http://example.com?@127.0.0.1", "http://exa mple.com", "http://a\r\nX-Y: z",
    "http://[fe80::1%25lo]", "http://[::1", "http://example.com:99999", "http://example.com:0", "http://exa%6dple.com",
    "http://a\u0000b", "", "example.com", "http://-", "http://" + "a" * 300,
]  # fmt: skip


@dataclass(frozen=True)
class Attempt:
    """One request, and the problem it must end with."""

    number: int
    title: str
    code: str
    go: Callable[[], object]


def store(endpoint: str, egress: Egress, **changes: str) -> s3.Bucket:
    settings = {"endpoint": endpoint, "bucket": "rows", "access_key": "AKID", "secret_key": "secret"}
    return s3.connect(s3.Settings.model_validate(settings | changes), egress)


def attempts() -> Iterator[Attempt]:
    """All of them, each made when its turn comes."""
    for address in PRIVATE:
        yield Attempt(41, f"inner address {address}", "address_private", partial(_ask, address))
    for address in FORBIDDEN:
        yield Attempt(41, f"address {address}", "address_forbidden", partial(_ask, address))
    for address in INVALID:
        yield Attempt(41, f"no address {address[:60]!r}", "address_invalid", partial(parse_target, address))
    for place, code in (
        ("http://169.254.169.254/latest/meta-data", "address_forbidden"),
        ("http://10.0.0.1/", "address_private"),
        ("file:///etc/passwd", "address_invalid"),
    ):
        yield Attempt(41, f"redirect to {place}", code, partial(_redirected, place))
    tale = f"<Error><Code>AccessDenied</Code><Message>{CANARY}</Message></Error>".encode()
    yield Attempt(42, "an error that tells", "remote_forbidden", partial(_answered, Reply(403, tale)))
    yield Attempt(42, "a page that tells", "remote_answer", partial(_answered, Reply(500, CANARY.encode())))
    bomb = f'<!DOCTYPE a [<!ENTITY b "{CANARY}">]><ListBucketResult>&b;</ListBucketResult>'.encode()
    yield Attempt(42, "a list with entities", "remote_answer", partial(_answered, Reply(200, bomb)))
    yield Attempt(43, "an endpoint that is silent", "remote_timeout", partial(_hung, b"", b""))
    yield Attempt(
        43, "an answer that drips", "remote_timeout", partial(_hung, b"HTTP/1.1 200 OK\r\n", b"A: b\r\n")
    )


def _ask(address: str) -> None:
    with Egress([]) as egress:
        store(address, egress).check()


def _redirected(place: str) -> None:
    allowed: list[Allowance] = []
    with standin(lambda _: Reply(302, b"", {"Location": place})) as service, Egress(allowed) as egress:
        allowed.append(Allowance.parse(f"127.0.0.1:{service.port}"))
        hub = model_hub.connect(model_hub.Settings(endpoint=service.url), egress)
        b"".join(hub.read(model_hub.RemoteFile("o/n@main/a.jsonl", 3, "sha1:00")))


def _answered(reply: Reply) -> None:
    with standin(lambda _: reply) as service, Egress([Allowance.parse("127.0.0.1")]) as egress:
        store(service.url, egress).check()


def _hung(drip: bytes, again: bytes) -> None:
    allowed = [Allowance.parse("127.0.0.1")]
    with listener(drip, again) as (port, _), Egress(allowed, read_seconds=0.5, answer_seconds=0.8) as egress:
        store(f"http://127.0.0.1:{port}", egress).check()
