"""Every event that HeyGen names, and what each of them tells; pure."""

from typing import Literal, get_args

EventType = Literal[
    "avatar_video.success",
    "avatar_video.fail",
    "avatar_video_gif.success",
    "avatar_video_gif.fail",
    "avatar_video_caption.success",
    "avatar_video_caption.fail",
    "video_translate.success",
    "video_translate.fail",
    "video_translate.preflight.validation_failed",
    "video_translate.preflight.download_failed",
    "personalized_video",
    "instant_avatar.success",
    "instant_avatar.fail",
    "photo_avatar_generation.success",
    "photo_avatar_generation.fail",
    "photo_avatar_train.success",
    "photo_avatar_train.fail",
    "photo_avatar_add_motion.success",
    "photo_avatar_add_motion.fail",
    "proofread_creation.success",
    "proofread_creation.fail",
    "live_avatar.success",
    "live_avatar.fail",
    "video_agent.success",
    "video_agent.fail",
    "hyperframes_video.success",
    "hyperframes_video.fail",
    "ai_clipping.success",
    "ai_clipping.fail",
    "batch.finished",
]
"""In HeyGen's order. Greenroom tells of videos, avatars and batches; the rest may be subscribed to."""

_SUBJECTS = {
    "avatar_video": "A video",
    "avatar_video_gif": "The animated preview of a video",
    "avatar_video_caption": "The caption file of a video",
    "video_translate": "The translation of a video",
    "instant_avatar": "An avatar made from footage",
    "photo_avatar_generation": "An avatar made from a photo or a prompt",
    "photo_avatar_train": "The training of a photo avatar",
    "photo_avatar_add_motion": "Adding motion to a photo avatar",
    "proofread_creation": "The proofreading of a translation",
    "live_avatar": "A live avatar",
    "video_agent": "A video made by the video agent",
    "hyperframes_video": "A Hyperframes video",
    "ai_clipping": "Cutting clips from a video",
}
_ENDINGS = {"success": "is ready.", "fail": "failed."}
_OTHERS = {
    "video_translate.preflight.validation_failed": "A video cannot be translated as it is.",
    "video_translate.preflight.download_failed": "A video that was to be translated could not be fetched.",
    "personalized_video": "A personalized video changed its state.",
    "batch.finished": "Every video of a batch has ended.",
}


def _description(name: str) -> str:
    subject, _, ending = name.rpartition(".")
    return _OTHERS.get(name) or f"{_SUBJECTS[subject]} {_ENDINGS[ending]}"


DESCRIPTIONS: dict[str, str] = {name: _description(name) for name in get_args(EventType)}
"""A sentence for each name."""
