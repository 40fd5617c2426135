"""`greenroom demo`: one photo becomes a talking video, for free whatever the environment says."""

from io import StringIO
from pathlib import Path

import av
import numpy as np
import pytest
from rich.console import Console

from app.demo import DemoFailed, run_demo
from app.settings import Settings, read_settings

PAID = read_settings({"HEYGEN_API_KEY": "a key that would cost money"})


def names(folder: Path) -> list[str]:
    """What it holds."""
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.timeout(300)
async def test_the_demo_writes_a_playable_talking_video_and_never_spends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = "http://127.0.0.1:9"
    for name, value in {
        "HEYGEN_API_KEY": "a key that would cost money",
        "HEYGEN_BASE_URL": nowhere,
        "HEYGEN_CONCURRENCY": "not a number",
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none",
        "PUBLIC_URL": nowhere,
        "API_URL": nowhere,
    }.items():
        monkeypatch.setenv(name, value)
    console = Console(record=True, width=160, quiet=True)
    folder = tmp_path / "demo"
    monkeypatch.setattr("sys.stdin", StringIO("no\n"))
    with pytest.raises(DemoFailed, match="nothing was spent"):
        await run_demo(folder, console, PAID)
    kept = [folder / name for name in ("paid-20260101-120000.mp4", "notes.txt")]
    remade = [folder / "files" / "old.mp4", folder / "secret.keys"]
    (folder / "files").mkdir()
    for path in kept + remade:
        path.write_text("a" * 32)
    film = await run_demo(folder, console)
    assert [path.read_text() for path in kept] == ["a" * 32] * 2, "the free demo deletes only what it makes"
    assert not remade[0].exists()
    assert remade[1].read_text() != "a" * 32

    with av.open(str(film)) as container:
        [video] = container.streams.video
        [audio] = container.streams.audio
        assert (video.width, video.height) == (720, 720)
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        assert container.duration is not None
        assert container.duration / av.time_base > 5, "as long as it takes to say the script"
    with av.open(str(film)) as container:
        pictures = sum(1 for _ in container.decode(video=0))
    with av.open(str(film)) as container:
        loudest = max(float(np.abs(frame.to_ndarray()).max()) for frame in container.decode(audio=0))
    assert pictures > 100
    assert loudest > 0.05


@pytest.mark.parametrize("real", [None, PAID])
async def test_a_folder_with_files_of_others_is_refused_and_left_as_it_is(
    tmp_path: Path, real: Settings | None
) -> None:
    for name in ("greenroom.db", "talking-photo.mp4"):
        (tmp_path / name).write_text("mine")
    (tmp_path / "files").mkdir()
    with pytest.raises(DemoFailed, match="holds files that are not the demo's; name another folder"):
        await run_demo(tmp_path, Console(quiet=True), real)
    assert names(tmp_path) == ["files", "greenroom.db", "talking-photo.mp4"]


async def test_a_folder_that_cannot_be_made_ends_the_demo_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(DemoFailed, match=r"cannot hold the demo's files: [A-Z]"):
            await run_demo(folder, Console(quiet=True))
    assert (tmp_path / "file").read_text() == "mine"
