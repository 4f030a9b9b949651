"""Every kind of picture comes out upright, RGB, uint8; everything else is an error with a kind."""

from __future__ import annotations

import io
import os
import stat
import struct
import sys
import threading
import time
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from pyfer.errors import ArgumentError, SourceError
from pyfer.sources import expand, read, read_stdin

QUICK = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


def scene(height: int = 40, width: int = 24) -> NDArray[np.uint8]:
    """A smooth picture whose four corners differ, so that every turn and flip of it can be told apart."""
    y, x = np.linspace(0, 1, height)[:, None], np.linspace(0, 1, width)[None, :]
    red, green, blue = 220 * y + 0 * x, 200 * x + 0 * y, 60 + 150 * y * x
    return np.rint(np.stack([red, green, blue], axis=2)).astype(np.uint8)


SCENE = scene()
GRAY = np.asarray(Image.fromarray(SCENE).convert("L"))


def save(image: Image.Image, format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def error_of(call: Callable[[], object]) -> SourceError:
    with pytest.raises(SourceError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) > 10
    return caught.value


def distance(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> float:
    assert one.shape == two.shape
    return float(np.abs(one.astype(int) - two.astype(int)).mean())


# --- formats and modes ------------------------------------------------------------------------------------


def rgba(alpha: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(np.dstack([SCENE, alpha]))


IMAGE = Image.fromarray(SCENE)
THREE = np.repeat(GRAY[..., None], 3, axis=2)
SIXTEEN = Image.fromarray(GRAY.astype(np.uint16) * 257)
FILES = {
    "photo.jpg": (save(IMAGE, "JPEG", quality=95, subsampling=0), SCENE, 2),
    "progressive.jpg": (save(IMAGE, "JPEG", quality=95, progressive=True), SCENE, 3),
    "gray.jpg": (save(IMAGE.convert("L"), "JPEG", quality=95), THREE, 2),
    "cmyk.jpg": (save(IMAGE.convert("CMYK"), "JPEG", quality=95), SCENE, 3),
    "two.mpo": (
        save(IMAGE, "MPO", save_all=True, append_images=[IMAGE.rotate(90)], quality=95, subsampling=0),
        SCENE,
        3,
    ),
    "rgb.png": (save(IMAGE, "PNG"), SCENE, 0),
    "gray.png": (save(IMAGE.convert("L"), "PNG"), THREE, 0),
    "la.png": (save(IMAGE.convert("LA"), "PNG"), THREE, 0),
    "palette.png": (save(IMAGE.quantize(256), "PNG"), SCENE, 8),
    "sixteen.png": (save(SIXTEEN, "PNG"), THREE, 0),
    "lossless.webp": (save(IMAGE, "WEBP", lossless=True), SCENE, 0),
    "photo.webp": (save(IMAGE, "WEBP", quality=95), SCENE, 4),
    "photo.bmp": (save(IMAGE, "BMP"), SCENE, 0),
    "photo.ppm": (save(IMAGE, "PPM"), SCENE, 0),
    "gray.pgm": (save(IMAGE.convert("L"), "PPM"), THREE, 0),
    "photo.tif": (save(IMAGE, "TIFF"), SCENE, 0),
    "lzw.tif": (save(IMAGE, "TIFF", compression="tiff_lzw"), SCENE, 0),
    "cmyk.tif": (save(IMAGE.convert("CMYK"), "TIFF"), SCENE, 1),
    "sixteen.tif": (save(SIXTEEN, "TIFF"), THREE, 0),
    "big-endian.tif": (
        save(Image.frombytes("I;16B", (24, 40), (GRAY.astype(">u2") * 257).tobytes()), "TIFF"),
        THREE,
        0,
    ),
    "float.tif": (save(Image.fromarray((GRAY / 255).astype(np.float32)), "TIFF"), THREE, 0),
    "integers.tif": (save(Image.fromarray(GRAY.astype(np.int32) * 257), "TIFF"), THREE, 0),
    "photo.gif": (save(IMAGE, "GIF"), SCENE, 8),
    "film.gif": (save(IMAGE, "GIF", save_all=True, append_images=[IMAGE.rotate(180)]), SCENE, 8),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("as_path", [True, False])
def test_format(name: str, as_path: bool, tmp_path: Path) -> None:
    data, expected, tolerance = FILES[name]
    path = tmp_path / name
    path.write_bytes(data)
    picture = read(path if as_path else data)
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous
    assert picture.flags.writeable
    assert distance(picture, expected) <= tolerance
    assert distance(read(str(path)), picture) == 0


def test_suffix_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "wrong.png"
    path.write_bytes(FILES["photo.jpg"][0])
    assert distance(read(path), SCENE) <= 2


def test_one_bit() -> None:
    bits = GRAY > 100
    picture = read(save(Image.fromarray(bits), "PNG"))
    np.testing.assert_array_equal(picture, np.repeat(bits[..., None], 3, axis=2) * np.uint8(255))


def test_avif() -> None:
    pytest.importorskip("PIL.AvifImagePlugin")
    try:
        data = save(IMAGE, "AVIF", quality=95)
    except (KeyError, OSError):
        pytest.skip("this Pillow writes no AVIF")
    assert distance(read(data), SCENE) <= 3


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_transparent_shows_white(format: str) -> None:
    alpha = np.full(GRAY.shape, 255, np.uint8)
    alpha[:20] = 0
    alpha[20:30] = 51  # one fifth opaque
    options = {"lossless": True} if format == "WEBP" else {}
    picture = read(save(rgba(alpha), format, **options))
    assert (picture[:20] == 255).all()
    np.testing.assert_allclose(picture[20:30], 255 * 0.8 + SCENE[20:30] * 0.2, atol=1)
    np.testing.assert_array_equal(picture[30:], SCENE[30:])


def test_transparent_palette_and_key_colour() -> None:
    paletted = Image.new("P", (4, 4), 0)
    paletted.putpalette([10, 20, 30, 200, 100, 50])
    paletted.paste(1, (0, 0, 4, 2))
    picture = read(save(paletted, "PNG", transparency=0))
    assert (picture[:2] == (200, 100, 50)).all()
    assert (picture[2:] == 255).all()
    assert (read(save(paletted, "GIF", transparency=0))[2:] == 255).all()
    assert (read(save(paletted, "PNG", transparency=b"\x00\xff"))[2:] == 255).all()
    keyed = read(save(Image.new("RGB", (3, 3), (1, 2, 3)), "PNG", transparency=(1, 2, 3)))
    assert (keyed == 255).all()


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    levels = np.array([[0, 128, 129, 256, 32768, 65535]], np.uint16)
    for data in (save(Image.fromarray(levels), "PNG"), save(Image.fromarray(levels), "TIFF")):
        assert read(data)[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]


def test_values_without_a_known_range_are_refused() -> None:
    for values in (
        np.float32([[0, 255]]),
        np.float32([[np.nan, 0]]),
        np.int32([[-1, 9]]),
        np.int32([[0, 70000]]),
    ):
        error = error_of(lambda values=values: read(save(Image.fromarray(values), "TIFF")))
        assert error.kind == "unsupported"
        assert "rescale" in str(error)


# --- EXIF -------------------------------------------------------------------------------------------------

# Orientation -> what a camera that stores this number did to the upright picture.
STORED: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation(orientation: int, format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](SCENE)))
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95, "subsampling": 0}}.get(format, {})
    data = save(stored, format, exif=exif, **options)
    assert distance(read(data), SCENE) <= (2 if format == "JPEG" else 0)
    assert distance(read(Image.open(io.BytesIO(data))), SCENE) <= (2 if format == "JPEG" else 0)


