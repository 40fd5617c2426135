"""`POST /v3/videos`: every rule of the request, broken, and what is said about it."""

from typing import Any

import pytest

from app.api.video_requests import parse_video
from app.errors import InvalidParameter
from tests.api.test_video_requests import ACTOR, AVATAR, CINEMATIC, IMAGE, INLINE, STORED, STUDIO, without

SPEECH = "Exactly one of 'script', 'audio_url' or 'audio_asset_id' must be provided."
VISUAL = "Exactly one visual source required: avatar_id, image_url, or image_asset_id."
ADDRESS = "must be an absolute http or https URL."


def refusal(body: dict[str, Any]) -> InvalidParameter:
    with pytest.raises(InvalidParameter) as caught:
        parse_video(body)
    assert (caught.value.status, caught.value.code) == (400, "invalid_parameter")
    return caught.value


def voice(**settings: Any) -> dict[str, Any]:
    return AVATAR | {"voice_settings": settings}


def engine_settings(engine: str, **settings: Any) -> dict[str, Any]:
    return voice(engine_settings={"engine_type": engine} | settings)


def watermark(**fields: Any) -> dict[str, Any]:
    return AVATAR | {"watermark": {"image": {"type": "asset_id", "asset_id": "a"}} | fields}


def background(**fields: Any) -> dict[str, Any]:
    return AVATAR | {"background": fields}


def greenroom(**fields: Any) -> dict[str, Any]:
    return AVATAR | {"greenroom": fields}


def cinematic(**fields: Any) -> dict[str, Any]:
    return CINEMATIC | fields


def scene(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "studio", "scenes": [{"type": kind, "source": STORED} | fields]}


def act(**fields: Any) -> dict[str, Any]:
    return {"type": "studio", "scenes": [{"type": "avatar_video", "input": ACTOR | fields}]}


ENGINES = ["elevenlabs", "fish"]
ENGINE_SETTINGS = "voice_settings.engine_settings"
SHARE = "must be between 0 and 1."
SWITCH = "must be true or false."
UNKNOWN = "is not a known field."
COLOR = "must be a color of the form #rrggbb."
BASE64 = "must be standard base64, without line breaks or a data: prefix."
NOT_WITH_ENGINE = "cannot be used with the engine"
NOT_WITH_WEBM = "cannot be used with the output format 'webm'."
TYPES = "it must be 'avatar', 'image', 'cinematic_avatar' or 'studio'."
TYPE = f"'type' names a type that Greenroom does not serve: {TYPES}"
BLACK = {"type": "color", "value": "#000000"}
LONG_URL = "https://example.com/" + "x" * 8_192
INSTANT = 'must be an ISO 8601 instant with a zone, such as "2030-01-31T12:00:00Z".'
ONE_BACKGROUND = "Exactly one of 'background.url' or 'background.asset_id' must be provided."

