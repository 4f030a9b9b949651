"""Pictures in, upright RGB uint8 (h, w, 3) out.

`read` takes one picture in any form and either returns an array or raises one of two errors: `SourceError`
for a file, bytes or PIL image that cannot be read (its ``kind`` says why), `ArgumentError` for an array or
object that breaks a rule. `expand` turns the arguments of a command line into a list of sources.

Rules, the same for every source:

- The EXIF orientation is applied. Colour profiles are not: their effect is too small to matter here.
- Transparent pixels show white behind them, as in a browser.
- 16-bit pictures are scaled (65535 -> 255, rounded), never clipped; pictures of floats must lie in 0..1.
- Of an animation, the first frame.
- More pixels than the limit are refused from the header, before anything is decoded.
"""

from __future__ import annotations

import glob
import io
import itertools
import os
import stat
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError, features

from pyfer.errors import ArgumentError, SourceError, did_you_mean

Picture = NDArray[np.uint8]
"""Upright RGB, (h, w, 3)."""

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | Image.Image | NDArray[Any]
"""What `read` takes."""

LIMIT_PIXELS = 100_000_000
"""Most pixels of a picture unless told: 300 MB decoded, more than any camera on sale takes in one shot."""

SUFFIXES = frozenset(
    f".{name}"
    for names in ("jpg jpeg jpe jfif mpo png gif webp avif heic heif", "tif tiff bmp dib pbm pgm pnm ppm")
    for name in names.split()
)
"""Endings that count as pictures when a folder is searched."""

STDIN = "-"
"""The argument that stands for one picture on standard input."""

_BACKGROUND = (255, 255, 255)
_READS = "pyFER reads JPEG, PNG, WebP, BMP, TIFF, GIF, PNM, AVIF and, with a plugin, HEIC"
_ORIENTATION, _BITS = 0x0112, 0x0102  # tags of EXIF and TIFF
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what makes the picture upright (Exif 2.32, 4.6.4)."""


def read(source: Source, *, limit_pixels: int = LIMIT_PIXELS) -> Picture:
    """Return one picture, upright, as RGB uint8 (h, w, 3).

    Parameters
    ----------
    source
        A path; the bytes of a file; a PIL image (its current frame); or an array: (h, w) gray, (h, w, 3)
        RGB or (h, w, 4) RGBA of uint8, uint16 (0..65535), bool or float (0..1).
    limit_pixels
        Most pixels (width x height) of a file or PIL image. Pillow itself refuses more than 178 million.

    Returns
    -------
    array
        uint8 (h, w, 3), C-contiguous; an RGB uint8 array comes back as it is, without a copy.

    Raises
    ------
    SourceError
        The picture cannot be read; ``kind`` is ``missing``, ``empty``, ``directory``, ``unreadable``,
        ``truncated``, ``too_large`` or ``unsupported``.
    ArgumentError
        `source` is an array that breaks a rule above, or none of these things.
    """
    if not isinstance(limit_pixels, int) or limit_pixels < 1:
        raise ArgumentError(f"limit_pixels={limit_pixels!r} must be a whole number of 1 or more")
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, Image.Image):
        with _quiet_pillow():
            return _decode(source, "PIL image", limit_pixels)
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
        if not data:
            raise SourceError("the bytes are empty: there is no picture in them", "empty")
        return _from_stream(io.BytesIO(data), f"{len(data)} bytes", limit_pixels)
    if isinstance(source, (str, os.PathLike)):
        with _open(source) as stream:
            return _from_stream(stream, os.fspath(source), limit_pixels)
    raise ArgumentError(
        f"source={type(source).__name__} must be a path, bytes, a PIL image or a numpy array (h, w[, 3 or 4])"
    )


# --- files and bytes --------------------------------------------------------------------------------------


def _open(source: str | os.PathLike[str]) -> IO[bytes]:
    """Open the file of a path, or say in one sentence why there is no picture in it."""
    name = os.fspath(source)
    if not name:
        raise SourceError("the path is empty: name a picture", "missing")
    if name.startswith(("http://", "https://")):
        raise SourceError(f"{name}: pyFER uses no network; download the picture first", "unsupported")
    path = Path(name)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise SourceError(f"{name}: is a folder without a picture in it", "directory")
        if not stat.S_ISREG(status.st_mode):
            raise SourceError(f"{name}: is a device or pipe; pass its bytes instead", "unsupported")
        if status.st_size == 0:
            raise SourceError(f"{name}: the file is empty", "empty")
        return path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        raise SourceError(missing(path, name), "missing") from None
    except SourceError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise SourceError(f"{name!r}: cannot be opened ({reason})", "unreadable") from error


def missing(path: Path, name: str) -> str:
    """Return the sentence on a file that is not there, with the nearest name in its folder."""
    if not path.parent.is_dir():
        return f"{name}: there is no folder {str(path.parent)!r}"
    try:
        # Comparing names is slow: in a folder of a million pictures, look at the first few thousand.
        names = [entry.name for entry in itertools.islice(path.parent.iterdir(), 5000)]
    except OSError:
        names = []
    return f"{name}: there is no such file{did_you_mean(path.name, names)}"


def _from_stream(stream: IO[bytes], name: str, limit_pixels: int) -> Picture:
    """Read a picture from an open file, by its first bytes: what a file is called says nothing."""
    try:
        head = stream.read(512)
        stream.seek(0)
    except OSError as error:
        raise SourceError(f"{name}: cannot be read ({error.strerror})", "unreadable") from error
    kind = picture_format(head)
    if kind is None:
        raise _foreign(name, head)
    with _quiet_pillow():
        try:
            image = _open_heic(stream, name) if kind == "HEIC" else Image.open(stream, formats=[kind])
        except SourceError:
            raise
        except Exception as error:  # see `_decode`
            raise _damaged(name, kind, error) from error
        with image:
            return _decode(image, name, limit_pixels)


def picture_format(head: bytes) -> str | None:
    """Return the name of the picture format that a file's first bytes announce, None if there is none."""
    for start, name in _STARTS:
        if head.startswith(start):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":  # ISO base media: the brand tells pictures from films
        brands = head[8 : max(int.from_bytes(head[:4], "big"), 12)]
        if b"avif" in brands or b"avis" in brands:
            return "AVIF"
        if brands[:4] in _HEIC_BRANDS:
            return "HEIC"
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace():
        return "PPM"
    return None


