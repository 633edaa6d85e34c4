"""Outbound cases 41-43: no request to an address that a user gave leaves the rules, tells tales, or hangs."""

import logging
import socket
import time
from collections.abc import Sequence
from contextlib import nullcontext
from ipaddress import ip_address

import pytest

from bench.hostile.outbound import CANARY, FORBIDDEN, INVALID, PRIVATE, Attempt, attempts, store
from bench.hostile.program import try_attempt
from bench.standin import Reply, listener, standin
from tests.patience import PATIENCE
from tunery.connections.kinds import model_hub
from tunery.core.egress import Egress, lookup
from tunery.core.errors import Problem
from tunery.core.reach import Address, Allowance, parse_target

PUBLIC = ip_address("93.184.216.34")


def refused(endpoint: str, **limits: float) -> Problem:
    """What a test of a store there fails with; this machine is allowed."""
    with (
        Egress([Allowance.parse("127.0.0.1")], **limits) as egress,
        pytest.raises(Problem) as caught,
    ):
        store(endpoint, egress).check()
    return caught.value


def told(**given: Sequence[Address]):
    """A resolver of made-up names; numbers are resolved as ever."""

    def resolve(host: str, port: int) -> Sequence[Address]:
        return given[host] if host in given else lookup(host, port)

    return resolve


@pytest.mark.parametrize(
    ("address", "code"),
    [(one, "address_private") for one in PRIVATE] + [(one, "address_forbidden") for one in FORBIDDEN],
)
def test_41_no_spelling_of_an_inner_address_gets_through(
    address: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(*_: object, **__: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket, "create_connection", connect)
    with Egress([]) as egress, pytest.raises(Problem) as caught:
        store(address, egress).check()
    assert caught.value.code == code
    if code == "address_forbidden":
        everything = [Allowance.parse("0.0.0.0/0"), Allowance.parse("::/0")]
        with Egress(everything) as egress, pytest.raises(Problem) as caught:
            store(address, egress).check()
        assert caught.value.code == code, "nobody can allow it"


@pytest.mark.parametrize("address", INVALID)
def test_41_what_is_no_plain_address_is_refused_unrepeated(address: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_target(address)
    assert caught.value.code == "address_invalid"
    assert not address or address not in str(caught.value)


def test_41_public_addresses_pass() -> None:
    for address in ("https://s3.example.com", "http://93.184.216.34:9000", "https://[2606:4700::1111]"):
        names = {"s3.example.com": [PUBLIC]}
        with Egress([], resolve=told(**names)) as egress:
            egress.judge(parse_target(address))


def test_41_a_name_that_leads_inside_is_refused_even_if_it_leads_outside_too() -> None:
    names = {"evil.example": [PUBLIC, ip_address("127.0.0.1")]}
    with Egress([], resolve=told(**names)) as egress, pytest.raises(Problem) as caught:
        store("http://evil.example", egress).check()
    assert caught.value.code == "address_private"
    assert "127.0.0.1" not in str(caught.value), "names of this network are its own"


def test_41_dns_rebinding_finds_no_second_lookup() -> None:
    """The address that was judged is the one that is connected to: one lookup for each connection, no more."""
    asked: list[str] = []
    with standin(lambda _: Reply(200, b"{}")) as service, listener() as (inner, came):

        def resolve(host: str, port: int) -> Sequence[Address]:
            asked.append(host)
            return [ip_address("127.0.0.1")] if len(asked) == 1 else [ip_address("127.0.0.2")]

        allowed = [Allowance.parse(f"127.0.0.1:{service.port}")]
        with Egress(allowed, resolve=resolve) as egress:
            target = parse_target(f"http://rebind.example:{service.port}")
            assert egress.ask("GET", target, "/", {}).status == 200
            assert asked == ["rebind.example"]
            assert service.asked[0].headers["host"] == f"rebind.example:{service.port}"
            with pytest.raises(Problem) as caught:
                egress.ask("GET", parse_target(f"http://rebind.example:{inner}"), "/", {})
            assert caught.value.code == "address_private"
        assert came == []


def test_41_an_allowance_is_for_its_host_and_port_only() -> None:
    with standin(lambda _: Reply()) as wanted, standin(lambda _: Reply()) as other:
        for text, works in (
            (f"127.0.0.1:{wanted.port}", True),
            ("127.0.0.0/8", True),
            (f"localhost:{wanted.port}", False),
            (f"127.0.0.1:{other.port}", False),
            ("10.0.0.0/8", False),
        ):
            outcome = (
                nullcontext() if works else pytest.raises(Problem, match="doesn't connect to such addresses")
            )
            with Egress([Allowance.parse(text)]) as egress, outcome:
                egress.ask("GET", parse_target(wanted.url), "/", {})
        assert len(wanted.asked) == 2
        assert other.asked == []


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("http://169.254.169.254/latest/meta-data", "address_forbidden"),
        ("http://127.0.0.1:{inner}/", "address_private"),
        ("http://[::1]:{inner}/", "address_private"),
        ("//127.0.0.1:{inner}/", "address_private"),
        ("file:///etc/passwd", "address_invalid"),
        ("http://user:pass@127.0.0.1:{inner}/", "address_invalid"),
    ],
)
def test_41_a_redirect_leads_nowhere_it_may_not(place: str, code: str) -> None:
    with (
        listener() as (inner, came),
        standin(lambda _: Reply(302, b"", {"Location": place.format(inner=inner)})) as service,
    ):
        assert refused(service.url).code == "remote_redirect"
        with Egress([Allowance.parse(f"127.0.0.1:{service.port}")]) as egress:
            hub = model_hub.connect(model_hub.Settings(endpoint=service.url), egress)
            file = model_hub.RemoteFile("o/n@main/a.jsonl", 3, "sha1:00")
            with pytest.raises(Problem) as caught:
                b"".join(hub.read(file))
        assert caught.value.code == code
        assert came == []