@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0rubbish" * 9])
def test_damaged_exif_does_not_cost_the_picture(exif: bytes) -> None:
    assert distance(read(save(IMAGE, "JPEG", exif=exif, quality=95)), SCENE) <= 3


def test_orientation_that_is_no_number() -> None:
    entry = struct.pack("<HHI4s", 0x0112, 2, 4, b"up!\0")  # text where a number belongs
    exif = b"Exif\0\0" + struct.pack("<2sHIH", b"II", 42, 8, 1) + entry + b"\0" * 4
    data = save(IMAGE, "JPEG", exif=exif, quality=95, subsampling=0)
    assert Image.open(io.BytesIO(data)).getexif()[0x0112] == "up!"
    assert distance(read(data), SCENE) <= 2


# --- PIL images and arrays --------------------------------------------------------------------------------


MODES = {"L": 0, "LA": 0, "P": 20, "PA": 20, "RGB": 0, "RGBA": 0, "RGBX": 0, "CMYK": 0, "YCbCr": 3, "I": 0}


@pytest.mark.parametrize("mode", MODES)
def test_pil_modes(mode: str) -> None:
    image = SIXTEEN.convert("I") if mode == "I" else IMAGE.convert(mode)
    before = image.tobytes()
    picture = read(image)
    assert distance(picture, THREE if mode[0] in "LI" else SCENE) <= MODES[mode]
    assert (image.mode, image.tobytes()) == (mode, before)


