"""What `POST /v3/videos` and `POST /v3/avatars` refuse, and which field they name."""

from __future__ import annotations

from typing import Any

import pytest

from app.simulator.app import Simulator
from tests.simulator.conftest import PUBLIC_LOOK, VOICE, Api

STUDIO_LOOK = "100c0000000000000000000000000003"
AVATAR = {"type": "avatar", "avatar_id": PUBLIC_LOOK, "script": "Hello.", "voice_id": VOICE}
LEAVE_OUT = object()

REFUSED: list[tuple[dict[str, Any], str | None, str]] = [
    ({"type": LEAVE_OUT}, "type", "'type' is required."),
    ({"type": "hologram"}, "type", "'type' must be one of: avatar, image, cinematic_avatar, studio."),
    ({"type": ["avatar"]}, "type", "'type' must be one of: avatar, image, cinematic_avatar, studio."),
    ({"avatar_id": LEAVE_OUT}, "avatar_id", "'avatar_id' is required."),
    ({"avatar_id": ""}, "avatar_id", "'avatar_id' must not be empty."),
    ({"avatar_id": 7}, "avatar_id", "'avatar_id' must be a valid string."),
    ({"mood": "good"}, "mood", "'mood' is not a known field."),
    ({"image": {"type": "url", "url": "http://a"}}, "image", "'image' is not a known field."),
    ({"script": ""}, "script", "'script' must not be empty."),
    ({"script": "a" * 5001}, "script", "'script' must be at most 5000 characters."),
    (
        {"script": LEAVE_OUT},
        "script",
        "Exactly one of 'script', 'audio_url' or 'audio_asset_id' is required.",
    ),
    (
        {"audio_url": "http://a"},
        "script",
        "Exactly one of 'script', 'audio_url' or 'audio_asset_id' is required.",
    ),
    (
        {"script": None, "audio_url": "http://a", "audio_asset_id": "b"},
        "script",
        "Exactly one of 'script', 'audio_url' or 'audio_asset_id' is required.",
    ),
    (
        {"voice_settings": {"speed": 1.6}},
        "voice_settings.speed",
        "'voice_settings.speed' must be between 0.5 and 1.5.",
    ),
    (
        {"voice_settings": {"pitch": -51}},
        "voice_settings.pitch",
        "'voice_settings.pitch' must be between -50 and 50.",
    ),
    (
        {"voice_settings": {"volume": 1.1}},
        "voice_settings.volume",
        "'voice_settings.volume' must be between 0 and 1.",
    ),
    (
        {"voice_settings": {"speed": "fast"}},
        "voice_settings.speed",
        "'voice_settings.speed' must be a valid number.",
    ),
    (
        {"voice_settings": {"engine_settings": {"engine_type": "elevenlabs"}}},
        "voice_settings.engine_settings",
        "The voice is not of this engine; it is of 'starfish'.",
    ),
    (
        {"voice_settings": {"engine_settings": {"engine_type": "fish", "style": 1}}},
        "voice_settings.engine_settings.style",
        "'style' is not a known field of engine 'fish'.",
    ),
    (
        {
            "voice_settings": {
                "engine_settings": {"engine_type": "elevenlabs", "model": "eleven_v3", "stability": 0.4}
            }
        },
        "voice_settings.engine_settings.stability",
        "'stability' must be 0, 0.5 or 1 for 'eleven_v3'.",
    ),
    ({"resolution": "8k"}, "resolution", "'resolution' must be one of: '4k', '1080p', '720p'."),
    ({"fit": "stretch"}, "fit", "'fit' must be one of: 'contain', 'cover'."),
    (
        {"background": {"type": "color", "value": "red"}},
        "background.value",
        "'background.value' must be a color such as #1a2b3c.",
    ),
    ({"background": {"type": "color"}}, "background.value", "'value' is required."),
    (
        {"background": {"type": "image"}},
        "background.url",
        "Exactly one of 'url' or 'asset_id' is required.",
    ),
    (
        {"background": {"type": "image", "url": "http://a", "asset_id": "b"}},
        "background.url",
        "Exactly one of 'url' or 'asset_id' is required.",
    ),
    (
        {"output_format": "webm", "background": {"type": "color", "value": "#000000"}},
        "background",
        "'background' cannot be used with output_format 'webm'.",
    ),
    (
        {"caption": {"file_format": "vtt"}},
        "caption.file_format",
        "'caption.file_format' must be one of: 'srt'.",
    ),
    ({"engine": {"type": "avatar_v"}}, "engine", "'engine' avatar_v is not supported by this avatar."),
    (
        {"engine": {"type": "avatar_iv", "reference_look_id": "a"}},
        "engine.reference_look_id",
        "'reference_look_id' is only for 'avatar_v'.",
    ),
    (
        {"engine": {"type": "avatar_iii"}, "resolution": "4k"},
        "resolution",
        "'resolution' 4k is not supported for photo avatars with avatar_iii.",
    ),
    (
        {"engine": {"type": "avatar_iii"}, "motion_prompt": "nods"},
        "motion_prompt",
        "'motion_prompt' is not supported by this avatar with avatar_iii.",
    ),
    (
        {"avatar_id": STUDIO_LOOK, "motion_prompt": "nods"},
        "motion_prompt",
        "'motion_prompt' is not supported by this avatar with avatar_iv.",
    ),
    (
        {"avatar_id": STUDIO_LOOK, "expressiveness": "high"},
        "expressiveness",
        "'expressiveness' is only for photo avatars with avatar_iv.",
    ),
    ({"callback_url": "/here"}, "callback_url", "'callback_url' must be an absolute URL."),
    (
        {"watermark": {"image": {"type": "asset_id", "asset_id": "a"}, "scale": 3}},
        "watermark.scale",
        "'watermark.scale' must be between 1e-09 and 2.",
    ),
]


