import asyncio
import fcntl
import io
import itertools
import os
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.photos import LARGEST_FILE, BadPhoto, CheckFailed, Photo, PhotoChecker, sniff

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def save(tmp_path: Path) -> Callable[[bytes], Path]:
    def save(content: bytes) -> Path:
        path = tmp_path / "photo"
        path.write_bytes(content)
        return path

    return save


Save = Callable[[bytes], Path]


def picture(kind: str, width: int = 600, height: int = 700, mode: str = "RGB", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert(mode).save(file, kind, **options)
    return file.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, *extra: bytes, rows: bytes = b"") -> bytes:
    """A grey PNG by hand, which may lie about anything."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return (
        PNG_SIGNATURE + header + b"".join(extra) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


def many_scans(scans: int) -> bytes:
    """A progressive JPEG whose last scan is repeated, each time another pass over all its pixels."""
    file = io.BytesIO()
    Image.new("RGB", (5000, 5000)).save(file, "JPEG", progressive=True)
    jpeg = file.getvalue()
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:last] + jpeg[last:-2] * scans + b"\xff\xd9"


def with_app_segment(jpeg: bytes, marker: bytes, data: bytes) -> bytes:
    return jpeg[:2] + marker + struct.pack(">H", len(data) + 2) + data + jpeg[2:]


def animation(frames: int) -> bytes:
    images = [Image.new("L", (512, 512), shade) for shade in range(frames)]
    file = io.BytesIO()
    images[0].save(file, "PNG", save_all=True, append_images=images[1:])
    return file.getvalue()


async def verdict(path: Path) -> str:
    with pytest.raises(BadPhoto) as refused:
        await PhotoChecker().check(path)
    assert refused.value.message == str(refused.value)
    return refused.value.code


@pytest.mark.parametrize("width", [512, 600])
@pytest.mark.parametrize(("kind", "mime"), [("JPEG", "image/jpeg"), ("PNG", "image/png")])
async def test_a_plain_photo_is_good(save: Save, kind: str, mime: str, width: int) -> None:
    assert await PhotoChecker().check(save(picture(kind, width, 700))) == Photo(mime, width, 700)


GOOD_ODDITIES = {
    "progressive": picture("JPEG", progressive=True),
    "grey": picture("JPEG", mode="L"),
    "CMYK": picture("JPEG", mode="CMYK"),
    "rotated by EXIF": picture(
        "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    ),
    "broken EXIF": with_app_segment(picture("JPEG"), b"\xff\xe1", b"Exif\0\0MM\0*\xff\xff\xff\xff"),
    "two pictures in one, as phones make them": picture(
        "MPO", save_all=True, append_images=[Image.new("RGB", (64, 64))]
    ),
    "a ZIP appended": picture("JPEG") + b"PK\x03\x04" + bytes(1000),
    "transparent": picture("PNG", mode="RGBA"),
    "palette": picture("PNG", mode="P"),
    "bilevel": picture("PNG", mode="1"),
    "interlaced by hand": png(600, 700, rows=bytes(601 * 700)),
}


@pytest.mark.parametrize("oddity", GOOD_ODDITIES)
async def test_what_cameras_and_programs_make_is_good(save: Save, oddity: str) -> None:
    photo = await PhotoChecker().check(save(GOOD_ODDITIES[oddity]))
    assert (photo.width, photo.height) == (600, 700)


async def test_of_an_animation_only_the_first_picture_counts(save: Save) -> None:
    assert await PhotoChecker().check(save(animation(200))) == Photo("image/png", 512, 512)


NOT_IMAGES = {
    "nothing": b"",
    "one byte": b"\xff",
    "GIF": picture("GIF"),
    "TIFF": picture("TIFF"),
    "WebP": picture("WEBP"),
    "BMP": picture("BMP"),
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg" width="600" height="600"/>',
    "PDF": b"%PDF-1.7\n",
    "HTML": b"<!doctype html><script>alert(1)</script>",
    "HTML with a photo behind it": b"<!-- " + picture("JPEG"),
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 600 600\n",
}


@pytest.mark.parametrize("kind", NOT_IMAGES)
async def test_only_jpeg_and_png_are_photos(save: Save, kind: str) -> None:
    assert await verdict(save(NOT_IMAGES[kind])) == "not_an_image"


@pytest.mark.parametrize(("width", "height"), [(1, 1), (511, 600), (600, 511)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
async def test_both_sides_have_at_least_512_pixels(save: Save, kind: str, width: int, height: int) -> None:
    assert await verdict(save(picture(kind, width, height))) == "too_small"


async def test_a_small_file_that_claims_a_huge_picture_is_refused_by_its_header(save: Save) -> None:
    bomb = png(50_000, 50_000, rows=bytes(100_000))
    assert len(bomb) < 1024
    assert await verdict(save(bomb)) == "too_many_pixels"
    assert await verdict(save(png(7072, 7072))) == "too_many_pixels"  # 50,013,184


async def test_fifty_megapixels_are_still_good(save: Save) -> None:
    path = save(png(7000, 7142, rows=bytes(7001 * 7142)))
    assert await PhotoChecker().check(path) == Photo("image/png", 7000, 7142)


UNDECODABLE = {
    "JPEG cut short": picture("JPEG")[:-200],
    "PNG cut short": picture("PNG")[:-200],
    "JPEG header alone": b"\xff\xd8\xff",
    "PNG signature alone": PNG_SIGNATURE,
    "PNG with a flipped bit": bytes(byte ^ (i == 60) for i, byte in enumerate(picture("PNG"))),
    "PNG without pixels": png(600, 600),
    "PNG that inflates to endless text": png(
        600, 600, chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(10**8), 1)), rows=bytes(601 * 600)
    ),
    "JPEG whose segment runs past the end": b"\xff\xd8\xff\xe0\xff\xff" + bytes(100),
    "PNG by its first bytes, HTML behind": PNG_SIGNATURE + b"<script>alert(1)</script>",
}


@pytest.mark.parametrize("fault", UNDECODABLE)
async def test_every_pixel_must_decode(save: Save, fault: str) -> None:
    assert await verdict(save(UNDECODABLE[fault])) == "undecodable"


async def test_a_picture_that_takes_minutes_to_decode_is_cut_off(save: Save) -> None:
    bomb = many_scans(10_000)
    assert len(bomb) < LARGEST_FILE
    with pytest.raises(BadPhoto, match="too much time"):
        await PhotoChecker(cpu_seconds=1).check(save(bomb))


async def test_the_decoder_can_take_no_more_than_a_gigabyte_and_write_no_file(tmp_path: Path) -> None:
    """No picture within the other limits needs that much: this is for the decoder's own mistakes."""
    program = (
        "import sys\n"
        "from app.photo_decoder import confine\n"
        "confine(10)\n"
        "for greedy in (lambda: bytearray(2**30), lambda: open(sys.argv[1], 'wb', 0).write(b'x')):\n"
        "    try:\n"
        "        greedy()\n"
        "    except (MemoryError, OSError) as error:\n"
        "        print(type(error).__name__)\n"
    )
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, str(tmp_path / "file")),
        cwd=Path(__file__).parent.parent,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await child.communicate()
    assert output.split() == [b"MemoryError", b"OSError"]


