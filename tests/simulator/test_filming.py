"""Films are made one at a time in a child process, once for the same content."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.simulator.filming import (
    ASSETS,
    BundledClip,
    ChildFilmer,
    FilmError,
    FilmRequest,
    can_film,
    content_key,
    half_done,
)
from tests.simulator.watching import SCRIPT, SMALL, picture, watch


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_request_survives_the_way_to_the_child(tmp_path: Path) -> None:
    request = replace(SMALL, photo=tmp_path / "a.png", background=tmp_path / "b.png", speed=1.2)
    assert FilmRequest.from_json(request.to_json()) == request
    assert FilmRequest.from_json(replace(request, background="#123456").to_json()).background == "#123456"


def test_files_count_by_their_bytes(tmp_path: Path) -> None:
    red, blue = picture(tmp_path, "#ff0000"), picture(tmp_path, "#0000ff")
    copy = tmp_path / "copy.png"
    copy.write_bytes(red.read_bytes())
    assert content_key(replace(SMALL, photo=red)) == content_key(replace(SMALL, photo=copy))
    assert content_key(replace(SMALL, photo=red)) != content_key(replace(SMALL, photo=blue))
    assert content_key(SMALL) != content_key(replace(SMALL, script="Good bye."))


async def test_the_same_content_is_filmed_once(tmp_path: Path) -> None:
    filmer = ChildFilmer(tmp_path / "films")
    try:
        first, second = await asyncio.gather(filmer.film(SMALL), filmer.film(SMALL))
        made = first.stat()
        third = await filmer.film(SMALL)
        assert first == second == third
        assert (third.stat().st_ino, third.stat().st_mtime_ns) == (made.st_ino, made.st_mtime_ns)
        assert watch(third).size == (320, 180)
    finally:
        await filmer.close()
    assert names(tmp_path / "films") == [first.name]


async def test_a_killed_child_is_replaced(tmp_path: Path) -> None:
    filmer = ChildFilmer(tmp_path)
    try:
        await filmer.film(SMALL)
        killed = filmer.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        half_done(tmp_path / f"{content_key(replace(SMALL, script='Again.'))}.mp4", killed).touch()
        path = await filmer.film(replace(SMALL, script="Again."))
        assert len(watch(path).frames) >= 25
        assert filmer.pid != killed
    finally:
        await filmer.close()
    assert all(name.endswith(".mp4") for name in names(tmp_path))


async def test_a_film_that_cannot_be_made_is_an_error_and_the_child_goes_on(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    filmer = ChildFilmer(tmp_path / "films")
    try:
        with pytest.raises(FilmError, match=re.escape("broken.png")):
            await filmer.film(replace(SMALL, photo=broken))
        with pytest.raises(FilmError, match=re.escape("missing.png")):
            await filmer.film(replace(SMALL, photo=tmp_path / "missing.png"))
        child = filmer.pid
        assert (await filmer.film(SMALL)).exists()
        assert filmer.pid == child
    finally:
        await filmer.close()


async def test_a_closed_filmer_ends_its_child_and_refuses(tmp_path: Path) -> None:
    filmer = ChildFilmer(tmp_path)
    await filmer.film(SMALL)
    child = filmer.pid
    assert child is not None
    long = asyncio.create_task(filmer.film(replace(SMALL, width=1920, height=1080, script=SCRIPT * 20)))
    await asyncio.wait({long}, timeout=1)  # it takes a minute
    await filmer.close()
    with pytest.raises(FilmError):
        await long
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
    assert len(names(tmp_path)) == 1


def test_a_child_ends_when_nobody_speaks_to_it_any_more() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "app.simulator.film"],
        input=b"",
        timeout=30,
        check=False,
        cwd=ASSETS.parents[2],
    )
    assert ended.returncode == 0


async def test_the_bundled_clip_plays_and_carries_its_note() -> None:
    path = await BundledClip().film(SMALL)
    watched = watch(path)
    assert watched.codecs == ("h264", "aac")
    assert np.max(watched.loudness) > 0.05
    assert path.stat().st_size < 150_000
    note = (path.parent / "portrait.txt").read_text()
    assert "public domain" in note
    assert "clip.mp4" in note


def test_the_film_libraries_are_found() -> None:
    assert can_film()
