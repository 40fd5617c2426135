"""Messages that break the contract, each with a piece of the fault that must be found; one at least a rule."""

from typing import Any

from tests.contract import examples as ok
from tests.contract import upload_examples as uploads
from tests.contract import voice_examples as voices
from tests.contract import webhook_examples as hooks

ONE_AUDIO = "Exactly one of script, audio_url and audio_asset_id"
Message = tuple[str, str, Any]


def video(**changes: Any) -> Message:
    return (*ok.VIDEOS, ok.SHORT | changes)


def cinema(**changes: Any) -> Message:
    return (*ok.VIDEOS, ok.CINEMATIC_VIDEO | changes)


def scene(**fields: Any) -> Message:
    return (*ok.VIDEOS, {"type": "studio", "scenes": [fields]})


def voice(**settings: Any) -> Message:
    return video(voice_settings=settings)


def eleven(**settings: Any) -> Message:
    return voice(engine_settings={"engine_type": "elevenlabs"} | settings)


def fish(**settings: Any) -> Message:
    return voice(engine_settings={"engine_type": "fish"} | settings)


def mark(**settings: Any) -> Message:
    return video(watermark={"image": ok.LINK} | settings)


def image(**changes: Any) -> Message:
    return (*ok.VIDEOS, {"type": "image", "image": ok.LINK} | changes)


def get(path: str) -> Message:
    return ("GET", path, None)