async def test_a_file_above_32_megabytes_is_not_even_opened(tmp_path: Path) -> None:
    path = tmp_path / "photo"
    path.write_bytes(picture("JPEG"))
    os.truncate(path, LARGEST_FILE + 1)
    assert await verdict(path) == "too_large"
    os.truncate(path, LARGEST_FILE)
    assert (await PhotoChecker().check(path)).mime == "image/jpeg"


async def test_no_more_photos_are_decoded_at_once_than_allowed(save: Save) -> None:
    """The stand-in decoder writes down when it comes and goes, and works long enough to meet others."""
    path = save(b"")
    decoder = path.with_name("decoder.py")
    decoder.write_text(
        "import sys\n"
        "def note(step):\n"
        "    with open(sys.argv[1], 'a') as file:\n"
        "        file.write(step)\n"
        "note('+')\n"
        "import asyncio, PIL.Image\n"
        "note('-')\n"
        "print('good image/png 1 1')\n"
    )
    checker = PhotoChecker(at_once=2, decoder=decoder)
    await asyncio.gather(*(checker.check(path) for _ in range(8)))
    running = list(itertools.accumulate(1 if step == "+" else -1 for step in path.read_text()))
    assert len(running) == 16
    assert max(running) <= 2


@pytest.mark.parametrize(
    "program", ["", "raise SystemExit(3)", "print('nonsense')", "print('good image/png')"]
)
async def test_a_decoder_that_gives_no_verdict_says_nothing_about_the_photo(save: Save, program: str) -> None:
    path = save(picture("PNG"))
    decoder = path.with_name("decoder.py")
    decoder.write_text(program)
    with pytest.raises(CheckFailed):
        await PhotoChecker(decoder=decoder).check(path)