def test_pil_errors() -> None:
    assert error_of(lambda: read(IMAGE, limit_pixels=100)).kind == "too_large"
    assert error_of(lambda: read(Image.new("RGB", (0, 5)))).kind == "empty"
    assert error_of(lambda: read(Image.new("LAB", (5, 5)))).kind == "unsupported"
    closed = Image.open(io.BytesIO(FILES["rgb.png"][0]))
    closed.close()
    assert error_of(lambda: read(closed)).kind == "unreadable"


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (SCENE, SCENE),
        (SCENE[::-1, ::-1], SCENE[::-1, ::-1]),
        (GRAY, THREE),
        (GRAY[..., None], THREE),
        (SCENE.astype(np.uint16) * 257, SCENE),
        ((SCENE / 255).astype(np.float64), SCENE),
        ((SCENE / 255).astype(np.float32), SCENE),
        (GRAY > 99, (THREE > 99) * np.uint8(255)),
        (np.dstack([SCENE, np.full_like(GRAY, 255)]), SCENE),
        (np.dstack([SCENE, np.zeros_like(GRAY)]), np.full_like(SCENE, 255)),
    ],
)
def test_arrays(array: NDArray[np.generic], expected: NDArray[np.uint8]) -> None:
    picture = read(array)
    np.testing.assert_array_equal(picture, expected)
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous


def test_rgb_array_is_not_copied() -> None:
    assert read(SCENE) is SCENE


@pytest.mark.parametrize(
    ("array", "rule"),
    [
        (np.zeros((0, 5, 3), np.uint8), "one pixel"),
        (np.zeros((5, 0), np.uint8), "one pixel"),
        (np.zeros(5, np.uint8), "(h, w)"),
        (np.zeros((2, 5, 5, 3), np.uint8), "(h, w)"),
        (np.zeros((5, 5, 2), np.uint8), "(h, w)"),
        (np.zeros((3, 5, 5), np.uint8), "transpose(1, 2, 0)"),
        (np.full((5, 5), 255.0), "divide"),
        (np.full((5, 5), -0.1), "0..1"),
        (np.full((5, 5), np.nan), "0..1"),
        (np.zeros((5, 5), np.int64), "astype"),
        (np.zeros((5, 5), complex), "astype"),
        (np.full((5, 5), None), "astype"),
    ],
)
def test_array_rules(array: NDArray[np.generic], rule: str) -> None:
    with pytest.raises(ArgumentError, match=r"source of") as caught:
        read(array)
    assert rule in str(caught.value)


@pytest.mark.parametrize("source", [None, 5, [1, 2], {"a": 1}, 1.5])
def test_other_objects(source: object) -> None:
    with pytest.raises(ArgumentError, match="must be a path, bytes"):
        read(source)  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", [0, -1, 2.5, None])
def test_limit_rule(limit: object) -> None:
    with pytest.raises(ArgumentError, match="limit_pixels="):
        read(SCENE, limit_pixels=limit)  # type: ignore[arg-type]


# --- paths ------------------------------------------------------------------------------------------------


def test_missing_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "party.jpg").write_bytes(b"x")
    error = error_of(lambda: read(tmp_path / "partey.jpg"))
    assert error.kind == "missing"
    assert "did you mean 'party.jpg'?" in str(error)
    error = error_of(lambda: read(tmp_path / "no" / "party.jpg"))
    assert error.kind == "missing"
    assert "no folder" in str(error)
    assert error_of(lambda: read("")).kind == "missing"


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    fifo = tmp_path / "pipe.jpg"
    os.mkfifo(fifo)
    assert error_of(lambda: read(tmp_path)).kind == "directory"
    assert error_of(lambda: read(tmp_path / "empty.jpg")).kind == "empty"
    assert error_of(lambda: read(tmp_path / "empty.jpg" / "x.jpg")).kind == "missing"
    assert error_of(lambda: read(fifo)).kind == "unsupported"
    assert error_of(lambda: read("a\0b.jpg")).kind == "unreadable"
    assert error_of(lambda: read("x" * 5000)).kind == "unreadable"
    assert error_of(lambda: read("https://example.com/a.jpg")).kind == "unsupported"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_forbidden_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.jpg"
    path.write_bytes(FILES["photo.jpg"][0])
    path.chmod(0)
    error = error_of(lambda: read(path))
    assert error.kind == "unreadable"
    assert "ermission" in str(error)


