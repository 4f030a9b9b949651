"""Files and folders are replaced whole or not at all."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from pyfer.files import replace_file, replace_folder, sha256


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_new_and_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for content in (b"one", b"", b"three"):
        replace_file(path, content)
        assert path.read_bytes() == content
    assert names(tmp_path) == ["a.csv"]


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    contents = [bytes([k]) * 300_000 for k in range(8)]
    replace_file(path, contents[0])
    seen: list[bytes] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            seen.append(path.read_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    for content in contents * 4:
        replace_file(path, content)
    stop.set()
    watcher.join()
    assert seen
    assert set(seen) <= set(contents)


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"old")

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.csv"]


def test_others_may_read_the_file_as_far_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        replace_file(tmp_path / "a.csv", b"one")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.csv").stat().st_mode) == 0o644


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link.csv").symlink_to(tmp_path / "real" / "a.csv")
    replace_file(tmp_path / "link.csv", b"one")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real" / "a.csv").read_bytes() == b"one"


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    replace_file(pipe, b"one")
    reader.join(10)
    assert received == [b"one"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_the_longest_name_that_a_file_can_have(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 251 + ".csv")
    replace_file(path, b"one")
    assert path.read_bytes() == b"one"


@pytest.mark.parametrize("name", ["", "missing/a.csv"])
def test_a_folder_or_a_missing_folder_is_an_os_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(OSError, match="directory"):
        replace_file(tmp_path / name, b"one")


def test_replace_folder(tmp_path: Path) -> None:
    target = tmp_path / "models" / "mine"
    for k in range(2):
        with replace_folder(target) as fresh:
            (fresh / f"{k}.txt").write_text("x")
            assert target.exists() == (k == 1)
        assert names(target) == [f"{k}.txt"]
    assert names(target.parent) == ["mine"]


def test_a_folder_that_fails_half_way_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "mine"
    target.mkdir()
    (target / "old.txt").write_text("x")

    def fill() -> None:
        with replace_folder(target) as fresh:
            (fresh / "new.txt").write_text("x")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        fill()
    assert names(target) == ["old.txt"]
    assert names(tmp_path) == ["mine"]


def test_a_folder_that_cannot_be_moved_in_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "mine"
    target.mkdir()
    (target / "old.txt").write_text("x")
    rename, calls = Path.rename, []

    def second_fails(self: Path, to: Path) -> Path:
        calls.append(self.name)
        if len(calls) == 2:
            raise OSError(5, "Input/output error")
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", second_fails)
    with pytest.raises(OSError, match="Input/output"), replace_folder(target) as fresh:
        (fresh / "new.txt").write_text("x")
    assert names(target) == ["old.txt"]
    assert names(tmp_path) == ["mine"]


def test_sha256_of_the_standard(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256(tmp_path / "a") == expected
