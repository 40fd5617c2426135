"""`POST /v3/videos`: what is taken, and what becomes of it."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.api.file_inputs import InlineAsset, StoredAsset, UrlAsset
from app.api.video_bodies import KINDS, AvatarVideo
from app.api.video_requests import KEPT_BACK, Named, parse_video
from app.errors import ApiError

AVATAR: dict[str, Any] = {"type": "avatar", "avatar_id": "look", "script": "Hi there!", "voice_id": "voice"}
IMAGE: dict[str, Any] = {
    "type": "image",
    "image": {"type": "url", "url": "https://example.com/me.png"},
    "script": "Hi there!",
    "voice_id": "voice",
}
INLINE = {"type": "base64", "media_type": "image/jpeg", "data": "aGk="}
STORED = {"type": "asset_id", "asset_id": "file"}
CINEMATIC: dict[str, Any] = {"type": "cinematic_avatar", "prompt": "They meet.", "avatar_id": ["a", "b"]}
ACTOR: dict[str, Any] = {"type": "avatar", "avatar_id": "look", "script": "Hi there!"}
STUDIO: dict[str, Any] = {
    "type": "studio",
    "scenes": [
        {"type": "avatar_video", "input": ACTOR},
        {"type": "image", "source": STORED, "duration": 3},
        {"type": "video", "source": STORED},
    ],
}


def without(body: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key not in keys}


def test_the_guides_body_goes_upstream_but_for_its_title() -> None:
    guide = AVATAR | {"title": "Photo Avatar Demo", "resolution": "1080p", "aspect_ratio": "auto"}
    request = parse_video(guide)
    assert request.upstream == without(guide, "title")
    assert (request.type, request.title, request.image) == ("avatar", "Photo Avatar Demo", None)
    assert (request.looks, request.voices) == ((Named("avatar_id", "look"),), (Named("voice_id", "voice"),))
    assert (request.assets, request.inline, request.test) == ((), (), False)


GUIDE_OPTIONS: list[dict[str, Any]] = [
    {"motion_prompt": "gesturing with hands while presenting", "expressiveness": "high"},
    {"remove_background": True},
    {"background": {"type": "color", "value": "#00ff00"}},
    {"background": {"type": "image", "url": "https://example.com/wall.png"}},
    {"background": {"type": "image", "asset_id": "wall"}},
    {"voice_settings": {"speed": 1, "pitch": 0, "volume": 1, "locale": "en-US"}},
    {"voice_settings": {"speed": 0.5, "pitch": -50}},
    {"voice_settings": {"speed": 1.5, "pitch": 50.0, "volume": 0}},
    {"voice_settings": {"engine_settings": {"engine_type": "starfish"}}},
    {"voice_settings": {"engine_settings": {"engine_type": "fish", "model": "s2-pro", "stability": 1}}},
    {"voice_settings": {"engine_settings": {"engine_type": "fish", "similarity": 0.3}}},
    {
        "voice_settings": {
            "engine_settings": {
                "engine_type": "elevenlabs",
                "model": "eleven_v3",
                "stability": 0.5,
                "similarity_boost": 0.1,
                "style": 0,
                "use_speaker_boost": False,
            }
        }
    },
    *({"resolution": value} for value in ("4k", "1080p", "720p")),
    *({"aspect_ratio": value} for value in ("16:9", "9:16", "4:5", "5:4", "1:1", "auto")),
    *({"fit": value} for value in ("contain", "cover")),
    *({"expressiveness": value} for value in ("high", "medium", "low")),
    *({"output_format": value} for value in ("mp4", "webm")),
    {"caption": {"file_format": "srt"}},
    {"caption": {"file_format": "srt", "style": "default"}},
    {
        "watermark": {
            "image": {"type": "url", "url": "https://example.com/logo.png"},
            "scale": 2,
            "opacity": 0,
        }
    },
    {
        "watermark": {
            "image": {"type": "asset_id", "asset_id": "logo"},
            "placement": {"position": "top_left", "offset_x": -1, "offset_y": 1.0},
        }
    },
    {"folder_id": "f1"},
    {"folder_id": ""},
    {"brand_glossary_id": "g1"},
    {"script": "é" * 5_000},
    {"script": 'line\r\n\x1b[31m <break time="1s"/> {{7*7}} \'; DROP'},
]


@pytest.mark.parametrize("body", [AVATAR, IMAGE])
@pytest.mark.parametrize("options", GUIDE_OPTIONS, ids=str)
def test_every_option_goes_upstream_in_the_callers_words(
    body: dict[str, Any], options: dict[str, Any]
) -> None:
    assert parse_video(body | options).upstream == body | options


@pytest.mark.parametrize(
    "options",
    [
        {"engine": {"type": "avatar_iv"}},
        {"engine": {"type": "avatar_iii"}},
        {"engine": {"type": "avatar_v", "reference_look_id": "l2"}, "motion_prompt": "nods"},
        {"engine": {"type": "avatar_iv"}, "motion_prompt": "nods", "expressiveness": "low"},
    ],
)
def test_an_avatar_may_name_its_engine(options: dict[str, Any]) -> None:
    assert parse_video(AVATAR | options).upstream == AVATAR | options


@pytest.mark.parametrize("speech", [{"audio_url": "https://example.com/a.mp3"}, {"audio_asset_id": "a1"}])
@pytest.mark.parametrize("body", [AVATAR, IMAGE])
def test_audio_stands_in_for_script_and_voice(body: dict[str, Any], speech: dict[str, Any]) -> None:
    spoken = without(body, "script", "voice_id") | speech
    assert parse_video(spoken).upstream == spoken


def test_an_avatar_may_leave_the_voice_to_its_look() -> None:
    assert parse_video(without(AVATAR, "voice_id")).voices == ()


def test_what_is_the_callers_own_business_is_kept_from_heygen() -> None:
    own = {
        "title": "T",
        "callback_url": "https://example.com/hook?a=b",
        "callback_id": "c1",
        "test": True,
        "greenroom": {
            "metadata": {"order": None, "n": 1},
            "priority": -10,
            "deadline": "2030-01-31T12:00:00Z",
            "reuse": False,
            "archive": False,
        },
    }
    request = parse_video(AVATAR | own)
    assert own.keys() | {"enable_caption"} == KEPT_BACK
    assert request.upstream == AVATAR
    assert (request.title, request.callback_url, request.callback_id) == ("T", own["callback_url"], "c1")
    assert request.test is True
    assert request.greenroom.metadata == {"order": None, "n": 1}
    assert (request.greenroom.priority, request.greenroom.reuse, request.greenroom.archive) == (
        -10,
        False,
        False,
    )
    assert request.greenroom.deadline == datetime(2030, 1, 31, 12, tzinfo=UTC)


def test_an_explicit_null_counts_as_omitted_at_every_depth() -> None:
    nulls = dict.fromkeys(AvatarVideo.model_fields.keys() - AVATAR.keys())
    assert parse_video(AVATAR | nulls | {"image_url": None}) == parse_video(AVATAR)
    nested = {"voice_settings": {"speed": None, "engine_settings": None}, "caption": {"style": None}}
    assert parse_video(AVATAR | nested).upstream == AVATAR | {"voice_settings": {}, "caption": {}}


def test_a_false_test_is_dropped() -> None:
    request = parse_video(AVATAR | {"test": False})
    assert (request.test, request.upstream) == (False, AVATAR)


@pytest.mark.parametrize(
    ("given", "upstream"),
    [
        ({"enable_caption": True}, {"caption": {"file_format": "srt"}}),
        ({"enable_caption": False}, {}),
        (
            {"enable_caption": True, "caption": {"file_format": "srt", "style": "default"}},
            {"caption": {"file_format": "srt", "style": "default"}},
        ),
    ],
)
def test_an_older_clients_caption_switch_becomes_a_caption(
    given: dict[str, Any], upstream: dict[str, Any]
) -> None:
    assert parse_video(AVATAR | given).upstream == AVATAR | upstream


@pytest.mark.parametrize(
    ("old", "image"),
    [
        ({"image_url": "https://example.com/me.png"}, {"type": "url", "url": "https://example.com/me.png"}),
        ({"image_asset_id": "a1"}, {"type": "asset_id", "asset_id": "a1"}),
    ],
)
def test_an_older_clients_picture_under_avatar_becomes_an_image_video(
    old: dict[str, Any], image: dict[str, Any]
) -> None:
    request = parse_video(without(AVATAR, "avatar_id") | old)
    assert request == parse_video(IMAGE | {"image": image})
    assert (request.type, request.looks) == ("image", ())


def test_pictures_are_told_apart_by_where_they_come_from() -> None:
    assert parse_video(IMAGE).image == UrlAsset(type="url", url="https://example.com/me.png")
    stored = parse_video(IMAGE | {"image": {"type": "asset_id", "asset_id": "a1"}})
    assert stored.image == StoredAsset(type="asset_id", asset_id="a1")
    assert stored.upstream["image"] == {"type": "asset_id", "asset_id": "a1"}


def test_an_inline_picture_is_decoded_and_kept_out_of_what_is_stored() -> None:
    request = parse_video(IMAGE | {"image": INLINE, "watermark": {"image": INLINE, "scale": 1}})
    assert [path for path, _ in request.inline] == ["image", "watermark.image"]
    assert all(picture.data == b"hi" for _, picture in request.inline)
    assert isinstance(request.image, InlineAsset)
    place = {"type": "asset_id"}
    assert request.upstream == IMAGE | {"image": place, "watermark": {"image": place, "scale": 1}}


def test_every_asset_that_is_named_is_listed_with_its_place() -> None:
    body = without(IMAGE, "script") | {
        "image": {"type": "asset_id", "asset_id": "a1"},
        "background": {"type": "image", "asset_id": "a2"},
        "audio_asset_id": "a3",
        "watermark": {"image": {"type": "asset_id", "asset_id": "a4"}},
    }
    assert {named.path: named.id for named in parse_video(body).assets} == {
        "image.asset_id": "a1",
        "background.asset_id": "a2",
        "audio_asset_id": "a3",
        "watermark.image.asset_id": "a4",
    }


def test_the_other_types_go_upstream_in_the_callers_words_and_what_they_name_is_known() -> None:
    """Ids stand inside lists here; whatever is ours among them is replaced later, at its place."""
    cinematic = CINEMATIC | {
        "references": [STORED, INLINE, {"type": "url", "url": "https://example.com/a.mp4"}],
        "duration": 15.0,
        "enhance_prompt": False,
        "resolution": "1080p",
        "aspect_ratio": "1:1",
        "folder_id": "f1",
    }
    request = parse_video(cinematic | {"title": "T", "auto_duration": False})
    assert request.title == "T"
    assert request.looks == (Named("avatar_id.0", "a"), Named("avatar_id.1", "b"))
    assert [(named.path, named.kinds) for named in request.assets] == [
        ("references.0.asset_id", ("image", "video"))
    ]
    assert [path for path, _ in request.inline] == ["references.1"]
    assert request.upstream["references"][1] == {"type": "asset_id"}

    engine = {"type": "avatar_v", "reference_look_id": "like"}
    scenes = [
        {"type": "avatar_video", "input": ACTOR | {"voice_id": "v", "engine": engine}},
        {"type": "image", "source": INLINE, "audio_asset_id": "sound"},
        {"type": "video", "source": STORED, "script": "Over.", "voice_id": "w", "playback": {"mute": True}},
        {
            "type": "avatar_video",
            "input": without(ACTOR, "script")
            | {"audio_url": "https://example.com/a.mp3", "background": {"type": "color", "color": "#00ff00"}},
        },
    ]
    studio = {"type": "studio", "scenes": scenes, "caption": {"file_format": "srt"}, "callback_id": "c"}
    request = parse_video(studio)
    assert request.looks == (
        Named("scenes.0.input.avatar_id", "look"),
        Named("scenes.3.input.avatar_id", "look"),
    )
    assert request.references == (Named("scenes.0.input.engine.reference_look_id", "like"),)
    assert request.voices == (Named("scenes.0.input.voice_id", "v"), Named("scenes.2.voice_id", "w"))
    assert {named.path: (named.id, named.kinds) for named in request.assets} == {
        "scenes.1.audio_asset_id": ("sound", ("audio",)),
        "scenes.2.source.asset_id": ("file", ("video",)),
    }
    shown = [
        {**scenes[1], "source": {"type": "asset_id"}} if scene is scenes[1] else scene for scene in scenes
    ]
    assert request.upstream == without(studio, "callback_id") | {"scenes": shown}


def test_fields_to_forward_pass_verbatim_and_never_shadow_a_known_one() -> None:
    body = AVATAR | {"glossary": {"id": None}, "title": "T"}
    request = parse_video(body, forward_fields=frozenset({"glossary", "title", "greenroom", "image_url"}))
    assert request.upstream == AVATAR | {"glossary": {"id": None}}
    assert request.title == "T"


def test_the_callers_body_is_left_alone() -> None:
    body = without(IMAGE, "image") | {"type": "avatar", "image_asset_id": "a", "watermark": {"image": INLINE}}
    before = repr(body)
    parse_video(body)
    assert repr(body) == before


# A small alphabet of characters that mean something to some parser.
words = st.text("a0#:/.= -\n\x00é\ud800", max_size=8)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
FIELDS = sorted({"image_url", "image_asset_id"}.union(*(kind.model_fields for kind in KINDS.values())))
INNER = [
    "type",
    "engine_type",
    "url",
    "asset_id",
    "value",
    "data",
    "image",
    "metadata",
    "deadline",
    "engine_settings",
]
nearly = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(INNER, anything) | {"type": st.sampled_from(["color", "image", "url", "base64"])},
)


@settings(deadline=None)  # the machine may be busy
@given(
    st.sampled_from([AVATAR, IMAGE, CINEMATIC, STUDIO, {}]),
    st.dictionaries(st.sampled_from(FIELDS), anything | nearly, max_size=4),
)
def test_no_body_does_worse_than_a_refusal(base: dict[str, Any], changes: dict[str, Any]) -> None:
    with suppress(ApiError):
        request = parse_video(base | changes)
        assert request.upstream.keys().isdisjoint(KEPT_BACK)
        assert None not in request.upstream.values()