# --- foreign, damaged and hostile content -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "kind", "word"),
    [
        (b"", "empty", "empty"),
        (b"hello, I am a picture\n", "unreadable", "text"),
        ("Grüße ".encode() * 200, "unreadable", "text"),
        (b"<?xml version='1.0'?><svg xmlns=''/>", "unsupported", "SVG"),
        (b"%PDF-1.7 ...", "unsupported", "PDF"),
        (b"PK\x03\x04....", "unsupported", "ZIP"),
        (b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41", "unsupported", "film"),
        (b"\x1aE\xdf\xa3\x01\0\0\0", "unsupported", "film"),
        (bytes(range(128, 256)) * 4, "unreadable", "not a picture"),
        (b"\0" * 100, "unreadable", "not a picture"),
    ],
)
def test_foreign_content(data: bytes, kind: str, word: str) -> None:
    error = error_of(lambda: read(data))
    assert error.kind == kind
    assert word in str(error)


@pytest.mark.parametrize("name", [name for name in FILES if not name.startswith(("film", "two"))])
def test_cut_short(name: str) -> None:
    data = FILES[name][0]
    for share in (0.05, 0.3, 0.7):
        error = error_of(lambda share=share: read(data[: max(int(len(data) * share), 16)]))
        assert error.kind == "truncated", share
        assert "cut short" in str(error)


def png(width: int, height: int, data: bytes = b"") -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


# 12000 x 9000 makes Pillow warn, 60000 x 60000 makes it raise: both are ours to say, before any decoding.
@pytest.mark.parametrize(("width", "height"), [(60000, 60000), (12000, 9000), (2**31 - 1, 1), (10001, 10000)])
@pytest.mark.parametrize("action", ["error", "default"])
def test_bomb_is_refused_from_its_header(width: int, height: int, action: str) -> None:
    data = png(width, height)
    before = Image.MAX_IMAGE_PIXELS
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter(action)  # type: ignore[arg-type]
        error = error_of(lambda: read(data))
    assert error.kind == "too_large"
    assert time.perf_counter() - start < 0.5
    assert not seen
    assert before == Image.MAX_IMAGE_PIXELS


def test_limit_is_the_callers() -> None:
    data = save(Image.new("L", (100, 100)), "PNG")
    assert read(data, limit_pixels=10_000).shape == (100, 100, 3)
    error = error_of(lambda: read(data, limit_pixels=9_999))
    assert error.kind == "too_large"
    assert "100 x 100" in str(error)
    assert "9999" in str(error)


def outcome(data: bytes) -> NDArray[np.uint8] | SourceError:
    try:
        return read(data, limit_pixels=4_000_000)
    except SourceError as error:
        return error


def check_survives(data: bytes) -> None:
    result = outcome(data)
    if isinstance(result, SourceError):
        assert result.kind in {"empty", "unreadable", "truncated", "too_large", "unsupported"}
        assert "\n" not in str(result)
    else:
        assert result.dtype == np.uint8
        assert result.ndim == 3
        assert result.shape[2] == 3
        assert result.size


STARTS = [
    b"",
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF89a",
    b"BM",
    b"II*\0",
    b"RIFF\0\0\0\0WEBP",
    b"P5\n",
]


@QUICK
@given(st.sampled_from(STARTS), st.binary(max_size=300))
def test_random_bytes(start: bytes, rest: bytes) -> None:
    check_survives(start + rest)


# Compressed TIFF is left out: libtiff writes what it finds wrong straight to standard error.
MUTABLE = [name for name in FILES if not name.endswith(".tif")] + ["photo.tif"]


@QUICK
@given(
    st.sampled_from(MUTABLE),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6),
    st.booleans(),
)
def test_mutated_files(name: str, changes: list[tuple[int, int]], head_only: bool) -> None:
    data = bytearray(FILES[name][0])
    for place, value in changes:
        data[place % (min(len(data), 120) if head_only else len(data))] = value
    check_survives(bytes(data))


