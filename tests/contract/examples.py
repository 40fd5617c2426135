"""Messages that keep the contract, every field of it used at least once."""

from typing import Any

from tests.contract import upload_examples as uploads
from tests.contract import voice_examples as voices
from tests.contract import webhook_examples as hooks

LINK = {"type": "url", "url": "https://example.com/portrait.jpg"}
ASSET_ID = {"type": "asset_id", "asset_id": "a1"}
INLINE = {"type": "base64", "media_type": "image/png", "data": "aGk="}

# What a video is made of
ELEVENLABS = {
    "engine_type": "elevenlabs",
    "model": "eleven_v3",
    "stability": 0.5,
    "similarity_boost": 0.2,
    "style": 0,
    "use_speaker_boost": True,
}
FISH = {"engine_type": "fish", "model": "s1", "stability": 1, "similarity": 0}
STARFISH = {"voice_settings": {"engine_settings": {"engine_type": "starfish"}}}
SPEECH = {
    "script": "Good morning.",
    "voice_id": "v1",
    "voice_settings": {
        "speed": 1.5,
        "pitch": -50,
        "volume": 0,
        "locale": "en-US",
        "engine_settings": ELEVENLABS,
    },
}
FRAME = {
    "title": "Hello",
    "folder_id": "",
    "brand_glossary_id": "b1",
    "resolution": "4k",
    "aspect_ratio": "auto",
    "caption": {"file_format": "srt", "style": "default"},
    "watermark": {
        "image": LINK,
        "scale": 2,
        "opacity": 0.5,
        "placement": {"position": "top_left", "offset_x": -1, "offset_y": 1},
    },
    "callback_url": "https://example.com/done",
    "callback_id": "job-1",
}
STYLE = {"fit": "cover", "remove_background": False, "output_format": "mp4", "motion_prompt": "Wave."}
AVATAR_VIDEO = {
    "type": "avatar",
    "avatar_id": "l1",
    "engine": {"type": "avatar_v", "reference_look_id": "l2"},
    "background": {"type": "color", "value": "#00ff7F"},
} | (FRAME | STYLE | SPEECH)
IMAGE_VIDEO = {
    "type": "image",
    "image": INLINE,
    "audio_url": "https://example.com/a.mp3",
    "expressiveness": "high",
    "voice_settings": {"engine_settings": FISH},
    "background": {"type": "image", "asset_id": "a2"},
} | (FRAME | STYLE)
CINEMATIC_VIDEO = {
    "type": "cinematic_avatar",
    "prompt": "Two friends meet.",
    "avatar_id": ["l1", "l2"],
    "references": [LINK],
    "duration": 15,
    "auto_duration": False,
    "enhance_prompt": True,
    "resolution": "720p",
    "aspect_ratio": "1:1",
    "title": "Friends",
    "folder_id": "f1",
}
SCENE_AVATAR = {
    "type": "avatar",
    "avatar_id": "l1",
    "engine": {"type": "avatar_iv"},
    "expressiveness": "low",
    "motion_prompt": "Nod.",
    "background": {"type": "color", "color": "#000000"},
} | SPEECH
SILENT_IMAGE = {"type": "image", "source": LINK, "duration": 300}
SPOKEN_IMAGE = {"type": "image", "source": LINK} | SPEECH
SPOKEN_CLIP = {
    "type": "video",
    "source": ASSET_ID,
    "playback": {"mode": "loop", "volume": 1, "mute": True},
    "audio_asset_id": "a3",
}
STUDIO_VIDEO = FRAME | {
    "type": "studio",
    "scenes": [
        {"type": "avatar_video", "input": SCENE_AVATAR},
        SILENT_IMAGE,
        SPOKEN_IMAGE,
        SPOKEN_CLIP,
        {"type": "video", "source": LINK},
    ],
}
SHORT = {"type": "avatar", "avatar_id": "l1", "script": "Hi."}
PHOTO = {"type": "photo", "name": "Sarah", "file": LINK, "avatar_group_id": "g1"}
PROMPT = {
    "type": "prompt",
    "name": "Sarah",
    "prompt": "x" * 1000,
    "reference_images": [LINK, ASSET_ID, INLINE],
    "avatar_group_id": "g1",
    "avatar_id": "l1",
}

BATCH = {
    "videos": [SHORT],
    "title": "Monday",
    "folder_id": "f1",
    "callback_url": "https://example.com/done",
    "callback_id": "job-1",
}

VIDEOS = ("POST", "/v3/videos")
BATCHES = ("POST", "/v3/videos/batches")
AVATARS = ("POST", "/v3/avatars")
RENAME = ("PATCH", "/v3/avatars/looks/l1")
CONSENT = ("POST", "/v3/avatars/g1/consent")
UPLOAD = ("POST", "/v3/assets")