FIELD_RULES: list[tuple[dict[str, Any], str, str]] = [
    *((AVATAR | {key: 3}, key, "must be a string.") for key in ("avatar_id", "script", "voice_id", "title")),
    *((AVATAR | {key: 3}, key, "must be a string.") for key in ("motion_prompt", "callback_id", "folder_id")),
    *((AVATAR | {key: ""}, key, "must not be empty.") for key in ("avatar_id", "script", "voice_id")),
    *((AVATAR | {key: "x" * 256}, key, "must be at most 255 characters.") for key in ("avatar_id", "voice_id")),
    (AVATAR | {"script": "é" * 5_001}, "script", "must be at most 5000 characters."),
    *((AVATAR | {"script": blank}, "script", "must not be blank.") for blank in (" \n\t", "\u200b\ufeff")),
    (AVATAR | {"title": "x" * 1_001}, "title", "must be at most 1000 characters."),
    *((AVATAR | {"title": f"a{c}b"}, "title", "must not contain control characters.") for c in "\x01\n\t\x1f"),
    (AVATAR | {"callback_id": "x" * 1_001}, "callback_id", "must be at most 1000 characters."),
    (AVATAR | {"motion_prompt": "x" * 5_001}, "motion_prompt", "must be at most 5000 characters."),
    (AVATAR | {"folder_id": "x" * 256}, "folder_id", "must be at most 255 characters."),
    (AVATAR | {"callback_url": "https://example.com/" + "x" * 2_029}, "callback_url", "must be at most 2048 characters."),
    (AVATAR | {"resolution": "8k"}, "resolution", "must be '4k', '1080p' or '720p'."),
    (AVATAR | {"aspect_ratio": "3:2"}, "aspect_ratio", "must be '16:9', '9:16', '4:5', '5:4', '1:1' or 'auto'."),
    (AVATAR | {"fit": "fill"}, "fit", "must be 'contain' or 'cover'."),
    (AVATAR | {"output_format": "gif"}, "output_format", "must be 'mp4' or 'webm'."),
    (AVATAR | {"expressiveness": "max"}, "expressiveness", "must be 'high', 'medium' or 'low'."),
    *((AVATAR | {key: "true"}, key, SWITCH) for key in ("test", "enable_caption")),
    *((AVATAR | {key: 1}, key, SWITCH) for key in ("test", "remove_background")),
    (AVATAR | {"caption": "srt"}, "caption", "must be an object."),
    (AVATAR | {"caption": {"file_format": "vtt"}}, "caption.file_format", "must be 'srt'."),
    (AVATAR | {"caption": {"style": "big"}}, "caption.style", "must be 'default'."),
    (AVATAR | {"engine": {"type": "avatar_vi"}}, "engine.type", "must be 'avatar_iii', 'avatar_iv' or 'avatar_v'."),
    (AVATAR | {"engine": {}}, "engine.type", "is required."),
    (background(type="video"), "background.type", "must be one of 'color', 'image'."),
    (background(type="color"), "background.value", "is required."),
    *((background(type="color", value=v), "background.value", COLOR) for v in ("red", "#fff", "#00ff00\n")),
    (background(type="color", value="#00ff00", url="https://a.b/c"), "background.url", UNKNOWN),
    (background(type="image", url="x"), "background.url", ADDRESS),
    (background(type="image", value="#00ff00"), "background.value", UNKNOWN),
    *((voice(speed=v), "voice_settings.speed", "must be between 0.5 and 1.5.") for v in (0.49, 1.51)),
    *((voice(pitch=v), "voice_settings.pitch", "must be between -50 and 50.") for v in (-50.1, 51)),
    *((voice(volume=v), "voice_settings.volume", SHARE) for v in (-0.1, 1.1, float("nan"))),
    (voice(volume=10**400), "voice_settings.volume", "must be a number."),
    *((voice(speed=v), "voice_settings.speed", "must be a number.") for v in (True, "1")),
    (voice(locale=""), "voice_settings.locale", "must not be empty."),
    (voice(tempo=1), "voice_settings.tempo", UNKNOWN),
    (engine_settings("polly"), f"{ENGINE_SETTINGS}.engine_type", "must be one of 'elevenlabs', 'fish', 'starfish'."),
    (voice(engine_settings={}), f"{ENGINE_SETTINGS}.engine_type", "is required."),
    (engine_settings("starfish", model="x"), f"{ENGINE_SETTINGS}.model", UNKNOWN),
    (engine_settings("fish", model="s3"), f"{ENGINE_SETTINGS}.model", "must be 's1' or 's2-pro'."),
    *((engine_settings(e, stability=2), f"{ENGINE_SETTINGS}.stability", SHARE) for e in ENGINES),
    (engine_settings("fish", similarity=-1), f"{ENGINE_SETTINGS}.similarity", SHARE),
    (engine_settings("elevenlabs", similarity_boost=2), f"{ENGINE_SETTINGS}.similarity_boost", SHARE),
    (engine_settings("elevenlabs", style=2), f"{ENGINE_SETTINGS}.style", SHARE),
    (engine_settings("elevenlabs", use_speaker_boost=1), f"{ENGINE_SETTINGS}.use_speaker_boost", SWITCH),
    (
        engine_settings("elevenlabs", model="eleven_v3", stability=0.4),
        f"{ENGINE_SETTINGS}.stability",
        "must be 0, 0.5 or 1 with the model 'eleven_v3'.",
    ),
    (AVATAR | {"watermark": {}}, "watermark.image", "is required."),
    (watermark(image={"type": "asset_id"}), "watermark.image.asset_id", "is required."),
    *((watermark(scale=v), "watermark.scale", "must be greater than 0 and at most 2.") for v in (0, 2.1)),
    (watermark(opacity=1.1), "watermark.opacity", SHARE),
    (watermark(placement={"offset_x": -1.1}), "watermark.placement.offset_x", "must be between -1 and 1."),
    (watermark(placement={"offset_y": 1.1}), "watermark.placement.offset_y", "must be between -1 and 1."),
    (
        watermark(placement={"position": "middle"}),
        "watermark.placement.position",
        "must be 'top_left', 'top_right', 'bottom_left' or 'bottom_right'.",
    ),
    *((greenroom(priority=v), "greenroom.priority", "must be between -10 and 10.") for v in (-11, 11, 10**30, 1e300)),
    *((greenroom(priority=v), "greenroom.priority", "must be an integer.") for v in (True, "1", 0.5)),
    *(
        (greenroom(deadline=v), "greenroom.deadline", INSTANT)
        for v in (3600, "soon", "2030-01-31", "2030-01-31T12:00:00", "0001-01-01T00:00:00+14:00", "\ud800")
    ),
    (greenroom(metadata=[]), "greenroom.metadata", "must be an object."),
    (greenroom(metadata={"a": "é" * 8_192}), "greenroom.metadata", "must be at most 16 kB of JSON."),
    (greenroom(reuse="no"), "greenroom.reuse", SWITCH),
    (greenroom(archive=0), "greenroom.archive", SWITCH),
    (greenroom(color="x"), "greenroom.color", UNKNOWN),
    (AVATAR | {"greenroom": []}, "greenroom", "must be an object."),
    (AVATAR | {"dimension": {}}, "dimension", UNKNOWN),
    (AVATAR | {"image": {}}, "image", UNKNOWN),
    (IMAGE | {"engine": {"type": "avatar_iv"}}, "engine", UNKNOWN),
    (IMAGE | {"image_url": "https://a.b/c"}, "image_url", UNKNOWN),
    (without(IMAGE, "image"), "image", "is required."),
    (IMAGE | {"image": "x"}, "image", "must be an object."),
    (IMAGE | {"image": {"type": "url"}}, "image.url", "is required."),
    (IMAGE | {"image": {"type": "url", "url": LONG_URL}}, "image.url", "must be at most 8192 characters."),
    (IMAGE | {"image": INLINE | {"data": "!"}}, "image.data", BASE64),
    (without(AVATAR, "avatar_id") | {"image_url": "x"}, "image_url", ADDRESS),
    (without(AVATAR, "avatar_id") | {"image_asset_id": ""}, "image_asset_id", "must not be empty."),
    (without(IMAGE, "voice_id"), "voice_id", "is required with 'script'."),
    (AVATAR | {"output_format": "webm", "background": BLACK}, "background", NOT_WITH_WEBM),
    *(
        (AVATAR | {"engine": {"type": e}, "expressiveness": "low"}, "expressiveness", f"{NOT_WITH_ENGINE} '{e}'.")
        for e in ("avatar_iii", "avatar_v")
    ),
    (
        AVATAR | {"engine": {"type": "avatar_iii"}, "motion_prompt": "x"},
        "motion_prompt",
        f"{NOT_WITH_ENGINE} 'avatar_iii'.",
    ),
    (
        AVATAR | {"engine": {"type": "avatar_iv", "reference_look_id": "l"}},
        "engine.reference_look_id",
        f"{NOT_WITH_ENGINE} 'avatar_iv'.",
    ),
    (AVATAR | {"brand_glossary_id": ""}, "brand_glossary_id", "must not be empty."),
    (cinematic(prompt=""), "prompt", "must not be empty."),
    (cinematic(prompt="x" * 10_001), "prompt", "must be at most 10000 characters."),
    (cinematic(avatar_id="a"), "avatar_id", "must be a list."),
    (cinematic(avatar_id=[]), "avatar_id", "must have at least 1 item."),
    (cinematic(avatar_id=["a"] * 4), "avatar_id", "must have at most 3 items."),
    (cinematic(avatar_id=["a", ""]), "avatar_id.1", "must not be empty."),
    (cinematic(references=[STORED] * 13), "references", "must have at most 12 items."),
    (cinematic(references=[STORED, {"type": "url"}]), "references.1.url", "is required."),
    *((cinematic(duration=v), "duration", "must be between 4 and 15.") for v in (3, 16)),
    (cinematic(duration=4.5), "duration", "must be an integer."),
    (cinematic(duration=4, auto_duration=True), "duration", "cannot be used with 'auto_duration'."),
    (cinematic(enhance_prompt="yes"), "enhance_prompt", SWITCH),
    (cinematic(resolution="4k"), "resolution", "must be '720p' or '1080p'."),
    (cinematic(aspect_ratio="auto"), "aspect_ratio", "must be '16:9', '9:16' or '1:1'."),
    *(
        (
            cinematic(**{key: "https://example.com/hook"}),
            key,
            "cannot be used with the type 'cinematic_avatar', of which HeyGen calls nobody back: read the video, or"
            " register a webhook endpoint.",
        )
        for key in ("callback_url", "callback_id")
    ),
    (cinematic(script="x"), "script", UNKNOWN),
    (STUDIO | {"scenes": []}, "scenes", "must have at least 1 item."),
    (STUDIO | {"scenes": STUDIO["scenes"] * 17}, "scenes", "must have at most 50 items."),
    (STUDIO | {"scenes": [{}]}, "scenes.0.type", "is required."),
    (scene("text"), "scenes.0.type", "must be one of 'avatar_video', 'image', 'video'."),
    *((STUDIO | {key: "x"}, key, UNKNOWN) for key in ("output_format", "script", "fit", "remove_background")),
    (scene("image", source=None, duration=1), "scenes.0.source", "is required."),
    *((scene("image", duration=v), "scenes.0.duration", "must be greater than 0 and at most 300.") for v in (0, 301)),
    (scene("image", script="x"), "scenes.0.voice_id", "is required with 'scenes.0.script'."),
    (scene("video", script="x"), "scenes.0.voice_id", "is required with 'scenes.0.script'."),
    (scene("video", duration=1), "scenes.0.duration", UNKNOWN),
    (scene("video", playback={"volume": 2}), "scenes.0.playback.volume", SHARE),
    (scene("video", playback={"mode": "fast"}), "scenes.0.playback.mode", "must be 'freeze', 'loop' or 'fit_to_scene'."),
    (act(type="image"), "scenes.0.input.type", "must be 'avatar'."),
    (act(script=" "), "scenes.0.input.script", "must not be blank."),
    (act(background={"type": "image", "color": "#000000"}), "scenes.0.input.background.type", "must be 'color'."),
    (act(background={"type": "color", "color": "red"}), "scenes.0.input.background.color", COLOR),
    (act(callback_url="https://a.b/c"), "scenes.0.input.callback_url", UNKNOWN),
    (
        act(engine={"type": "avatar_iii"}, motion_prompt="x"),
        "scenes.0.input.motion_prompt",
        f"{NOT_WITH_ENGINE} 'avatar_iii'.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("body", "param", "rule"), FIELD_RULES)
def test_a_broken_rule_is_named_with_its_field(body: dict[str, Any], param: str, rule: str) -> None:
    error = refusal(body)
    assert (error.param, error.message, error.errors) == (param, f"'{param}' {rule}", ())


@pytest.mark.parametrize(
    "address",
    [
        "", "x", "/path", "//example.com/", "example.com", "ftp://example.com/", "file:///etc/passwd", "http:127.0.0.1",
        "http:///x", "https://", "javascript:alert(1)", "http://example.com:99999/", "http://example.com:0x50/",
        "http://exa\tmple.com/", "http://\n127.0.0.1/", " http://example.com/", "http://example.com/ x",
        "http://example.com\\@evil/", "http://[::1/", "http://a/\x7f",
    ],
)  # fmt: skip
@pytest.mark.parametrize("key", ["callback_url", "audio_url"])
def test_only_an_absolute_web_address_is_a_url(key: str, address: str) -> None:
    body = AVATAR if key == "callback_url" else without(AVATAR, "script")
    error = refusal(body | {key: address})
    assert (error.param, error.message) == (key, f"'{key}' {ADDRESS}")


@pytest.mark.parametrize(
    "address",
    [
        "http://example.com/a.mp3", "https://127.0.0.1/a.mp3", "https://10.0.0.1:8443/", "https://[::1]/", "https://localhost/",
        "https://169.254.169.254/latest", "https://[::ffff:192.168.0.1]/", "https://0x7f.1/", "https://2130706433/",
        "https://intranet/a.mp3", "https://db.internal/", "https://me@10.0.0.1/", "https://１２７.0.0.1/", "https://a..example/",
    ],
)  # fmt: skip
def test_a_file_stands_at_a_public_https_address(address: str) -> None:
    body = without(AVATAR, "script") | {"audio_url": address}
    error = refusal(body)
    assert error.param == "audio_url"
    assert error.message.startswith("'audio_url' must be a publicly accessible HTTPS URL: ")
    assert parse_video(body, allow_private=True).upstream["audio_url"] == address


@pytest.mark.parametrize(
    "address",
    ["https://me:pass@example.com:444/a.mp3", "https://bücher.example/é", "https://8.8.8.8/" + "x" * 8_000],
)
def test_what_follows_a_public_host_is_heygens_business(address: str) -> None:
    body = without(AVATAR, "script") | {"audio_url": address}
    assert parse_video(body).upstream["audio_url"] == address


@pytest.mark.parametrize(
    "address", ["http://example.com", "HTTPS://EXAMPLE.com:8443/a?b=c#d", "https://bücher.example/é"]
)
def test_web_addresses_of_any_host_are_taken(address: str) -> None:
    assert parse_video(AVATAR | {"callback_url": address}).callback_url == address


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        (without(AVATAR, "script"), "script", SPEECH),
        (AVATAR | {"audio_url": "https://a.b/c"}, "script", SPEECH),
        (without(AVATAR, "script") | {"audio_url": "https://a.b/c", "audio_asset_id": "a"}, "script", SPEECH),
        (IMAGE | {"audio_asset_id": "a"}, "script", SPEECH),
        (without(AVATAR, "avatar_id"), "avatar_id", VISUAL),
        (AVATAR | {"image_url": "https://a.b/c"}, "avatar_id", VISUAL),
        (AVATAR | {"image_asset_id": "a"}, "avatar_id", VISUAL),
        (background(type="image"), "background", ONE_BACKGROUND),
        (background(type="image", url="https://a.b/c", asset_id="a"), "background", ONE_BACKGROUND),
        (without(AVATAR, "type"), "type", f"'type' is required: {TYPES}"),
        *(
            (AVATAR | {"type": kind}, "type", TYPE)
            for kind in ("talking_photo", "", 3, ["avatar"], {"a": 1})
        ),
    ],
)  # fmt: skip
def test_fields_that_exclude_or_need_each_other_are_explained(
    body: dict[str, Any], param: str, message: str
) -> None:
    error = refusal(body)
    assert (error.param, error.message) == (param, message)


