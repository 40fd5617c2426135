"""HeyGen calls back twice, too early, too late, falsely or against its own word: the caller notices nothing."""

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from tests.end_to_end.conftest import Story
from tests.services import Receiver

DAY = 24 * 3600.0


@pytest.mark.parametrize(
    ("scenario", "options", "reads"),
    [
        ("callbacks_doubled", {}, 1),
        ("callback_before_answer", {}, 1),
        # The forgery costs one read; the true callback, within its half minute, waits for the next one.
        ("callback_forged", {}, 2),
        ("callbacks_delayed", {"seconds": 600}, 1),
        ("callbacks_delayed", {"seconds": 2 * DAY}, 1),
        ("late_failure", {"seconds": 1}, 1),
        ("late_failure", {"seconds": 600}, 1),
    ],
)
async def test_whatever_heygen_calls_back_the_end_is_the_same_and_is_told_once(
    story: Story, receiver: Receiver, scenario: str, options: dict[str, Any], reads: int
) -> None:
    story.simulator.set_scenario(scenario, **options)
    video_id = await story.create(callback_url=receiver.url)
    await story.settle(within=120)
    ended = await story.read(video_id)
    await story.pass_time(900, step=300)
    await story.pass_time(3 * DAY, step=DAY)

    video = await story.read(video_id)
    assert (video["status"], video["failure_code"]) == ("completed", None)
    assert video["completed_at"] == ended["completed_at"]
    assert await story.facts(video_id) == ["Enqueued", "Claimed", "Accepted", "Completed"]
    assert [json.loads(body)["event_type"] for body in receiver.bodies] == ["avatar_video.success"]
    assert len(story.bills()) == 1
    assert story.reads() <= reads
    assert callbacks_left(story) == 0, "every callback was sent and taken"


def callbacks_left(story: Story) -> int:
    """What the simulator still has to call back, by its own file."""
    file = story.simulator.options.folder / "simulator.sqlite3"
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as witness:
        (count,) = witness.execute("SELECT count(*) FROM callbacks WHERE delivered_at IS NULL").fetchone()
    return int(count)
