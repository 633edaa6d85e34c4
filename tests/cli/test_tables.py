"""Tables on a narrow terminal: what is short stays whole, room is taken from what is long."""

import re

import pytest

from tests.served import Served
from tunery.cli import output

COLUMNS = ("newest version", "format", "state", "rows", "size", "created")
ROWS = [
    ("support-messages-of-the-second-quarter@12", "prompt_completion", "published", 3000, "481.2 kB"),
    ("a@1", "alpaca", "draft", 30, "4.0 kB"),
]


def test_dates_sizes_and_states_are_not_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    output.table(COLUMNS, [(*row, output.when(1_795_300_000_000_000)) for row in ROWS])
    shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert max(map(len, shown)) <= 80
    assert len(re.findall(r"published +3000 +481\.2 kB +\d{4}-\d\d-\d\d \d\d:\d\d", "\n".join(shown))) == 1
    assert "prompt_completion" in "\n".join(shown)


def test_lists_name_things_as_they_are_named_elsewhere(served: Served) -> None:
    assert served.tunery("data", "import", "rows.jsonl", "--name", "orders").returncode == 0
    assert re.search(r"^orders@1 +alpaca +published", served.tunery("data", "list").stdout, re.MULTILINE)
    assert "orders@1" in served.tunery("data", "show", "orders@1").stdout
    assert served.tunery("data", "show", "orders@9").returncode == 1
    (served.folder / "short.yaml").write_text(
        f"name: orders\nbase_model: {served.folder}/bare\ndata: orders@1\nsettings: {{max_steps: 3}}\n"
    )
    assert served.tunery("runs", "create", "short.yaml", "--follow").returncode == 0
    assert re.search(r"^orders #1 +succeeded", served.tunery("runs", "list").stdout, re.MULTILINE)
    assert "orders:1" in served.tunery("models", "publish", "orders #1").stdout
    assert re.search(r"^orders:1 ", served.tunery("models", "list").stdout, re.MULTILINE)
    assert "trained on orders@1" in served.tunery("models", "show", "orders:1").stdout
    assert served.tunery("models", "show", "orders:2").returncode == 1
    again = served.tunery("models", "publish", "orders #1", "--name", "other")
    assert again.returncode == 1
    assert "already published as orders:1" in again.stderr