def test_threads_leave_the_warning_filters_alone() -> None:
    before = list(warnings.filters)
    bomb, good = png(12000, 9000), FILES["photo.jpg"][0]
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(40):
                assert error_of(lambda: read(bomb)).kind == "too_large"
                read(good)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert list(warnings.filters) == before


# --- HEIC -------------------------------------------------------------------------------------------------

HEIC = b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf" + b"\0" * 40


def test_heic_without_the_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    error = error_of(lambda: read(HEIC))
    assert error.kind == "unsupported"
    assert "pip install pillow-heif" in str(error)


def test_heic_with_the_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    # A stand-in for the optional plugin, which the test environment does not have.
    stand_in = SimpleNamespace(HeifImageFile=lambda stream: IMAGE.copy())
    monkeypatch.setitem(sys.modules, "pillow_heif", stand_in)
    np.testing.assert_array_equal(read(HEIC), SCENE)


def test_real_heic() -> None:
    plugin = pytest.importorskip("pillow_heif")
    stream = io.BytesIO()
    plugin.from_pillow(IMAGE).save(stream, quality=95)
    assert distance(read(stream.getvalue()), SCENE) <= 5


# --- command line -----------------------------------------------------------------------------------------


@pytest.fixture
def album(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("b.JPG", "a.png", "notes.txt", ".hidden.jpg", "sub/c.webp", ".git/d.jpg", "sub/deep/e.tiff"):
        path = tmp_path / "album" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "bare").mkdir()
    for name in ("odd[1].jpg", "odd1.jpg"):  # the second is what the first means as a pattern
        (tmp_path / name).write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(arguments: list[str | Path]) -> list[str]:
    return [str(source) for source in expand(arguments)]


def test_expand_folder(album: Path) -> None:
    expected = ["album/a.png", "album/b.JPG", "album/sub/c.webp", "album/sub/deep/e.tiff"]
    assert names(["album"]) == expected
    assert names([Path("album")]) == expected
    assert names([album / "album"]) == [str(album / name) for name in expected]
    assert names(["album/.git"]) == ["album/.git/d.jpg"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], []),
        (["missing.jpg", "album/notes.txt"], ["missing.jpg", "album/notes.txt"]),
        (["-", "-"], ["-", "-"]),
        (["./odd[1].jpg"], ["./odd[1].jpg"]),
        (["album/*.png", "*/b.*"], ["album/a.png", "album/b.JPG"]),
        (["album/**/*.tiff"], ["album/sub/deep/e.tiff"]),
        (["album/s*"], ["album/sub/c.webp", "album/sub/deep/e.tiff"]),
        (["album/*.gif", "[.jpg", "a?b"], ["album/*.gif", "[.jpg", "a?b"]),
        (["bare"], ["bare"]),
        (["album/a.png", "album/a.png", "album/*.png"], ["album/a.png"] * 3),
        (["x" * 5000, "a\0b*"], ["x" * 5000, "a\0b*"]),
    ],
)
def test_expand(album: Path, arguments: list[str | Path], expected: list[str]) -> None:
    assert names(arguments) == expected


def test_expand_keeps_arguments_as_written(album: Path) -> None:
    assert expand(["./album/a.png", Path("-"), "-"]) == ["./album/a.png", Path("-"), "-"]


def test_expand_survives_loops_and_dead_links(album: Path) -> None:
    (album / "album/sub/loop").symlink_to(album / "album")
    (album / "album/dead.jpg").symlink_to(album / "nowhere.jpg")
    assert "album/dead.jpg" in names(["album"])
    assert len(names(["album"])) == 5


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list everything")
def test_expand_keeps_folders_that_cannot_be_listed(album: Path) -> None:
    closed = album / "album/closed"
    closed.mkdir()
    closed.chmod(0)
    try:
        assert "album/closed" in names(["album"])
    finally:
        closed.chmod(stat.S_IRWXU)


def test_expanded_sources_can_be_read(album: Path) -> None:
    (album / "album/a.png").write_bytes(FILES["rgb.png"][0])
    np.testing.assert_array_equal(read(expand(["album/*.png"])[0]), SCENE)


def test_standard_input() -> None:
    stream = io.BytesIO(FILES["rgb.png"][0])
    np.testing.assert_array_equal(read(read_stdin(stream)), SCENE)
    assert error_of(lambda: read(read_stdin(stream))).kind == "empty"
