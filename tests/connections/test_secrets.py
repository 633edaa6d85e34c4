"""Sealed secrets, and signatures against the examples that AWS publishes."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.patience import wait
from tunery.connections.signature import encode_path, encode_query, signed_headers
from tunery.core.attempt import AttemptFolder
from tunery.core.errors import Problem
from tunery.core.settings import ServerSettings
from tunery.core.vault import SealBroken, Vault, decode_key, load_key
from tunery.launch import local

KEY = bytes(range(32))


def test_a_sealed_text_opens_with_its_key_and_place_only() -> None:
    vault = Vault(KEY)
    sealed = vault.seal("s3cret ü", "conn_1")
    assert "s3cret" not in sealed
    assert vault.open(sealed, "conn_1") == "s3cret ü"
    assert vault.seal("s3cret ü", "conn_1") != sealed, "equal secrets look different"
    changed = sealed[:-6] + ("A" if sealed[-6] != "A" else "B") + sealed[-5:]
    for broken, place in ((sealed, "conn_2"), (changed, "conn_1"), ("", "conn_1"), ("v1.x.y", "conn_1")):
        with pytest.raises(SealBroken):
            vault.open(broken, place)
    with pytest.raises(SealBroken):
        Vault(bytes(32)).open(sealed, "conn_1")


def test_processes_that_start_together_make_one_key(tmp_path: Path) -> None:
    keys: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: keys.append(load_key(tmp_path / "vault.key"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(keys)) == 1
    assert len(keys) == 8
    assert [path.name for path in tmp_path.iterdir()] == ["vault.key"]
    assert (tmp_path / "vault.key").stat().st_mode & 0o777 == 0o600


def test_a_file_without_a_key_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "vault.key").write_text("half a k")
    with pytest.raises(Problem) as caught:
        load_key(tmp_path / "vault.key")
    assert caught.value.code == "data_folder_unusable"
    assert (tmp_path / "vault.key").read_text() == "half a k"


@pytest.mark.parametrize("text", ["short", "A" * 44, "ü" * 44, "A" * 42 + "=="])
def test_a_key_that_is_none_is_refused_unrepeated(text: str) -> None:
    with pytest.raises(Problem) as caught:
        ServerSettings(secret_key=text)
    assert caught.value.code == "server_setting_invalid"
    assert text not in str(caught.value)
    with pytest.raises(ValueError, match="32 random bytes"):
        decode_key(text)


def test_engines_do_not_get_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNERY_SECRET_KEY", "A" * 43 + "=")
    monkeypatch.setenv("TUNERY_TEST_MARK", "seen")
    folder = AttemptFolder(tmp_path)
    local.start(["env"], folder, {})
    wait("its end", lambda: not local.alive(folder))
    said = folder.log.read_text()
    assert "TUNERY_TEST_MARK=seen" in said
    assert "TUNERY_SECRET_KEY" not in said


def test_settings_do_not_show_the_key() -> None:
    settings = ServerSettings(secret_key="A" * 43 + "=")
    assert "A" * 43 not in repr(settings)


@pytest.mark.parametrize("text", ["", "a b", "http://host", "host:port", "u@host", "10.0.0.0/99"])
def test_a_private_host_that_is_none_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(Problem) as caught:
        ServerSettings(private_hosts=[text])
    assert caught.value.code == "server_setting_invalid"


@pytest.mark.parametrize(
    ("path", "pairs", "headers", "signature"),
    [
        ("/test.txt", [], {"Range": "bytes=0-9"}, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
        ("/", [("lifecycle", "")], {}, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        (
            "/",
            [("max-keys", "2"), ("prefix", "J")],
            {},
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)  # fmt: skip
def test_the_examples_of_aws(
    path: str, pairs: list[tuple[str, str]], headers: dict[str, str], signature: str
) -> None:
    signed = signed_headers(
        "GET",
        "examplebucket.s3.amazonaws.com",
        encode_path(path),
        encode_query(pairs),
        headers,
        access_key="AKIAIOSFODNN7EXAMPLE",
        secret_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        region="us-east-1",
        now=datetime(2013, 5, 24, tzinfo=UTC),
    )
    assert signed["authorization"].endswith(f"Signature={signature}")
