"""Files that are written whole or not at all, and their fingerprints."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically: readers see the old file or the new one, never half of one.

    A link is followed. What is no plain file (``/dev/stdout``, a pipe) is written to, never replaced.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as stream:  # not tempfile: its files only the owner may read
            stream.write(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