REQUESTS: list[tuple[str, str, Any]] = [
    (*VIDEOS, AVATAR_VIDEO),
    (*VIDEOS, IMAGE_VIDEO),
    (*VIDEOS, CINEMATIC_VIDEO),
    (*VIDEOS, CINEMATIC_VIDEO | {"auto_duration": True, "duration": None}),
    (*VIDEOS, STUDIO_VIDEO),
    (*VIDEOS, SHORT),
    (*VIDEOS, SHORT | {"script": None, "audio_url": "https://example.com/a.mp3"}),
    (*VIDEOS, SHORT | {"script": None, "audio_asset_id": "a1"}),
    (*VIDEOS, SHORT | {"engine": {"type": "avatar_iii"}}),
    (*VIDEOS, SHORT | {"engine": {"type": "avatar_iv"}, "expressiveness": "low", "motion_prompt": "Nod."}),
    (*VIDEOS, SHORT | {"expressiveness": "high"}),
    (*VIDEOS, SHORT | {"engine": None, "expressiveness": "medium"}),
    (
        *VIDEOS,
        SHORT | {"voice_settings": {"engine_settings": {"engine_type": "elevenlabs", "stability": 0.3}}},
    ),
    (
        *VIDEOS,
        SHORT | {"voice_settings": {"engine_settings": ELEVENLABS | {"model": None, "stability": 0.3}}},
    ),
    (*VIDEOS, SHORT | {"output_format": "webm", "background": None}),
    (*VIDEOS, SHORT | STARFISH),
    (*BATCHES, BATCH),
    (*AVATARS, PHOTO),
    (*AVATARS, PHOTO | {"type": "digital_twin"}),
    (*AVATARS, PROMPT),
    (*RENAME, {"name": "Sarah"}),
    (*CONSENT, {"reroute_url": "https://example.com", "consent_text": "x" * 1000, "consent_video": ASSET_ID}),
    (*CONSENT, {"reroute_url": None}),
    (*UPLOAD, {"file": b"\x89PNG"}),
    *uploads.REQUESTS,
    *hooks.REQUESTS,
    *voices.REQUESTS,
]
READS = [
    "/v3/assets?username=me&folder_id=&limit=100&token=t",
    "/v3/assets/a1",
    "/v3/avatars?ownership=private&limit=50",
    "/v3/avatars/g1",
    "/v3/avatars/looks?group_id=g1&avatar_type=digital_twin&ownership=public&limit=1&token=t",
    "/v3/avatars/looks/l1",
    "/v3/voices?type=private&engine=starfish&language=English&gender=female&limit=100",
    "/v3/voices/v1",
    "/v3/videos?limit=100&token=t&folder_id=f&title=gr",
    "/v3/videos/v1",
    "/v3/videos/batches/b1?limit=100&token=t",
    "/v3/videos/statuses?video_ids=v1%2Cv2&batch_ids=b1",
    "/v3/users/me",
    *uploads.READS,
    *hooks.READS,
]

# What is answered
UPLOADED = {"asset_id": "a1", "url": "https://example.com/a1", "mime_type": "image/png", "size_bytes": 4}
ASSET = {
    "id": "a1",
    "name": "portrait.png",
    "owner": "me",
    "space_id": "s1",
    "type": "image",
    "uploaded_at": 1_780_000_000,
    "url": None,
    "folder_id": None,
}
TRAINING_FAILED = {"status": "failed", "error": {"code": "training_failed", "message": "No face was found."}}
PREVIEWS = {"preview_image_url": "https://example.com/p", "preview_video_url": None, "gender": "female"}
LOOK = {
    "id": "l1",
    "name": "Sarah",
    "avatar_type": "digital_twin",
    "group_id": "g1",
    "default_voice_id": None,
    "tags": ["office"],
    "supported_api_engines": ["avatar_iv"],
    "image_width": 1080,
    "image_height": 1920,
    "preferred_orientation": "portrait",
} | (PREVIEWS | TRAINING_FAILED)
GROUP = {
    "id": "g1",
    "name": "Sarah",
    "created_at": 1_780_000_000,
    "looks_count": 1,
    "default_voice_id": "v1",
    "consent_status": "approved",
} | (PREVIEWS | TRAINING_FAILED)
NEW_LOOK = {"id": "l1", "name": "Sarah", "avatar_type": "photo_avatar", "status": "processing", "error": None}
VOICE = {
    "voice_id": "v1",
    "name": "Ada",
    "language": "English",
    "gender": "female",
    "preview_audio_url": None,
}
SUPPORT = {"support_pause": True, "support_locale": False}
LISTED_VOICE = VOICE | SUPPORT | {"type": "public", "available_engines": ["starfish"]}
CLONED_VOICE = VOICE | {"support_pause": True, "created_at": 1, "status": "complete", "failure_message": None}
CREATED = {"video_id": "v1", "status": "waiting", "output_format": "mp4"}
VIDEO = {
    "id": "v1",
    "title": "Hello",
    "status": "completed",
    "created_at": 1_780_000_000,
    "completed_at": 1_780_000_041,
    "duration": 1.7,
    "folder_id": None,
    "output_language": None,
    "video_url": "https://example.com/v1.mp4",
    "captioned_video_url": None,
    "subtitle_url": None,
    "thumbnail_url": None,
    "gif_url": None,
    "video_page_url": None,
    "failure_code": None,
    "failure_message": None,
}
FAILED_VIDEO = {
    "id": "v1",
    "status": "failed",
    "failure_code": "rendering_failed",
    "failure_message": "Timed out",
}
STATUS = {"video_id": "v1", "status": "not_found", "error": None, "batch_id": "b1", "item_index": 0}
BATCH_CREATED = {"batch_id": "b1", "status": "processing", "total_items": 1}
BATCH_READ = {
    "batch_id": "b1",
    "status": "completed",
    "counts_by_status": {"completed": 1},
    "total_items": 1,
    "items": [{"item_index": 0, "video_id": "v1", "status": "completed", "error": None, "batch_id": None}],
    "has_more": False,
    "next_token": None,
}
OWNER = {"username": "me", "email": None, "first_name": None, "last_name": "Lee"}
WALLET = {
    "billing_type": "wallet",
    "wallet": {
        "currency": "usd",
        "remaining_balance": 12.5,
        "auto_reload": {"enabled": True, "threshold_usd": 5, "amount_usd": 10.5},
    },
}
CREDITS = {"premium_credits": {"remaining": 1, "resets_at": "2026-08-01"}, "add_on_credits": None}
PLAN = {"subscription": {"plan": "pro", "credits": CREDITS}}
USAGE = {"spending_current_usd": 1, "spending_cap_usd": 2, "included_credits": 3, "remaining_credits": None}