SCENE = "'scenes.0.script', 'scenes.0.audio_url' or 'scenes.0.audio_asset_id'"


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        (
            scene("image"),
            "scenes.0.duration",
            f"Exactly one of 'scenes.0.duration', {SCENE} must be provided.",
        ),
        (
            scene("image", duration=1, audio_asset_id="a"),
            "scenes.0.duration",
            f"Exactly one of 'scenes.0.duration', {SCENE} must be provided.",
        ),
        (
            scene("video", audio_url="https://a.b/c", audio_asset_id="a"),
            "scenes.0.script",
            f"At most one of {SCENE} may be provided.",
        ),
        (
            act(script=None),
            "scenes.0.input.script",
            f"Exactly one of {SCENE.replace('scenes.0', 'scenes.0.input')} must be provided.",
        ),
    ],
)
def test_who_speaks_in_a_scene_is_explained(body: dict[str, Any], param: str, message: str) -> None:
    error = refusal(body)
    assert (error.param, error.message) == (param, message)


def test_several_faults_are_told_at_once() -> None:
    error = refusal(AVATAR | {"script": "", "voice_settings": {"speed": 9}, "colour": "red"})
    assert error.message == "'script' must not be empty."
    assert [fault.path for fault in error.errors] == ["script", "voice_settings.speed", "colour"]