def test_41_redirects_end() -> None:
    with standin(lambda asked: Reply(302, b"", {"Location": asked.path})) as service:
        with Egress([Allowance.parse("127.0.0.1")]) as egress:
            hub = model_hub.connect(model_hub.Settings(endpoint=service.url), egress)
            with pytest.raises(Problem) as caught:
                b"".join(hub.read(model_hub.RemoteFile("o/n@main/a.jsonl", 3, "sha1:00")))
        assert caught.value.code == "remote_redirect"
        assert len(service.asked) == 4


def test_41_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with listener() as (proxy, came), standin(lambda _: Reply(200, b"[]")) as service:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
        with Egress([Allowance.parse("127.0.0.1")]) as egress:
            assert egress.ask("GET", parse_target(service.url), "/", {}).content == b"[]"
        assert came == []


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply(403, b"<Code>AccessDenied</Code><Message>%s</Message>" % CANARY.encode()), "remote_forbidden"),
        (Reply(403, f"<Error><Code>{CANARY}</Code></Error>".encode()), "remote_forbidden"),
        (Reply(500, f"<html>{CANARY}</html>".encode()), "remote_answer"),
        (Reply(200, f"<html>{CANARY}</html>".encode()), "remote_answer"),
        (Reply(200, CANARY.encode()), "remote_answer"),
        (Reply(200, f'<!DOCTYPE x [<!ENTITY a "{CANARY}">]><ListBucketResult/>'.encode()), "remote_answer"),
        (Reply(301, b"", {"x-amz-bucket-region": f"{CANARY}!"}), "remote_region"),
        (Reply(404, b"", {"X-Reason": CANARY}), "remote_answer"),
    ],
)  # fmt: skip
def test_42_what_the_other_side_says_is_not_repeated(
    reply: Reply, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "tunery")
    with standin(lambda _: reply) as service:
        problem = refused(service.url)
    assert problem.code == code
    assert CANARY not in repr(problem.as_dict())
    assert CANARY not in caplog.text


def test_42_a_wrong_clock_is_named_with_its_difference() -> None:
    error = b"<Error><Code>RequestTimeTooSkewed</Code><Message>x</Message></Error>"
    with standin(lambda _: Reply(403, error)) as service:
        problem = refused(service.url)
    assert problem.code == "remote_clock"
    assert problem.params["seconds"] < 600, "no zone is taken for another"


def test_42_another_region_is_named() -> None:
    reply = Reply(301, b"<Error><Code>PermanentRedirect</Code></Error>", {"x-amz-bucket-region": "eu-west-3"})
    with standin(lambda _: reply) as service:
        problem = refused(service.url)
    assert (problem.code, problem.params["region"]) == ("remote_region", "eu-west-3")


@pytest.mark.parametrize(
    ("drip", "again"),
    [
        (b"", b""),
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", b"x"),
    ],
    ids=["silent", "drips a status", "drips headers", "drips a body"],
)
def test_43_an_endpoint_that_hangs_is_given_up(drip: bytes, again: bytes) -> None:
    with listener(drip, again) as (port, came):
        started = time.monotonic()
        problem = refused(f"http://127.0.0.1:{port}", read_seconds=0.5, answer_seconds=0.8)
        assert problem.code in ("remote_timeout", "remote_broken")
        assert time.monotonic() - started < 15, "without its limits it would be 20"
        assert came


def test_43_a_flood_is_cut() -> None:
    with listener(b"HTTP/1.1 200 OK\r\n\r\n", b"<" * (1 << 20)) as (port, _):
        with (
            Egress([Allowance.parse("127.0.0.1")], answer_seconds=PATIENCE) as egress,
            pytest.raises(Problem) as caught,
        ):
            egress.ask("GET", parse_target(f"http://127.0.0.1:{port}"), "/", {}, limit=1 << 20)
        assert caught.value.code == "remote_broken", "by its size, not by the time it took"


def test_the_run_over_hostile_files_tries_these_too() -> None:
    assert len({attempt.title for attempt in attempts()}) == len(list(attempts())) > 75
    assert {attempt.number for attempt in attempts()} == {41, 42, 43}
    for attempt in attempts():
        if attempt.number != 41:
            assert try_attempt(attempt).wrong == []
    through = Attempt(41, "through", "address_private", lambda: None)
    assert try_attempt(through).wrong == ["it got through"]