def page(*items: Any) -> dict[str, Any]:
    """One page of a list that goes on."""
    return {"data": list(items), "has_more": True, "next_token": "t"}


ANSWERS: list[tuple[str, str, Any]] = [
    (*UPLOAD, {"data": UPLOADED}),
    ("GET", "/v3/assets", page(ASSET)),
    ("GET", "/v3/assets/a1", {"data": ASSET}),
    ("DELETE", "/v3/assets/a1", {"data": {"id": "a1"}}),
    (*AVATARS, {"data": {"avatar_item": LOOK, "avatar_group": GROUP}}),
    (*AVATARS, {"data": {"avatar_item": NEW_LOOK, "avatar_group": None}}),
    ("GET", "/v3/avatars", page(GROUP)),
    ("GET", "/v3/avatars/g1", {"data": GROUP}),
    ("DELETE", "/v3/avatars/g1", {"data": {"id": "g1"}}),
    (*CONSENT, {"data": {"avatar_group": GROUP, "url": None}}),
    (*CONSENT, {"data": {"avatar_group": GROUP, "url": "https://example.com/consent"}}),
    ("GET", "/v3/avatars/looks", page(LOOK)),
    ("GET", "/v3/avatars/looks/l1", {"data": LOOK}),
    (*RENAME, {"data": LOOK}),
    ("DELETE", "/v3/avatars/looks/l1", {"data": {"id": "l1"}}),
    ("GET", "/v3/voices", page(LISTED_VOICE)),
    ("GET", "/v3/voices/v1", {"data": CLONED_VOICE}),
    (*VIDEOS, {"data": CREATED}),
    ("GET", "/v3/videos", page(VIDEO)),
    ("GET", "/v3/videos", {"data": [], "has_more": False, "next_token": None}),
    ("GET", "/v3/videos/v1", {"data": VIDEO}),
    ("GET", "/v3/videos/v1", {"data": FAILED_VIDEO}),
    ("GET", "/v3/videos/statuses", page(STATUS)),
    (*BATCHES, {"data": BATCH_CREATED}),
    ("GET", "/v3/videos/batches/b1", {"data": BATCH_READ}),
    ("DELETE", "/v3/videos/v1", {"data": {"id": "v1", "deleted": True}}),
    ("GET", "/v3/users/me", {"data": OWNER | WALLET}),
    ("GET", "/v3/users/me", {"data": OWNER | PLAN}),
    ("GET", "/v3/users/me", {"data": OWNER | {"billing_type": "usage_based", "usage_based": USAGE}}),
    *hooks.ANSWERS,
    *voices.ANSWERS,
    *uploads.ANSWERS,
]

ERROR = {
    "error": {
        "code": "invalid_parameter",
        "message": "'limit' must be between 1 and 100.",
        "param": "limit",
        "doc_url": None,
        "errors": [{"code": "invalid_parameter", "message": "too large", "path": "limit"}],
    }
}
SUCCEEDED = {
    "event_type": "avatar_video.success",
    "event_data": {
        "video_id": "v1",
        "url": "https://example.com/v1.mp4",
        "gif_download_url": None,
        "video_page_url": None,
        "video_share_page_url": None,
        "folder_id": "",
        "callback_id": "job-1",
    },
}
FAILED = {
    "event_type": "avatar_video.fail",
    "event_data": {"video_id": "v1", "msg": "Timed out", "callback_id": None},
}
FINISHED = {
    "event_type": "batch.finished",
    "event_data": {"batch_id": "b1", "status": "completed", "counts_by_status": {"completed": 1}},
}
