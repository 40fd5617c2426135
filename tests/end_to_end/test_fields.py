"""What a caller asks for is what HeyGen is asked for, field by field, as the photo avatar guide lists them."""

import hashlib
import io
import json
import wave
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from sqlalchemy import select

from app.models import AssetUpload
from tests.api.callers import VIDEO
from tests.api.photos import PhotoServer, photo_server, picture, upload
from tests.end_to_end.conftest import Story

GUIDE = [
    {"title": "Photo Avatar Demo", "resolution": "1080p", "aspect_ratio": "auto"},
    {"script": "Let me show you our quarterly results.\n\tÄ “quoted” 你好 😀 </script>"},
    {"motion_prompt": "gesturing with hands while presenting", "expressiveness": "high"},
    {"expressiveness": "medium", "resolution": "720p", "aspect_ratio": "9:16"},
    {"expressiveness": "low", "resolution": "4k", "aspect_ratio": "4:5"},
    {"aspect_ratio": "5:4"},
    {"aspect_ratio": "1:1"},
    {"aspect_ratio": "16:9", "remove_background": True},
    {"remove_background": False, "background": {"type": "color", "value": "#f6F6fc"}},
    {"background": {"type": "image", "url": "{host}/photo.png"}},
    {"background": {"type": "image", "asset_id": "{picture}"}},
    {"voice_settings": {"speed": 1.15, "pitch": -12, "locale": "en-GB"}},
    {"script": None, "voice_id": None, "audio_url": "{host}/voice.wav"},
    {"script": None, "voice_id": None, "audio_asset_id": "{voice}"},
]


@pytest.fixture
async def host() -> AsyncIterator[PhotoServer]:
    """Where the addresses in a request lead; HeyGen fetches them, we do not."""
    async with photo_server() as server:
        server.files["/voice.wav"] = spoken()
        yield server


def spoken() -> bytes:
    """A second of silence."""
    content = io.BytesIO()
    with wave.open(content, "wb") as voice:
        voice.setnchannels(1)
        voice.setsampwidth(2)
        voice.setframerate(8000)
        voice.writeframes(bytes(16000))
    return content.getvalue()


async def arrived(story: Story) -> dict[str, dict[str, Any]]:
    """What HeyGen got for each job: the bytes we kept, proved by the digest in HeyGen's own ledger."""
    billed = {bill.body_sha256 for bill in story.bills()}
    bodies = {}
    for send in await story.submissions():
        if send.body_encrypted is not None:
            body = story.context.secrets.decrypt(send.body_encrypted)
            assert hashlib.sha256(body).hexdigest() in billed
            bodies[send.job_id] = json.loads(body)
    return bodies


def filled(fields: object, names: Mapping[str, str]) -> Any:
    """The fields with the names in braces replaced."""
    text = json.dumps(fields)
    for name, value in names.items():
        text = text.replace(f"{{{name}}}", value)
    return json.loads(text)


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize("some", [GUIDE[:7], GUIDE[7:]], ids=["first", "second"])
async def test_every_field_of_the_guide_arrives_at_heygen_as_it_was_given(
    story: Story, host: PhotoServer, some: list[dict[str, Any]]
) -> None:
    ours, heygens = {"host": host.url}, {"host": host.url}
    for name, content in (("picture", picture()), ("voice", spoken())):
        ours[name] = (await upload(story.api, content)).json()["data"]["asset_id"]
    look_id = await story.create_look()
    await story.settle()
    look = (await story.api.get(f"/v3/avatars/looks/{look_id}")).json()["data"]
    story.simulator.set_timeline(render_seconds=1e6)
    ids = [await story.create(avatar_id=look_id, **filled(changes, ours)) for changes in some]
    await story.work()
    bodies = await arrived(story)
    async with story.context.database.begin() as session:
        for upload_row in await session.scalars(select(AssetUpload)):
            known = {asset_id: name for name, asset_id in ours.items()}
            heygens[known.get(upload_row.asset_id, "look")] = upload_row.heygen_asset_id
    for video_id, changes in zip(ids, some, strict=True):
        body = bodies[video_id]
        asked = {
            name: value for name, value in (VIDEO | filled(changes, heygens)).items() if value is not None
        }
        assert body.pop("title").startswith(f"{asked.pop('title')} [gr:")
        assert body.pop("avatar_id") == look["greenroom"]["heygen_avatar_id"]
        assert body.pop("callback_id") == video_id
        assert body.pop("callback_url").startswith(f"{story.context.callback_base}/callbacks/heygen/")
        asked.pop("avatar_id")
        assert body == asked