_STARTS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_FILM = "a film"
_FOREIGN = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"8BPS", "a Photoshop file"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x1aE\xdf\xa3", _FILM),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
)


def _foreign(name: str, head: bytes) -> SourceError:
    """Return the error for a file that is no picture of a known format."""
    for start, what in _FOREIGN:
        if head.startswith(start):
            hint = f"to go through it: pyfer watch {name}" if what == _FILM else _READS
            return SourceError(f"{name}: is {what}; {hint}", "unsupported")
    if head[4:8] == b"ftyp" or (head[:4] == b"RIFF" and head[8:12] == b"AVI "):
        return SourceError(f"{name}: is {_FILM}; to go through it: pyfer watch {name}", "unsupported")
    if b"<svg" in head:
        return SourceError(f"{name}: is an SVG drawing; export it as PNG first", "unsupported")
    if is_text(head):
        return SourceError(f"{name}: is a text file, not a picture", "unreadable")
    return SourceError(f"{name}: is not a picture; {_READS}", "unreadable")


def is_text(head: bytes) -> bool:
    """Whether the first bytes of a file are text in UTF-8; the last letter may be cut."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # else the last letter is only cut by the end of `head`
            return False
        text = head[: error.start].decode("utf-8")
    return all(letter.isprintable() or letter.isspace() for letter in text)


def _open_heic(stream: IO[bytes], name: str) -> Image.Image:
    """Open HEIC with pillow_heif, without registering it in Pillow for the whole program."""
    try:
        import pillow_heif
    except ImportError:
        advice = "HEIC needs a plugin: pip install pillow-heif (or convert the picture to JPEG)"
        raise SourceError(f"{name}: {advice}", "unsupported") from None
    image: Image.Image = pillow_heif.HeifImageFile(stream)
    return image


def _damaged(name: str, kind: str, error: Exception) -> SourceError:
    """Return the error for a file that begins as format `kind` and cannot be opened or decoded."""
    if isinstance(error, (Image.DecompressionBombError, MemoryError)):
        return SourceError(f"{name}: has too many pixels to decode; shrink it first", "too_large")
    if kind == "AVIF" and not ("avif" in features.modules and features.check("avif")):
        return SourceError(f"{name}: this Pillow reads no AVIF; pip install -U pillow", "unsupported")
    what = f"{name}: the {kind} file" if kind else name
    reason = " ".join(str(error).split())
    # After the right first bytes, a header that makes no sense is nearly always one that ends too early.
    if isinstance(error, (EOFError, UnidentifiedImageError)) or any(hint in reason for hint in _CUT_SHORT):
        return SourceError(f"{what} is cut short or damaged; copy it again from where it came", "truncated")
    return SourceError(f"{what} is damaged ({reason or type(error).__name__})", "unreadable")


_CUT_SHORT = ("truncated", "Truncated", "too short", "could not create decoder", "cannot load this image")
"""What Pillow's decoders say of a file that ends too early."""


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Silence Pillow's warnings (bombs, odd tags) while pictures are read: ours are errors with a kind.

    ``warnings.catch_warnings`` swaps a list of the whole program, so two threads that enter and leave in
    turn would leave the filter behind. Hence one swap for all readers: the first in puts the filter up,
    the last out takes it down.
    """
    global _quiet_readers, _quiet_filters
    with _quiet_lock:
        _quiet_readers += 1
        if _quiet_readers == 1:
            _quiet_filters = warnings.catch_warnings()
            _quiet_filters.__enter__()
            warnings.filterwarnings("ignore", module="PIL")
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_readers -= 1
            if _quiet_readers == 0:
                _quiet_filters.__exit__(None, None, None)


_quiet_lock = threading.Lock()
_quiet_readers = 0
_quiet_filters = warnings.catch_warnings()


# --- PIL images -------------------------------------------------------------------------------------------


def _decode(image: Image.Image, name: str, limit_pixels: int) -> Picture:
    """Return the pixels of an opened image; nothing is decoded before its size is known to be in bounds."""
    width, height = image.size
    if width * height > limit_pixels:
        raise SourceError(
            f"{name}: {width} x {height} pixels are more than limit_pixels={limit_pixels}; shrink it first",
            "too_large",
        )
    if width * height == 0:
        raise SourceError(f"{name}: {width} x {height} pixels hold no picture", "empty")
    # Hostile files make decoders raise nearly anything (struct.error, IndexError, zlib.error, ...), and a
    # batch must survive them all: hence every Exception.
    try:
        image.load()
        picture = _rgb(image, name)
        method = _UPRIGHT.get(_orientation(image))
        return np.array(picture.transpose(method) if method is not None else picture)
    except SourceError:
        raise
    except Exception as error:
        raise _damaged(name, image.format or "", error) from error


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation; damaged EXIF data must not cost the picture, it counts as upright.

    To be asked after loading: some formats turn the picture themselves and then drop the tag.
    """
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        return 1


