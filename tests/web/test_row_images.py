"""Images in rows: shown by the console under its strict policy, given by REST and SDK, to nobody else."""

import io
import zipfile
from pathlib import Path

import httpx
import orjson
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.patience import PATIENCE
from tests.served import Served
from tests.web.conftest import Open
from tunery.core.errors import Problem
from tunery.sdk.client import Client


def picture(kind: str) -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((64, 48)).convert("RGB").save(out, kind)
    return out.getvalue()


def packed(folder: Path) -> Path:
    """Rows with images of two kinds; the first is a script to whoever guesses at kinds."""
    script = b"\n<script>document.title = 'broken into'</script>"
    said = [{"from": "human", "value": "<image>What is it?"}, {"from": "gpt", "value": "A <b>slope</b>."}]
    rows = [{"conversations": said, "image_path": f"images/{name}"} for name in ("a.png", "b.jpg")]
    path = folder / "pictures.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train.json", orjson.dumps(rows))
        archive.writestr("images/a.png", picture("PNG") + script)
        archive.writestr("images/b.jpg", picture("JPEG"))
    return path


def test_images_of_rows(window: Open, client: Client, served: Served, tmp_path: Path) -> None:
    client.datasets.create(packed(tmp_path), name="pictures")
    version = client.datasets.wait("pictures")
    assert (version.format, version.rows, version.report and version.report.images) == (
        "sharegpt_image",
        2,
        2,
    )
    opened = window()
    page = opened.open("/datasets/pictures")
    images = page.locator("#rows img")
    expect(images).to_have_count(2)
    for number in range(2):
        images.nth(number).scroll_into_view_if_needed()
        assert (
            images.nth(number).evaluate(
                "async (image) => { await image.decode(); return image.naturalWidth }"
            )
            == 64
        )
    expect(page.locator("#rows")).to_contain_text("A <b>slope</b>.")
    address = images.first.get_attribute("src")
    assert address
    answer = page.request.get(opened.url + address)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"

    part = client.datasets.rows("pictures", 1).rows[0]["messages"][0]["content"][0]
    assert client.datasets.image("pictures", 1, part["digest"]) == answer.body()
    assert httpx.get(opened.url + address).status_code == 401
    for digest in ("0" * 64, version.content_hash or ""):
        with pytest.raises(Problem) as problem:
            client.datasets.image("pictures", 1, digest)
        assert problem.value.code == "not_found"


def test_a_draw_from_many_captions_is_told(window: Open, client: Client, tmp_path: Path) -> None:
    rows = b"".join(orjson.dumps({"image": "a.png", "caption": f"Number {n}"}) + b"\n" for n in range(2100))
    with zipfile.ZipFile(tmp_path / "captions.zip", "w") as archive:
        archive.writestr("rows.jsonl", rows)
        archive.writestr("a.png", picture("PNG"))
    client.datasets.create(tmp_path / "captions.zip", name="captions")
    version = client.datasets.wait("captions", timeout=PATIENCE)
    assert version.rows == 2000
    accepted = window().open("/datasets/captions").locator(".stat", has_text="of them kept")
    expect(accepted).to_contain_text("2,100")
    expect(accepted).to_contain_text("2,000 of them kept, drawn with seed 0")