@pytest.mark.parametrize(("change", "param", "message"), REFUSED)
async def test_a_body_that_breaks_a_rule_is_refused_by_name(
    api: Api, simulator: Simulator, change: dict[str, Any], param: str | None, message: str
) -> None:
    body = {name: value for name, value in {**AVATAR, **change}.items() if value is not LEAVE_OUT}
    refused = await api.call("POST", "/v3/videos", json=body)
    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (400, "invalid_parameter")
    assert (error["param"], error["message"]) == (param, message)
    assert simulator.ledger() == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[",
        b"[]",
        b"NaN",
        b'{"a": NaN}',
        b"\xff",
        b"[" * 100_000,
        b'"\\ud800"',
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
)
async def test_a_body_that_is_no_json_object_is_refused(api: Api, content: bytes) -> None:
    refused = await api.call("POST", "/v3/videos", content=content)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_parameter")


@pytest.mark.parametrize(
    ("change", "code"),
    [({"avatar_id": "nobody"}, "avatar_not_found"), ({"voice_id": "nobody"}, "voice_not_found")],
)
async def test_unknown_ids_are_404(api: Api, change: dict[str, str], code: str) -> None:
    refused = await api.create_video(**change)
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, code)


async def test_a_look_with_a_voice_of_its_own_needs_no_voice(api: Api, simulator: Simulator) -> None:
    assert (await api.create_video(voice_id=None)).status_code == 200
    mine = await api.look()
    simulator.finish(mine)
    refused = await api.create_video(avatar_id=mine, voice_id=None)
    assert refused.json()["error"]["param"] == "voice_id"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"type": "avatar", "name": "a", "prompt": "b"}, "type"),
        ({"type": "photo", "file": {"type": "asset_id", "asset_id": "a"}}, "name"),
        ({"type": "photo", "name": "a"}, "files"),
        ({"type": "photo", "name": "a", "file": {"type": "ftp"}}, "file.type"),
    ],
)
async def test_an_avatar_that_breaks_a_rule_is_refused(api: Api, body: dict[str, Any], param: str) -> None:
    refused = await api.call("POST", "/v3/avatars", json=body)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)
