"""Decode one photo within little memory and time, and print the verdict on one line.

A program, not a module to import: `photos.py` runs it as a child, because a hostile picture can fill the
memory, spin for hours or break the decoder. It imports nothing but Pillow, to start fast.

    good <mime> <width> <height>
    bad <code> <message>
"""

import resource
import sys

from PIL import ImageFile, JpegImagePlugin, PngImagePlugin

MEMORY = 1024**3  # bytes of address space; a progressive CMYK of 50 megapixels takes 600 MB


def main() -> None:
    """Usage: photo_decoder.py FILE SMALLEST_SIDE MOST_PIXELS CPU_SECONDS"""
    path, (smallest_side, most_pixels, cpu_seconds) = sys.argv[1], map(int, sys.argv[2:])
    confine(cpu_seconds)
    try:
        verdict = judge(path, smallest_side, most_pixels)
    except MemoryError:
        verdict = "bad undecodable it takes too much memory to decode"
    except Exception as error:  # noqa: BLE001 (decoders raise SyntaxError, struct.error, zlib.error and more)
        verdict = f"bad undecodable it cannot be decoded ({type(error).__name__})"
    sys.stdout.write(verdict + "\n")


def confine(cpu_seconds: int) -> None:
    """Give up what decoding does not need, before the first byte of the photo is read."""
    for limit, value in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))


def judge(path: str, smallest_side: int, most_pixels: int) -> str:
    """The header may refuse a photo at no cost; only decoding every pixel accepts it."""
    with open(path, "rb") as file:  # noqa: PTH123 (pathlib would double the imports)
        mime, decoder = kind(file.read(8))
        if decoder is None:
            return "bad not_an_image it is neither JPEG nor PNG"
        file.seek(0)
        image = decoder(file)
        width, height = image.size
        if width * height > most_pixels:
            return f"bad too_many_pixels it has {width} × {height} pixels, more than {most_pixels:,} in all"
        if min(width, height) < smallest_side:
            return f"bad too_small it has {width} × {height} pixels, fewer than {smallest_side} on a side"
        image.load()
        return f"good {mime} {width} {height}"


def kind(head: bytes) -> tuple[str, type[ImageFile.ImageFile] | None]:
    """The two decoders there are; Pillow's own choice would offer the file to all it has."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg", JpegImagePlugin.JpegImageFile
    if head == b"\x89PNG\r\n\x1a\n":
        return "image/png", PngImagePlugin.PngImageFile
    return "", None


if __name__ == "__main__":
    main()
