"""`greenroom demo`: one photo becomes a talking video, for free whatever the environment says."""

from pathlib import Path

import av
import numpy as np
import pytest
from rich.console import Console

from app.demo import run_demo


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
    film = await run_demo(tmp_path / "demo", console)

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
