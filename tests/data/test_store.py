"""Versions in the blob store: same rows, same bytes; any row quickly; nothing half-made."""

import errno
import hashlib
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunery.blobs.local import LocalBlobs
from tunery.blobs.point import BLOBS
from tunery.core.errors import Problem
from tunery.data import content as contents
from tunery.data import store
from tunery.data.arrow import read_arrow, to_arrow, write_arrow
from tunery.data.rows import Conversation, Message, Row, Text, characters, decode_row, encode_row
from tunery.data.store import VersionReader, VersionWriter


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobs:
    opened = BLOBS.load("local").open_store(str(tmp_path / "blobs"))
    assert isinstance(opened, LocalBlobs)
    return opened


def some_rows(count: int, seed: int = 0) -> list[Row]:
    draw = random.Random(seed)
    return [Text(f"row {number} " + "é日x" * draw.randrange(40)) for number in range(count)]


def keep(blobs: LocalBlobs, rows: Sequence[Row], scratch: Path | None = None) -> str:
    with VersionWriter(blobs, scratch=scratch) as writer:
        writer.append(list(map(encode_row, rows)), sum(map(characters, rows)))
        return writer.finish("hash", "corpus", "text")


def stored(blobs: LocalBlobs) -> set[str]:
    return {path.name for path in blobs.folder.rglob("*") if path.is_file() and path.name != "lock"}


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "FRAME_BYTES", 500)
    monkeypatch.setattr(contents, "PIECE_BYTES", 4000)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("count", [0, 1, 7, 300])
def test_rows_come_back_in_order_and_by_number(blobs: LocalBlobs, count: int) -> None:
    rows = some_rows(count)
    version = VersionReader(blobs, keep(blobs, rows))
    assert list(version) == rows
    assert len(version) == count
    assert version.manifest.characters == sum(map(characters, rows))
    assert sum(shard.rows for shard in version.manifest.shards) == count
    assert (len(version.manifest.shards) > 3) == (count == 300)
    for offset in range(0, count + 2, 3):
        for limit in (0, 1, 5, 1000):
            assert version.rows(offset, limit) == rows[offset : offset + limit]
    numbers = [number for number in (0, 1, 6, 250, 3, 299, 0) if number < count]
    assert list(version.pick(numbers)) == [encode_row(rows[number]) for number in numbers]
    with pytest.raises(IndexError):
        list(version.pick([count]))


@pytest.mark.usefixtures("small_pieces")
def test_equal_versions_share_their_bytes(blobs: LocalBlobs, tmp_path: Path) -> None:
    rows = some_rows(200)
    first = keep(blobs, rows)
    before = stored(blobs)
    assert keep(blobs, rows, scratch=tmp_path) == first
    assert stored(blobs) == before
    longer = keep(blobs, [*rows, Text("one more")])
    shared = {shard.digest for shard in VersionReader(blobs, longer).manifest.shards} & before
    assert len(shared) >= len(VersionReader(blobs, first).manifest.shards) - 1


