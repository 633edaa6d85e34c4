"""Rows with images at the command line: checked, imported, looked at; refused before a training starts."""

import json
from pathlib import Path

from tests.data.pictures import archive, picture
from tests.served import Served, tunery


def packed(path: Path, rows: int = 120) -> Path:
    said = [{"from": "human", "value": "<image>What?"}, {"from": "gpt", "value": "A slope."}]
    records = [{"conversations": said, "image_path": f"i/{n % 3}.jpg"} for n in range(rows)]
    path.write_bytes(archive(records, {f"i/{n}.jpg": picture("JPEG", (30 + n, 20)) for n in range(3)}))
    return path


def test_a_local_training_on_images_is_refused_before_it_starts(desk: Path) -> None:
    packed(desk / "pictures.zip")
    (desk / "run.yaml").write_text("base_model: bare\ndata: pictures.zip\nsettings: {max_steps: 2}\n")
    done = tunery(desk, "train", "run.yaml", "--out", "out")
    assert done.returncode == 1
    assert "contains images; sft trains on text only" in done.stderr
    assert not (desk / "out" / "0001").exists()


def test_images_on_a_server(served: Served, tmp_path: Path) -> None:
    packed(tmp_path / "pictures.zip")

    def run(*arguments: str | Path, expected: int = 0) -> str:
        done = served.tunery(*arguments)
        assert done.returncode == expected, done.stderr
        return done.stderr if expected else done.stdout

    run("data", "import", tmp_path / "pictures.zip", "--name", "pictures")
    shown = run("data", "show", "pictures", "--rows", "2")
    digest = shown.partition("[image/jpeg 30 × 20 ")[2].partition("]")[0]
    run("data", "image", "pictures", digest, "--out", tmp_path / "one.jpg")
    assert (tmp_path / "one.jpg").read_bytes() == picture("JPEG", (30, 20))
    assert "There is no image" in run(
        "data", "image", "pictures", "0" * 64, "--out", tmp_path / "x", expected=1
    )
    spec = tmp_path / "there.yaml"
    spec.write_text(json.dumps({"base_model": str(served.folder / "bare"), "data": "pictures"}))
    assert "contains images" in run("train", spec, "--server", expected=1)