def _rgb(image: Image.Image, name: str) -> Image.Image:
    """Return a loaded image of any mode as RGB, not yet turned upright."""
    if image.mode == "F" or image.mode.startswith("I"):
        return Image.fromarray(_eight_bit(image, name)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        below = Image.new("RGB", rgba.size, _BACKGROUND)
        below.paste(rgba, mask=rgba.getchannel("A"))
        return below
    if image.mode in ("LAB", "HSV"):
        raise SourceError(f"{name}: is in {image.mode} colours; save it as RGB first", "unsupported")
    return image.convert("RGB")


def _eight_bit(image: Image.Image, name: str) -> Picture:
    """Return the uint8 (h, w) version of an image of 16-bit integers, 32-bit integers or floats.

    Pillow opens some 16-bit files as 32-bit integers, so these are read as 16-bit where they fit.
    """
    values = np.asarray(image)
    high = 1 if image.mode == "F" else 65535
    if image.mode.startswith("I;16"):
        bits = getattr(image, "tag_v2", {}).get(_BITS, (16,))[0]  # TIFF knows 12 bits too
        high = (1 << bits) - 1
    least, most = values.min(), values.max()
    if not (least >= 0 and most <= high):  # written so that NaN fails
        rule = "floats of 0..1" if image.mode == "F" else f"integers of 0..{high}"
        raise SourceError(f"{name}: holds {least:g}..{most:g}, must be {rule}; rescale it", "unsupported")
    return _scaled(values, high)


# --- arrays -----------------------------------------------------------------------------------------------


def _from_array(array: NDArray[Any]) -> Picture:
    """Return an array of gray, RGB or RGBA in any allowed dtype as RGB uint8."""
    shape = array.shape
    if array.ndim not in (2, 3) or (array.ndim == 3 and shape[2] not in (1, 3, 4)):
        first = array.ndim == 3 and shape[0] in (1, 3, 4)
        hint = "; put channels last: array.transpose(1, 2, 0)" if first else ""
        raise ArgumentError(
            f"source of shape {shape} must be (h, w) gray, (h, w, 3) RGB or (h, w, 4) RGBA{hint}"
        )
    if array.size == 0:
        raise ArgumentError(f"source of shape {shape} must have at least one pixel")
    pixels = _array_levels(array)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.shape[2] == 1:
        return np.repeat(pixels, 3, axis=2)
    if pixels.shape[2] == 4:
        alpha = pixels[..., 3:].astype(np.float32) / 255
        blend = pixels[..., :3] * alpha + np.array(_BACKGROUND, np.float32) * (1 - alpha)
        return np.rint(blend).astype(np.uint8)
    return np.ascontiguousarray(pixels)


def _array_levels(array: NDArray[Any]) -> Picture:
    """Return an array of an allowed dtype as levels of 0..255, of the same shape."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return np.where(array, np.uint8(255), np.uint8(0))
    if array.dtype == np.uint16:
        return _scaled(array, 65535)
    if not np.issubdtype(array.dtype, np.floating):
        raise ArgumentError(
            f"source of dtype {array.dtype} must be uint8, uint16, bool or float; "
            "for levels of 0..255 pass array.astype(numpy.uint8)"
        )
    low, high = array.min(), array.max()
    if not (low >= 0 and high <= 1):  # written so that NaN fails
        raise ArgumentError(
            f"source of floats in {low:g}..{high:g} must lie in 0..1; divide levels of 0..255 by 255"
        )
    return _scaled(array, 1)


def _scaled(values: NDArray[Any], high: int) -> Picture:
    """Return floats of 0..1 (`high` = 1) or integers of 0..`high` as 0..255, rounded."""
    if high == 1:
        levels: NDArray[np.float32] = np.rint(np.multiply(values, 255, dtype=np.float32))
        return levels.astype(np.uint8)
    table = np.rint(np.arange(high + 1) * (255 / high)).astype(np.uint8)
    return cast("Picture", table[values])


# --- command line -----------------------------------------------------------------------------------------


def expand(arguments: Iterable[str | Path]) -> list[str | Path]:
    """Return the sources that the arguments of a command line stand for, in order.

    A folder becomes the pictures in it (`SUFFIXES`), searched to the bottom and sorted; hidden files and
    folders are skipped, links to folders not followed. A pattern (``*``, ``?``, ``[...]``, ``**``) becomes
    its sorted matches, each treated as if the shell had written it. All else stays as it is, ``-`` too
    (see `read_stdin`).

    Nothing is lost and nothing merged: what is missing, a pattern without a match, and a folder without a
    picture stay in the list for `read` to refuse, and what is named twice is in it twice.
    """
    return [source for argument in arguments for source in _expand_one(argument)]


def _expand_one(argument: str | Path) -> list[str | Path]:
    name = os.fspath(argument)
    if name == STDIN and isinstance(argument, str):
        return [argument]
    if not os.path.lexists(name) and any(mark in name for mark in "*?["):
        matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207  (Path.glob loses "./" and absolute)
        return [source for match in matches for source in _expand_folder(match)] or [argument]
    return _expand_folder(argument)


def _expand_folder(argument: str | Path) -> list[str | Path]:
    """Return the pictures in a folder, and its parts that cannot be listed; anything else as it is."""
    if not os.path.isdir(argument):  # noqa: PTH112  (Path.is_dir raises on odd names and closed folders)
        return [argument]
    found: list[Path] = []
    closed: list[Path] = []

    def note(error: OSError) -> None:
        closed.append(Path(error.filename))

    for folder, folders, files in os.walk(argument, onerror=note):
        folders[:] = [each for each in folders if not each.startswith(".")]
        found += [Path(folder, each) for each in files if _looks_like_picture(each)]
    return sorted([*found, *closed]) or [argument]


def _looks_like_picture(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES


def read_stdin(stream: IO[bytes] | None = None) -> bytes:
    """Return the bytes of the picture on standard input, to be passed to `read`; empty at a terminal.

    The second call finds the stream at its end and returns nothing, which `read` refuses as ``empty``.
    """
    stream = sys.stdin.buffer if stream is None else stream
    return b"" if stream.isatty() else stream.read()