def test_a_row_is_found_without_reading_the_rest(blobs: LocalBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(1)
    rows = [Text("".join(draw.choices("abcdef ", k=2000))) for _ in range(2000)]
    version = VersionReader(blobs, keep(blobs, rows))
    assert version.rows(0, 1) == rows[:1]
    before = _bytes_read()
    assert version.rows(1500, 10) == rows[1500:1510]
    assert list(map(decode_row, version.pick([1999]))) == [rows[1999]]
    assert _bytes_read() - before <= 4 * (store.FRAME_BYTES + 2100)


def _bytes_read() -> int:
    """By this process, from files of any kind."""
    return int(Path("/proc/self/io").read_text().partition("rchar:")[2].split()[0])


@pytest.mark.usefixtures("small_pieces")
def test_rows_are_stored_alike_however_they_come(blobs: LocalBlobs) -> None:
    """By a check, which hashes them on the way, or in any other portions."""
    rows = [encode_row(row) for row in some_rows(300)]
    size = sum(map(len, rows))
    hashed = contents.Content()
    digests: list[str] = []
    for step in (1, 7, 300):
        with VersionWriter(blobs) as writer:
            for at in range(0, 300, step):
                writer.append(rows[at : at + step], 0)
            digests.append(writer.finish("hash", "corpus", "text"))
    with VersionWriter(blobs) as writer:
        for at in range(0, 300, 13):
            for part in hashed.add(contents.Lines.of(rows[at : at + 13])):
                writer.append(part, 0)
        for part in hashed.finish():
            writer.append(part, 0)
        digests.append(writer.finish("hash", "corpus", "text"))
    assert len(set(digests)) == 1
    assert hashed.hash == contents.content_hash(rows)
    assert len(VersionReader(blobs, digests[0]).manifest.shards) in range(size // 4100, size // 4000 + 2)
    for shard in VersionReader(blobs, digests[0]).manifest.shards:
        with blobs.open(shard.digest) as file:
            assert hashlib.sha256(file.read()).hexdigest() == shard.digest


@pytest.mark.usefixtures("small_pieces")
def test_lines_are_a_sequence() -> None:
    rows = [encode_row(row) for row in some_rows(40)]
    lines = contents.Lines.of(rows)
    assert list(lines) == rows
    assert [lines[number] for number in range(-40, 40)] == rows + rows
    assert lines[3:30:4] == rows[3:30:4]
    parts = list(contents.Content().add(lines))
    assert [row for part in parts for row in part] == rows
    assert len(parts) > 1
    assert [part[len(part) - 1] for part in parts] == [list(part)[-1] for part in parts]


def test_a_file_is_taken_whole(blobs: LocalBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for elsewhere in (False, True):
        path = tmp_path / "made"
        path.write_bytes(b"rows %d" % elsewhere)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if elsewhere:
            real = Path.stat

            def other_disk(path: Path, real: Callable[..., os.stat_result] = real, **more: bool) -> object:
                found = real(path, **more)
                return os.stat_result((*found[:2], found[2] + (path.name == "made"), *found[3:]))

            monkeypatch.setattr(Path, "stat", other_disk)
        blobs.take_file(path, digest)
        assert not path.exists()
        with blobs.open(digest) as file:
            assert file.read() == b"rows %d" % elsewhere
    again = tmp_path / "again"
    again.write_bytes(b"rows 0")
    blobs.take_file(again, hashlib.sha256(b"rows 0").hexdigest())
    assert not again.exists()


@pytest.mark.usefixtures("small_pieces")
def test_a_disk_that_fills_up_leaves_nothing_half_made(
    blobs: LocalBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(blobs, some_rows(100))
    before = stored(blobs)
    for digest in before:
        blobs.collect(digest, 0)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    real = os.fsync
    for lucky in range(100):
        left = lucky

        def full(handle: int) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            real(handle)

        monkeypatch.setattr(os, "fsync", full)
        outcome = attempt(blobs, scratch)
        monkeypatch.setattr(os, "fsync", real)
        if outcome == "kept":
            break
        assert outcome == "disk_full"
        # What fails last is the sync of the folder that the manifest stands in by then, whole and nobody's.
        assert stored(blobs) <= before
        assert all(
            hashlib.sha256(blobs.local_path(one).read_bytes()).hexdigest() == one for one in stored(blobs)
        )
        assert list(scratch.iterdir()) == []
    assert 5 < lucky < 99
    assert stored(blobs) == before


def test_a_failed_import_takes_nothing_from_another(
    blobs: LocalBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = some_rows(100)

    def overtaken(content: bytes) -> str:
        """The other one finds the first one's shard, and finishes; then the first one fails."""
        monkeypatch.undo()
        versions.append(keep(blobs, rows))
        raise Problem("disk_full", path="blobs")

    versions: list[str] = []
    monkeypatch.setattr(blobs, "put_bytes", overtaken)
    with pytest.raises(Problem):
        keep(blobs, rows)
    assert list(VersionReader(blobs, versions[0])) == rows


def attempt(blobs: LocalBlobs, scratch: Path) -> str:
    try:
        keep(blobs, some_rows(100), scratch)
    except Problem as problem:
        return problem.code
    return "kept"


def test_leaving_early_keeps_nothing(blobs: LocalBlobs, tmp_path: Path) -> None:
    with VersionWriter(blobs, scratch=tmp_path) as writer:
        writer.append(list(map(encode_row, some_rows(5000))), 0)
        assert [path.name for path in tmp_path.iterdir()] != ["blobs"]
    assert stored(blobs) == set()
    assert [path.name for path in tmp_path.iterdir()] == ["blobs"]


def test_blobs(blobs: LocalBlobs, tmp_path: Path) -> None:
    content = b"x" * 3_000_000
    source = tmp_path / "source"
    source.write_bytes(content)
    digest = blobs.put_file(source)
    assert digest == hashlib.sha256(content).hexdigest() == blobs.put_bytes(content)
    assert blobs.local_path(digest) == blobs.folder / "sha256" / digest[:2] / digest
    source.write_bytes(b"changed")
    with blobs.open(digest) as file:
        assert file.read() == content
    assert stored(blobs) == {digest}
    assert blobs.collect(digest, 3600) is None
    assert blobs.collect(digest, 0) == len(content)
    assert blobs.collect(digest, 0) is None
    assert not blobs.exists(digest)
    for missing in (digest, "../../etc/passwd", "A" * 64, "", "g" * 64):
        with pytest.raises(FileNotFoundError):
            blobs.open(missing)
        with pytest.raises(FileNotFoundError):
            blobs.local_path(missing)


@settings(max_examples=30, deadline=None)
@given(count=st.integers(0, 60), data=st.data())
def test_arrow_files_give_any_row(
    tmp_path_factory: pytest.TempPathFactory, count: int, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("arrow") / "rows.arrow"
    rows = some_rows(count)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tunery.data.arrow.BATCH_ROWS", 7)
        assert write_arrow(path, map(encode_row, rows)) == count
    read = read_arrow(path)
    assert list(read) == rows
    assert [read.characters(number) for number in range(len(read))] == [characters(row) for row in rows]
    number = data.draw(st.integers(-70, 70))
    if -count <= number < count:
        assert read[number] == rows[number]
    else:
        with pytest.raises(IndexError):
            read[number]
    assert read[2:number] == rows[2:number]


def test_arrow_of_some_rows(blobs: LocalBlobs, tmp_path: Path) -> None:
    rows = [Conversation((Message.of("user", str(n)), Message.of("assistant", "é")), "[]") for n in range(50)]
    version = VersionReader(blobs, keep(blobs, rows))
    path = tmp_path / "deep" / "rows.arrow"
    assert to_arrow(version, path, [3, 4, 40]) == 3
    assert list(read_arrow(path)) == [rows[3], rows[4], rows[40]]
    assert to_arrow(version, path) == 50
    assert [entry.name for entry in path.parent.iterdir()] == ["rows.arrow"]


def test_arrow_files_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Problem) as problem:
        read_arrow(tmp_path / "none")
    assert problem.value.code == "file_missing"
    for name, content in (("empty", b""), ("junk", b"x" * 5000)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Problem) as problem:
            read_arrow(tmp_path / name)
        assert problem.value.code == "file_unreadable"

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Problem) as problem:
        write_arrow(tmp_path / "new.arrow", map(encode_row, some_rows(3)))
    assert problem.value.code == "disk_full"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "junk"]


def test_a_real_file_makes_the_round(
    blobs: LocalBlobs, real_rows: Callable[[str], Path], tmp_path: Path
) -> None:
    from tunery.data.check import check_file

    taken: list[Row] = []
    with VersionWriter(blobs) as writer:

        def both(lines: list[bytes], size: int) -> None:
            taken.extend(map(decode_row, lines))
            writer.append(lines, size)

        report = check_file(real_rows("alpaca_en_demo.json"), on_rows=both)
        assert report.content_hash is not None
        version = VersionReader(blobs, writer.finish(report.content_hash, "alpaca", "conversation"))
    assert version.manifest.content_hash == report.content_hash
    assert list(version) == taken
    to_arrow(version, tmp_path / "a.arrow")
    assert list(read_arrow(tmp_path / "a.arrow")) == taken