async def test_a_decoder_that_hangs_is_killed(save: Save) -> None:
    path = save(b"")
    decoder = path.with_name("decoder.py")
    decoder.write_text(
        "import fcntl, signal, sys\nfile = open(sys.argv[1])\nfcntl.flock(file, fcntl.LOCK_EX)\nsignal.pause()\n"
    )
    with pytest.raises(CheckFailed, match="within 1 s"):
        await PhotoChecker(timeout=1, decoder=decoder).check(path)
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused while the decoder lives


async def test_the_decoder_knows_none_of_our_secrets(save: Save) -> None:
    path = save(picture("PNG"))
    decoder = path.with_name("decoder.py")
    decoder.write_text(
        "import os\nprint('bad', 'code', sorted(set(os.environ) - {'LC_CTYPE', '__CF_USER_TEXT_ENCODING'}))"
    )
    with pytest.raises(BadPhoto, match=r"\[\]"):
        await PhotoChecker(decoder=decoder).check(path)


SNIFFED = {
    "image/png": [picture("PNG")],
    "image/jpeg": [picture("JPEG"), picture("JPEG", progressive=True)],
    "video/mp4": [
        b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41",
        b"\0\0\0\x18ftypmp42",
        b"\0\0\0\x1cftypM4V ",
    ],
    "video/webm": [
        b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82\x84webmB\x87\x81\x04"
    ],
    "audio/mpeg": [b"ID3\x04\0\0\0\0\0\0", b"\xff\xfb\x90\x64", b"\xff\xf3\x84\xc4"],
    "audio/wav": [b"RIFF\x24\x08\0\0WAVEfmt "],
    "application/pdf": [b"%PDF-1.7\n%"],
    "application/x-subrip": [
        b"1\n00:00:00,000 --> 00:00:02,500\nHello\n",
        b"\xef\xbb\xbf1\r\n00:00:00,000 --> 00:00:02,500\r\nHello\r\n",
        b"\n\n12\n00:00:00.000 --> 00:00:02.500\nHello\n",
    ],
}


@pytest.mark.parametrize("mime", SNIFFED)
def test_a_file_is_what_its_first_bytes_say(mime: str) -> None:
    assert {sniff(head[:64]) for head in SNIFFED[mime]} == {mime}


UNKNOWN = {
    **NOT_IMAGES,
    "HEIC": b"\0\0\0\x18ftypheic",
    "AVIF": b"\0\0\0\x18ftypavif",
    "QuickTime": b"\0\0\0\x14ftypqt  ",
    "M4A": b"\0\0\0\x18ftypM4A ",
    "Matroska": b"\x1aE\xdf\xa3\xa3B\x86\x81\x01B\x82\x88matroskaB\x87\x81\x04",
    "AVI": b"RIFF\x24\x08\0\0AVI LIST",
    "AAC": b"\xff\xf1\x50\x80",
    "UTF-16 text": "\ufeff1".encode("utf-16"),
    "a number": b"1\n2\n3\n",
    "WebVTT": b"WEBVTT\n\n00:00.000 --> 00:02.500\n",
    "ELF": b"\x7fELF\x02\x01\x01",
    "MZ": b"MZ\x90\0",
}
del UNKNOWN["PDF"]


@pytest.mark.parametrize("kind", UNKNOWN)
def test_other_kinds_are_unknown_whatever_their_name_may_claim(kind: str) -> None:
    assert sniff(UNKNOWN[kind]) is None


@given(st.binary(max_size=200))
def test_sniffing_junk_is_never_an_error(head: bytes) -> None:
    sniff(head)
