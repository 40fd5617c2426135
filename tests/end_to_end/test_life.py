"""From a photo to a talking video, as a caller lives through it."""

import hmac
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

import app.simulator
from tests.api.callers import PHOTO, fetch
from tests.api.photos import upload
from tests.clocks import ManualClock
from tests.end_to_end.conftest import Story
from tests.services import Receiver

CLIP = Path(app.simulator.__file__).with_name("assets") / "clip.mp4"


@pytest.fixture
def clock() -> ManualClock:
    """Starts now: the official library refuses webhooks that are older than five minutes."""
    return ManualClock(datetime.now(UTC))


async def test_a_photo_becomes_a_talking_video_and_its_caller_is_told(
    story: Story, receiver: Receiver
) -> None:
    asset = (await upload(story.api, PHOTO.read_bytes())).json()["data"]
    look_id = await story.create_look({"type": "asset_id", "asset_id": asset["asset_id"]})
    video_id = await story.create(avatar_id=look_id, callback_url=receiver.url, callback_id="order 7")
    assert (await story.read(video_id))["status"] == "pending"
    await story.settle()

    look = (await story.api.get(f"/v3/avatars/looks/{look_id}")).json()["data"]
    video = await story.read(video_id)
    assert (look["status"], video["status"]) == ("completed", "completed")
    assert (len(story.bills("look")), len(story.bills())) == (1, 1)
    assert story.calls("POST", "/v3/assets") == 1

    [(headers, body)] = receiver.requests
    assert Webhook(story.secret).verify(body, headers) == json.loads(body)
    assert headers["heygen-signature"] == hmac.new(story.secret.encode(), body, "sha256").hexdigest()
    with pytest.raises(WebhookVerificationError):
        Webhook(story.secret).verify(body.replace(b"success", b"succes5"), headers)
    event = json.loads(body)
    assert event["event_type"] == "avatar_video.success"
    assert (event["event_data"]["video_id"], event["event_data"]["callback_id"]) == (video_id, "order 7")

    for link in (video["video_url"], event["event_data"]["url"]):
        film = await fetch(link)
        assert (film.status_code, film.headers["content-type"]) == (200, "video/mp4")
        assert film.content == CLIP.read_bytes()


async def test_a_heygen_that_never_calls_back_changes_nothing_for_the_caller(
    story: Story, receiver: Receiver
) -> None:
    story.simulator.set_scenario("callbacks_lost")
    video_id = await story.create(callback_url=receiver.url)
    await story.settle(within=120)
    video = await story.read(video_id)
    assert (video["status"], video["greenroom"]["completed_by"]) == ("completed", "poll")
    [body] = receiver.bodies
    assert json.loads(body)["event_data"]["url"] == video["video_url"]
    assert (await fetch(video["video_url"])).content == CLIP.read_bytes()
