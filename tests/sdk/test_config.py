"""Which server and which token a client uses."""

import stat
from pathlib import Path

import pytest

from tunery.core.errors import Problem
from tunery.sdk.config import DEFAULT_URL, ClientConfig, config_path, find_config, save_config

HERE = ClientConfig("http://127.0.0.1:8421", "tnr_here", "/srv/here")


def test_nothing_known() -> None:
    assert find_config() == ClientConfig(DEFAULT_URL, None)


def test_file_is_for_its_owner_only() -> None:
    assert stat.S_IMODE(save_config(HERE).stat().st_mode) == 0o600
    assert find_config() == ClientConfig(HERE.url, "tnr_here")


def test_environment_and_arguments_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    save_config(HERE)
    monkeypatch.setenv("TUNERY_TOKEN", "tnr_env")
    assert find_config() == ClientConfig(HERE.url, "tnr_env")
    assert find_config(token="tnr_said") == ClientConfig(HERE.url, "tnr_said")
    monkeypatch.setenv("TUNERY_URL", "http://other:1/")
    assert find_config() == ClientConfig("http://other:1", "tnr_env")


def test_a_token_goes_to_no_other_server(monkeypatch: pytest.MonkeyPatch) -> None:
    save_config(HERE)
    monkeypatch.setenv("TUNERY_URL", "http://evil.example")
    assert find_config().token is None
    assert find_config("http://127.0.0.1:9").token is None
    assert find_config(HERE.url + "/").token == "tnr_here"


def test_a_second_server_does_not_make_the_first_forgotten() -> None:
    save_config(HERE)
    save_config(ClientConfig("http://127.0.0.1:9000", "tnr_there", "/srv/there"))
    assert find_config().url == "http://127.0.0.1:9000"
    assert find_config(HERE.url).token == "tnr_here"
    moved = ClientConfig("http://127.0.0.1:9001", "tnr_here", "/srv/here")
    save_config(moved)
    assert find_config() == ClientConfig(moved.url, "tnr_here")
    assert find_config(HERE.url).token is None


@pytest.mark.parametrize("content", ["{", "[]", '{"url": 5}', '{"url": "x", "others": [3]}'])
def test_broken_file_is_named(content: str) -> None:
    config_path().parent.mkdir(parents=True, exist_ok=True)
    config_path().write_text(content)
    with pytest.raises(Problem, match=r"client\.json can't be read"):
        find_config()


def test_path_without_own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TUNERY_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert config_path() == tmp_path / "tunery" / "client.json"
