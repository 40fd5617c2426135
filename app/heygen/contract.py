"""HeyGen's contract as this version knows it, and what in an answer is not part of it: a pure list and a comparison."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


VIDEO_FIELDS = _words(
    "id title status created_at completed_at video_url captioned_video_url subtitle_url thumbnail_url gif_url duration"
    " folder_id output_language failure_code failure_message video_page_url"
)
LOOK_FIELDS = _words(
    "id name avatar_type group_id preview_image_url preview_video_url gender tags default_voice_id"
    " supported_api_engines image_width image_height preferred_orientation status error"
)
GROUP_FIELDS = _words(
    "id name preview_image_url preview_video_url gender created_at looks_count default_voice_id consent_status status"
    " error"
)
CONSENT_FIELDS = frozenset({"avatar_group", "url"})
VOICE_FIELDS = _words(
    "voice_id name language gender type support_pause support_locale preview_audio_url available_engines created_at"
    " status failure_message"
)
DESIGN_FIELDS = frozenset({"voices", "seed"})
CLONE_FIELDS = frozenset({"voice_clone_id"})
SPEECH_FIELDS = _words("audio_url duration request_id word_timestamps")
ASSET_FIELDS = _words("id name owner space_id type uploaded_at url folder_id")
UPLOAD_FIELDS = _words("asset_id url mime_type size_bytes")
ENTRY_FIELDS = frozenset({"video_id", "status", "error", "batch_id", "item_index"})
BATCH_FIELDS = _words("batch_id status counts_by_status total_items items has_more next_token")

VIDEO_STATUSES = frozenset({"pending", "processing", "completed", "failed"})
LOOK_STATUSES = frozenset({"processing", "pending_consent", "completed", "failed"})
VOICE_STATUSES = frozenset({"processing", "complete", "failed"})
ENTRY_STATUSES = frozenset({"queued", "processing", "completed", "failed", "not_found"})
BATCH_STATUSES = frozenset({"processing", "completed", "failed"})
CREATE_STATUSES = frozenset({"waiting"})

EVENT_TYPES = frozenset(
    {
        f"{subject}.{ending}"
        for subject in _words(
            "avatar_video avatar_video_gif avatar_video_caption video_translate instant_avatar photo_avatar_generation"
            " photo_avatar_train photo_avatar_add_motion proofread_creation live_avatar video_agent hyperframes_video"
            " ai_clipping"
        )
        for ending in ("success", "fail")
    }
    | {
        "video_translate.preflight.validation_failed",
        "video_translate.preflight.download_failed",
        "personalized_video",
        "batch.finished",
    }
)

ERROR_CODES = _words(
    # developers.heygen.com/docs/error-codes, a line a status: 400, 401, 402, 403, 404, 409 and 413, 429, 5xx.
    "invalid_parameter validation download_failed content_policy_violation avatar_not_usable avatar_expired"
    " avatar_consent_required unlimited_mode_disabled resource_limit_reached resource_limit_exceeded voice_unavailable"
    " voice_expired script_too_short tts_text_invalid ephemeral_upload_disabled asset_not_available no_audio_track"
    " video_too_long"
    " unauthorized authentication_failed"
    " insufficient_credit trial_limit_exceeded plan_upgrade_required subscription_required"
    " forbidden resource_access_denied ai_vendor_access_restricted voice_not_usable phone_verification_required"
    " not_found video_not_found avatar_not_found avatar_group_not_found voice_not_found template_not_found"
    " asset_not_found webhook_not_found resource_not_found"
    " conflict resource_not_ready request_in_progress payload_too_large"
    " rate_limit_exceeded quota_exceeded"
    " internal_error video_delete_failed voice_provider_error service_unavailable gateway_timeout"
)

FAREWELLS = ("deprecation", "sunset")  # RFC 9745, RFC 8594


class Shape(NamedTuple):
    """What one thing is made of; one of `ids` has to be there."""

    fields: frozenset[str]
    statuses: frozenset[str] = frozenset()
    ids: tuple[str, ...] = ("id",)


VIDEO = Shape(VIDEO_FIELDS, VIDEO_STATUSES)
LOOK = Shape(LOOK_FIELDS, LOOK_STATUSES)
GROUP = Shape(GROUP_FIELDS, LOOK_STATUSES)
VOICE = Shape(VOICE_FIELDS, VOICE_STATUSES, ("voice_id",))
ASSET = Shape(ASSET_FIELDS)
ENTRY = Shape(ENTRY_FIELDS, ENTRY_STATUSES, ("video_id", "batch_id"))
ITEM = Shape(ENTRY_FIELDS, ENTRY_STATUSES, ("item_index",))
THINGS = {
    "GET /v3/videos/{id}": VIDEO,
    "POST /v3/videos": Shape(
        frozenset({"video_id", "status", "output_format"}), CREATE_STATUSES, ("video_id",)
    ),
    "GET /v3/videos/batches/{id}": Shape(BATCH_FIELDS, BATCH_STATUSES, ("batch_id",)),
    "GET /v3/avatars/looks/{id}": LOOK,
    "PATCH /v3/avatars/looks/{id}": LOOK,
    "GET /v3/avatars/{id}": GROUP,
    "GET /v3/voices/{id}": VOICE,
    "POST /v3/voices": Shape(DESIGN_FIELDS, ids=("seed",)),
    "POST /v3/voices/clone": Shape(CLONE_FIELDS, ids=("voice_clone_id",)),
    "POST /v3/voices/speech": Shape(SPEECH_FIELDS, ids=("audio_url",)),
    "GET /v3/assets/{id}": ASSET,
    "POST /v3/assets": Shape(UPLOAD_FIELDS, ids=("asset_id",)),
}
"""Answers whose data is one such thing."""
PAGES = {
    "GET /v3/videos": VIDEO,
    "GET /v3/videos/statuses": ENTRY,
    "GET /v3/avatars/looks": LOOK,
    "GET /v3/avatars": GROUP,
    "GET /v3/voices": VOICE,
    "GET /v3/assets": ASSET,
}
"""Answers whose data is a list of such things."""
INSIDE = {
    "GET /v3/videos/batches/{id}": ("items", ITEM),
    "POST /v3/voices": ("voices", VOICE),
}
"""Answers whose thing holds a list of others."""

_WORD = re.compile(r"[A-Za-z0-9_.\-]{1,60}")


def drift(
    operation: str, http_status: int, headers: Mapping[str, str], payload: Mapping[str, Any] | None
) -> Iterator[tuple[str, str]]:
    """(kind, name) of whatever an answer has that this version does not know; never a value that a person wrote.

    `operation` is a method and route, `headers` has lower-case names or compares without regard to case.
    """
    yield from (("header", name) for name in FAREWELLS if name in headers)
    if http_status >= 400:
        code = _code(payload)
        if code is not None and code.lower() not in ERROR_CODES:
            yield "code", word(code)
        return
    if payload is None:
        yield "unreadable", "body"
        return
    yield from _drift_of(operation, payload.get("data"))


def _drift_of(operation: str, data: object) -> Iterator[tuple[str, str]]:
    if operation in THINGS:
        yield from _compared(data, THINGS[operation])
    if operation in INSIDE and isinstance(data, Mapping):
        name, shape = INSIDE[operation]
        yield from _each(data.get(name), shape, within=f"{name}.")
    match operation:
        case "POST /v3/avatars/{id}/consent":
            yield from _asked(data)
        case "POST /v3/avatars":
            yield from _made(data)
        case "GET /v3/videos/statuses" if isinstance(data, Mapping):
            pass  # no page shows this answer whole, so it is read in either way
        case _ if operation in PAGES:
            yield from _each(data, PAGES[operation])


def word(name: object) -> str:
    """A name that is fit for a count and a log: cut, and nothing where it is no plain word."""
    text = name[:60] if isinstance(name, str) else ""
    return text if _WORD.fullmatch(text) else "(no word)"


def _asked(data: object) -> Iterator[tuple[str, str]]:
    if not isinstance(data, Mapping):
        yield "unreadable", "data"
        return
    yield from (("field", word(name)) for name in data if name not in CONSENT_FIELDS)
    yield from _compared(data.get("avatar_group"), GROUP, within="avatar_group.")


def _made(data: object) -> Iterator[tuple[str, str]]:
    if not isinstance(data, Mapping):
        yield "unreadable", "data"
        return
    yield from (("field", word(name)) for name in data if name not in {"avatar_item", "avatar_group"})
    yield from _compared(data.get("avatar_item"), LOOK, within="avatar_item.")
    if data.get("avatar_group") is not None:
        yield from _compared(data.get("avatar_group"), GROUP, within="avatar_group.")


def _each(data: object, shape: Shape, *, within: str = "") -> Iterator[tuple[str, str]]:
    if not isinstance(data, list):
        yield "unreadable", within.rstrip(".") or "data"
        return
    for item in data:
        yield from _compared(item, shape, within=within)


def _compared(data: object, shape: Shape, *, within: str = "") -> Iterator[tuple[str, str]]:
    if not isinstance(data, Mapping):
        yield "unreadable", within.rstrip(".") or "data"
        return
    if all(data.get(name) in (None, "") for name in shape.ids):
        yield "unreadable", within + shape.ids[0]
    yield from (("field", within + word(name)) for name in data if name not in shape.fields)
    status = data.get("status")
    if (
        shape.statuses
        and status is not None
        and (not isinstance(status, str) or status.strip().lower() not in shape.statuses)
    ):
        yield "status", word(status)


def _code(payload: Mapping[str, Any] | None) -> str | None:
    error = (payload or {}).get("error")
    code = error.get("code") if isinstance(error, Mapping) else None
    return code if isinstance(code, str) else None
