"""What answers hold, for the OpenAPI document alone: routes answer dictionaries, and tests compare the two.

HeyGen adds fields to its objects, and some of them pass through here: every object is open, and only what every client
relies on is required.
"""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")


class Answer(BaseModel):
    """Any object in an answer."""

    model_config = ConfigDict(extra="allow")


class One(Answer, Generic[T]):
    """One thing."""

    data: T


class Page(Answer, Generic[T]):
    """A page of a list; the cursor stands beside the data."""

    data: list[T]
    has_more: bool
    next_token: str | None


class Fault(Answer):
    """One of several things wrong with a request."""

    code: str
    message: str
    path: str | None = None


class Error(Answer):
    """HeyGen's four fields, and ours."""

    code: str = Field(pattern="^[a-z][a-z0-9_]*$")
    message: str
    param: str | None
    doc_url: str | None
    request_id: str | None
    retryable: bool
    errors: list[Fault] = []


class Refusal(Answer):
    """The envelope of every error."""

    error: Error


class Uploaded(Answer):
    asset_id: str
    url: str
    mime_type: str
    size_bytes: int


class Asset(Answer):
    """`uploaded_at` is in Unix seconds."""

    id: str
    name: str
    owner: str
    space_id: str
    type: str
    uploaded_at: int
    url: str | None = None
    folder_id: str | None = None


class Announced(Answer):
    """How to send a file that was announced: a PUT to `upload_url` with these headers, and no key."""

    asset_id: str
    upload_url: str
    upload_headers: dict[str, str]
    expires_in_seconds: int
    max_bytes: int
    status: Literal["pending_upload"]


class BatchAnnounced(Answer):
    batch_id: str
    items: list[Announced]


class Received(Answer):
    asset_id: str
    size_bytes: int
    status: Literal["uploaded"]


class Completed(Uploaded):
    status: Literal["completed"]


class UploadBatch(Answer):
    batch_id: str
    title: str | None
    status: Literal["processing", "completed", "failed"]
    total_items: int
    counts_by_status: dict[str, int]
    created_at: int


class AssetStatus(Answer):
    """The id is the asset's, by the name that HeyGen has for it here."""

    video_id: str | None
    status: Literal["queued", "processing", "completed", "failed", "not_found"]
    error: dict[str, Any] | None
    item_index: int | None
    batch_id: str | None = None


class UploadBatchPage(UploadBatch):
    items: list[AssetStatus]
    has_more: bool
    next_token: str | None


class Removed(Answer):
    id: str


class VideoRemoved(Answer):
    id: str
    deleted: Literal[True]


class Training(Answer):
    """How the making of a look goes; public ones have no status."""

    status: Literal["processing", "pending_consent", "failed", "completed"] | None = None
    error: Fault | None = None
    preview_image_url: str | None = None
    preview_video_url: str | None = None
    gender: str | None = None
    default_voice_id: str | None = None


class Look(Training):
    """One appearance of an avatar; its id is the `avatar_id` of a video."""

    id: str
    name: str
    avatar_type: Literal["studio_avatar", "digital_twin", "photo_avatar"]
    group_id: str | None = None
    tags: list[str] = []
    supported_api_engines: list[str] = []
    image_width: int | None = None
    image_height: int | None = None
    preferred_orientation: Literal["portrait", "landscape", "square"] | None = None
    greenroom: dict[str, Any] | None = None


class Group(Training):
    """A character; `created_at` is in Unix seconds."""

    id: str
    name: str
    created_at: int
    looks_count: int
    consent_status: str | None = None


class LookCreated(Answer):
    avatar_item: Look
    avatar_group: Group | None


class ConsentAsked(Answer):
    """`url` is the page where the person consents; null where footage of it was enough."""

    avatar_group: Group
    url: str | None


class Voice(Answer):
    voice_id: str
    support_pause: bool
    name: str | None = None
    language: str | None = None
    gender: str | None = None
    preview_audio_url: str | None = None


class VoiceRemoved(Answer):
    voice_id: str


class Designed(Answer):
    voices: list[Voice]
    seed: int | None = None


class Cloned(Answer):
    voice_clone_id: str


class Spoken(Answer):
    """`audio_url` is HeyGen's own link; `duration` is in seconds."""

    audio_url: str
    duration: float | None = None


class VideoCreated(Answer):
    video_id: str
    status: Literal["waiting"]
    output_format: Literal["mp4", "webm"]


class Video(Answer):
    """Instants are in Unix seconds, `duration` is in seconds; links need no key and end after seven days."""

    id: str
    status: Literal["pending", "processing", "completed", "failed"]
    title: str | None = None
    created_at: int | None = None
    completed_at: int | None = None
    video_url: str | None = None
    captioned_video_url: str | None = None
    subtitle_url: str | None = None
    thumbnail_url: str | None = None
    gif_url: str | None = None
    duration: float | None = None
    folder_id: str | None = None
    output_language: str | None = None
    failure_code: str | None = None
    failure_message: str | None = None
    video_page_url: str | None = None
    greenroom: dict[str, Any] | None = None


class VideoStatus(Answer):
    """`video_id` is null for a batch that does not exist."""

    video_id: str | None
    status: Literal["queued", "processing", "completed", "failed", "not_found"]
    error: dict[str, Any] | None
    batch_id: str | None
    item_index: int | None


class BatchItem(Answer):
    video_id: str
    status: Literal["queued", "processing", "completed", "failed", "not_found"]
    error: dict[str, Any] | None
    item_index: int


class BatchCreated(Answer):
    batch_id: str
    status: Literal["processing"]
    total_items: int
    items: list[BatchItem]


class Batch(Answer):
    """A page of its items; the cursor stands inside, as HeyGen has it."""

    batch_id: str
    status: Literal["processing", "completed", "failed"]
    counts_by_status: dict[str, int]
    total_items: int
    items: list[BatchItem]
    has_more: bool
    next_token: str | None


class Cancellation(Answer):
    """`billable`: HeyGen may have the video already."""

    phase: Literal["canceled"]
    billable: bool


class VideoCanceled(Answer):
    id: str
    status: Literal["failed"]
    greenroom: Cancellation


class Wallet(Answer):
    currency: Literal["usd", "credits"]
    remaining_balance: float | None
    auto_reload: dict[str, Any] | None


class Account(Answer):
    username: str
    email: str | None
    first_name: str | None
    last_name: str | None
    billing_type: Literal["wallet"]
    wallet: Wallet
    subscription: None
    usage_based: None


class Endpoint(Answer):
    """A webhook endpoint; `secret` is shown by the create alone, `created_at` is ISO 8601."""

    endpoint_id: str
    url: str
    events: list[str]
    status: Literal["enabled", "disabled"]
    created_at: str
    secret: str | None
    greenroom: dict[str, Any]


class EndpointSecret(Answer):
    endpoint_id: str
    secret: str


class Nothing(Answer):
    """HeyGen's answer to the delete of an endpoint."""

    error: None
    data: dict[str, Any]


class EventTypeItem(Answer):
    event_type: str
    description: str


class WebhookEvent(Answer):
    """`event_id` is that of its deliveries; `created_at` is ISO 8601."""

    event_id: str
    event_type: str
    event_data: dict[str, Any]
    created_at: str