REFUSED_REQUESTS: list[tuple[Message, str]] = [
    (video(type="talking_photo"), "$.type: 'talking_photo' is none of avatar, image"),
    (video(script=None), ONE_AUDIO),
    (video(audio_url="https://example.com/a.mp3"), ONE_AUDIO),
    (video(script=None, audio_url="u", audio_asset_id="a"), ONE_AUDIO),
    (video(script=""), "$.script"),
    (video(script="x" * 5001), "$.script"),
    (video(resolution="8k"), "$.resolution"),
    (video(aspect_ratio="4:3"), "$.aspect_ratio"),
    (video(fit="fill"), "$.fit"),
    (video(output_format="mov"), "$.output_format"),
    (video(output_format="webm", background={"type": "color", "value": "#ffffff"}), "webm is transparent"),
    (video(background={"type": "color"}), "$.background: 'value' is a required property"),
    (video(background={"type": "color", "value": "white"}), "$.background.value"),
    (video(background={"type": "color", "value": "#ffffff", "url": "u"}), "$.background.url"),
    (video(background={"type": "color", "value": "#ffffff", "asset_id": "a"}), "$.background.asset_id"),
    (video(background={"type": "image"}), "Exactly one of url and asset_id"),
    (video(background={"type": "image", "url": "u", "asset_id": "a"}), "Exactly one of url and asset_id"),
    (video(background={"type": "image", "url": "u", "value": "#ffffff"}), "$.background.value"),
    (video(caption={"file_format": "vtt"}), "$.caption.file_format"),
    (video(caption={"style": "bold"}), "$.caption.style"),
    (video(expressiveness="wild"), "$.expressiveness"),
    (video(engine={"type": "avatar_vi"}), "$.engine.type"),
    (video(engine={"type": "avatar_iv", "reference_look_id": "l2"}), "'reference_look_id' was unexpected"),
    (video(engine={"type": "avatar_iii"}, motion_prompt="Nod."), "$.motion_prompt"),
    (video(engine={"type": "avatar_iii"}, expressiveness="low"), "$.expressiveness"),
    (video(engine={"type": "avatar_v"}, expressiveness="low"), "$.expressiveness"),
    *((voice(speed=speed), "$.voice_settings.speed") for speed in (0.4, 1.6)),
    *((voice(pitch=pitch), "$.voice_settings.pitch") for pitch in (-51, 51)),
    *((voice(volume=volume), "$.voice_settings.volume") for volume in (-0.1, 1.1)),
    (voice(engine_settings={"engine_type": "siren"}), "engine_type: 'siren' is none of"),
    (eleven(model="eleven_v9"), "engine_settings.model"),
    (eleven(model="eleven_v3", stability=0.4), "engine_settings.stability"),
    *((eleven(stability=value), "engine_settings.stability") for value in (-0.1, 1.1)),
    *((eleven(similarity_boost=value), "engine_settings.similarity_boost") for value in (-0.1, 1.1)),
    *((eleven(style=value), "engine_settings.style") for value in (-0.1, 1.1)),
    (fish(model="s3"), "engine_settings.model"),
    *((fish(stability=value), "engine_settings.stability") for value in (-0.1, 1.1)),
    *((fish(similarity=value), "engine_settings.similarity") for value in (-0.1, 1.1)),
    *((mark(scale=value), "$.watermark.scale") for value in (0, 2.1)),
    *((mark(opacity=value), "$.watermark.opacity") for value in (-0.1, 1.1)),
    *((mark(placement={"offset_x": value}), "placement.offset_x") for value in (-1.1, 1.1)),
    *((mark(placement={"offset_y": value}), "placement.offset_y") for value in (-1.1, 1.1)),
    (mark(placement={"position": "center"}), "placement.position"),
    (mark(image={"type": "url", "url": "http://example.com/a.png"}), "$.watermark.image.url"),
    (mark(image=ok.LINK | {"asset_id": "a1"}), "'asset_id' was unexpected"),
    (image(), ONE_AUDIO),
    (image(script="Hi."), "'voice_id' is a required property"),
    (image(script="Hi.", voice_id=None), "$.voice_id"),
    (image(audio_url="u", engine={"type": "avatar_iv"}), "'engine' was unexpected"),
    (cinema(prompt=""), "$.prompt"),
    (cinema(prompt="x" * 10001), "$.prompt"),
    *((cinema(avatar_id=ids), "$.avatar_id") for ids in ("l1", [], ["l1"] * 4)),
    (cinema(references=[ok.LINK] * 13), "$.references"),
    *((cinema(duration=seconds), "$.duration") for seconds in (3, 16, 10.5)),
    (cinema(auto_duration=True), "Omitted with auto_duration"),
    (cinema(resolution="4k"), "$.resolution"),
    (cinema(aspect_ratio="auto"), "$.aspect_ratio"),
    (cinema(callback_url="https://example.com"), "'callback_url' was unexpected"),
    *(
        ((*ok.VIDEOS, {"type": "studio", "scenes": scenes}), "$.scenes")
        for scenes in ([], [ok.SILENT_IMAGE] * 51)
    ),
    (scene(type="text"), "$.scenes[0].type"),
    *((scene(**ok.SILENT_IMAGE | {"duration": seconds}), "$.scenes[0].duration") for seconds in (0, 301)),
    (scene(type="image", source=ok.LINK), "Either a duration or one voice"),
    (scene(**ok.SILENT_IMAGE | ok.SPEECH), "Either a duration or one voice"),
    (scene(type="image", source=ok.LINK, script="Hi."), "'voice_id' is a required property"),
    (scene(type="video", source=ok.LINK, script="Hi."), "'voice_id' is a required property"),
    (scene(type="video", source=ok.LINK, audio_url="u", audio_asset_id="a"), "At most one of script"),
    *((scene(type="video", source=ok.LINK, playback={"volume": v}), "playback.volume") for v in (-0.1, 1.1)),
    (scene(type="video", source=ok.LINK, playback={"mode": "fast"}), "playback.mode"),
    (scene(type="avatar_video", input={"type": "avatar", "avatar_id": "l1"}), ONE_AUDIO),
    (scene(type="avatar_video", input=ok.SCENE_AVATAR | {"expressiveness": "wild"}), "input.expressiveness"),
    (scene(type="avatar_video", input=ok.SCENE_AVATAR | {"engine": {"type": "avatar_iii"}}), "motion_prompt"),
    (
        scene(type="avatar_video", input=ok.SCENE_AVATAR | {"background": {"type": "image"}}),
        "background.type",
    ),
    *(((*ok.BATCHES, {"videos": videos}), "$.videos") for videos in ([], [ok.SHORT] * 1001, None)),
    ((*ok.BATCHES, {"videos": [ok.SHORT, ok.SHORT | {"fit": "x"}]}), "$.videos[1].fit"),
    ((*ok.BATCHES, ok.BATCH | {"videos_ids": []}), "'videos_ids' was unexpected"),
    *((get(f"/v3/videos/batches/b1?limit={limit}"), "$.limit") for limit in (0, 101)),
    ((*ok.AVATARS, ok.PHOTO | {"type": "video"}), "$.type: 'video' is none of photo, digital_twin, prompt"),
    ((*ok.AVATARS, ok.PROMPT | {"prompt": "x" * 1001}), "$.prompt"),
    ((*ok.AVATARS, ok.PROMPT | {"reference_images": [ok.LINK] * 4}), "$.reference_images"),
    ((*ok.RENAME, {"name": "x" * 256}), "$.name"),
    ((*ok.CONSENT, {"consent_text": "x" * 1001}), "$.consent_text"),
    ((*ok.CONSENT, {"consent_text": "a < b"}), "$.consent_text"),
    ((*ok.CONSENT, {"consent_video": {"type": "asset_id"}}), "$.consent_video"),
    ((*ok.VIDEOS, None), "a body is required"),
    (("GET", "/v3/videos/v1", {}), "takes no body"),
    (("POST", "/v3/videos/v1", {}), "no such operation"),
    (("DELETE", "/v3/avatars/looks", None), "no such operation"),
    (get("/v3/videos/"), "no such operation"),
    (get("/v3/assets"), "$.username: the query must have it"),
    (get("/v3/videos?video_ids=v1"), "$.video_ids: no such query parameter"),
    (get("/v3/videos/statuses?video_ids=v1,,v2"), "$.video_ids[1]"),
    (get("/v3/videos/statuses?batch_ids=" + ",".join("v" * 101)), "$.batch_ids"),
    (get("/v3/avatars?ownership=mine"), "$.ownership"),
    (get("/v3/avatars/looks?avatar_type=video_avatar"), "$.avatar_type"),
    (get("/v3/voices?type=shared"), "$.type"),
    (get("/v3/voices?gender=f"), "$.gender"),
    *(
        (get(f"/v3/{path}?limit={limit}"), "$.limit")
        for path in ("videos", "voices")
        for limit in (0, 101, "x")
    ),
    *(
        (get(f"/v3/{path}?limit={limit}"), "$.limit")
        for path in ("avatars", "avatars/looks")
        for limit in (0, 51)
    ),
    *((get(f"/v3/assets?username=me&limit={limit}"), "$.limit") for limit in (0, 101)),
    *hooks.REFUSED_REQUESTS,
    *uploads.REFUSED_REQUESTS,
    *voices.REFUSED_REQUESTS,
]


