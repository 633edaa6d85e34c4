"""`tunery data check`: the exit codes that scripts rely on, with a list that is cut off."""

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

_MAIN = "from tunery.cli.main import main; main()"


@pytest.mark.parametrize(("options", "code"), [([], 2), (["--salvage"], 1)])
def test_a_list_that_is_cut_off(options: list[str], code: int, tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_bytes(orjson.dumps([{"text": f"row {number}"} for number in range(9)])[:-20])
    command = [sys.executable, "-c", _MAIN, "data", "check", str(path), "--json", *options]
    run = subprocess.run(command, capture_output=True, check=False)
    assert run.returncode == code, run.stderr
    if code == 1:
        report = orjson.loads(run.stdout)
        assert (report["rows_read"], report["rows_accepted"], report["rows_rejected"]) == (8, 7, 1)
        assert report["problems"][0]["rule"] == "cut_off"
    else:
        assert b"json_broken" in run.stdout + run.stderr
