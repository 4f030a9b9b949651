"""Files and folders that are written whole or not at all, their fingerprints, and the user's own folder."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def home() -> Path:
    """Return the folder for the user's own things: $PYFER_HOME, or ``~/.local/share/pyfer``."""
    chosen = os.environ.get("PYFER_HOME") or "~/.local/share/pyfer"
    return Path(os.path.expanduser(chosen))  # noqa: PTH111  (Path.expanduser raises where there is no home)


def replace_file(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically: readers see the old file or the new one, never half of one.

    A link is followed. What is no plain file (``/dev/stdout``, a pipe) is written to, never replaced.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    path = path.resolve()
    temporary = _beside(path)
    try:
        with temporary.open("xb") as stream:  # not tempfile, whose files only their owner may read
            stream.write(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def replace_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder to fill; it becomes `path` when the block ends well, and vanishes if not.

    An older folder at `path` steps aside only when the new one is complete.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = _beside(path)
    fresh.mkdir()
    try:
        yield fresh
        if path.exists():
            old = _beside(path)
            path.rename(old)
            try:
                fresh.rename(path)
            except OSError:
                old.rename(path)
                raise
            shutil.rmtree(old, ignore_errors=True)
        else:
            fresh.rename(path)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _beside(path: Path) -> Path:
    """Return a hidden name in the same folder, so that renaming never crosses file systems."""
    return path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}")  # cut: a name has 255 bytes at most