def told(path: str, **changes: Any) -> tuple[str, int, Any]:
    bodies: dict[str, dict[str, Any]] = {
        "/v3/avatars/looks/l1": {**ok.LOOK},
        "/v3/avatars/g1": {**ok.GROUP},
        "/v3/voices/v1": {**ok.CLONED_VOICE},
        "/v3/videos/v1": {**ok.VIDEO},
        "/v3/users/me": {**ok.OWNER, **ok.WALLET},
        "/v3/videos/batches/b1": {**ok.BATCH_READ},
    }
    return path, 200, {"data": bodies[path] | changes}


def refusal(**changes: Any) -> dict[str, Any]:
    return {"error": ok.ERROR["error"] | changes}


REFUSED_ANSWERS: list[tuple[tuple[str, int, Any], str]] = [
    (("/v3/videos", 200, ok.page() | {"next_token": None}), "$.next_token"),
    (("/v3/videos", 200, ok.page() | {"next_token": ""}), "$.next_token"),
    (told("/v3/videos/v1", id=""), "$.data.id"),
    (told("/v3/videos/v1", status="waiting"), "$.data.status"),
    (told("/v3/videos/v1", created_at="2026-07-01T00:00:00Z"), "$.data.created_at"),
    (told("/v3/videos/v1", created_at=1.5), "$.data.created_at"),
    (told("/v3/videos/v1", duration=-1), "$.data.duration"),
    (told("/v3/videos/v1", failure_code="late"), "$.data.failure_code"),
    (told("/v3/videos/v1", failure_message="late"), "$.data.failure_message"),
    (("/v3/videos/statuses", 200, ok.page(ok.STATUS | {"status": "pending"})), "$.data[0].status"),
    (told("/v3/videos/batches/b1", status="done"), "$.data.status"),
    (told("/v3/videos/batches/b1", counts_by_status={"completed": -1}), "$.data.counts_by_status.completed"),
    (told("/v3/videos/batches/b1", total_items=-1), "$.data.total_items"),
    (told("/v3/videos/batches/b1", has_more=True), "$.data.next_token"),
    (
        told("/v3/videos/batches/b1", items=[{"item_index": -1, "status": "failed"}]),
        "$.data.items[0].item_index",
    ),
    (told("/v3/avatars/looks/l1", avatar_type="video_avatar"), "$.data.avatar_type"),
    (told("/v3/avatars/looks/l1", status="completed"), "$.data.status: 'failed' was expected"),
    (told("/v3/avatars/looks/l1", status="ready", error=None), "$.data.status"),
    (told("/v3/avatars/looks/l1", supported_api_engines=["avatar_4"]), "$.data.supported_api_engines[0]"),
    (told("/v3/avatars/looks/l1", preferred_orientation="tall"), "$.data.preferred_orientation"),
    (told("/v3/avatars/g1", looks_count=-1), "$.data.looks_count"),
    (told("/v3/voices/v1", status="completed"), "$.data.status"),
    (("/v3/voices", 200, ok.page(ok.LISTED_VOICE | {"type": "shared"})), "$.data[0].type"),
    (told("/v3/users/me", wallet=None), "Exactly one of wallet"),
    (told("/v3/users/me", usage_based=ok.USAGE), "Exactly one of wallet"),
    (told("/v3/users/me", billing_type="subscription"), "Exactly one of wallet"),
    (
        ("/v3/users/me", 200, {"data": ok.OWNER | ok.PLAN | {"billing_type": "wallet"}}),
        "Exactly one of wallet",
    ),
    (
        ("/v3/users/me", 200, {"data": ok.OWNER | {"usage_based": ok.USAGE, "billing_type": "wallet"}}),
        "Exactly one of wallet",
    ),
    (told("/v3/users/me", billing_type="free"), "$.data.billing_type"),
    (told("/v3/users/me", wallet={"currency": "eur"}), "$.data.wallet.currency"),
    (
        ("/v3/users/me", 200, {"data": ok.OWNER | {"subscription": {"plan": "x", "credits": {}}}}),
        "$.data.subscription",
    ),
    (("/v3/users/me", 204, None), "status 204 is not declared"),
    (("/v3/nothing", 200, {"data": {}}), "no such operation"),
    (("/v3/videos/v1", 404, {"detail": "Not Found"}), "'error' is a required property"),
    (("/v3/videos/v1", 502, "<html>Bad gateway</html>"), "is not of type 'object'"),
    (("/v3/videos/v1", 429, refusal() | {"data": None}), "False schema"),
    (("/v3/videos/v1", 400, refusal(code="InvalidParameter")), "$.error.code"),
    (("/v3/videos/v1", 400, refusal(code=400)), "$.error.code"),
    *hooks.REFUSED_ANSWERS,
    *uploads.REFUSED_ANSWERS,
]
