"""`POST /v3/videos`: from HeyGen's wire body to what the route stores and the worker sends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from app.api.file_inputs import AssetInput, InlineAsset, StoredAsset
from app.api.requests import VideoOptions, in_callers_words, validate, without_nulls
from app.api.video_bodies import (
    KINDS,
    AnyVideo,
    AvatarVideo,
    CinematicVideo,
    ClipScene,
    ImageScene,
    ImageVideo,
    Speaker,
    StudioVideo,
    conflicts,
    speakers,
)
from app.api.video_parts import ImageBackground
from app.errors import InvalidParameter
from app.stored_request import put

# Never sent on as the caller wrote them: the worker adds a title and callback fields of its own.
KEPT_BACK = frozenset({"title", "callback_url", "callback_id", "test", "enable_caption", "greenroom"})
VISUAL_SOURCES = ("avatar_id", "image_url", "image_asset_id")
IMAGE, AUDIO, VIDEO = ("image",), ("audio",), ("video",)
_NAMES = ", ".join(f"'{kind}'" for kind in [*KINDS][:-1]) + f" or '{[*KINDS][-1]}'"


@dataclass(frozen=True, slots=True)
class Named:
    """An id, and where in the body it stands."""

    path: str
    id: str


@dataclass(frozen=True, slots=True)
class NamedFile(Named):
    """An asset's id; `kinds` are the kinds of file that will do there: image, audio, video."""

    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VideoRequest:
    """One video as asked for.

    `upstream` is HeyGen's body without title and callback fields. Paths in it are dotted ("scenes.3.source"). `inline`
    are the pictures taken out of it, which become assets before it can be sent; `image` is the picture of an image
    video, wherever it comes from. `renamed` is for `in_callers_words`.
    """

    type: Literal["avatar", "image", "cinematic_avatar", "studio"]
    upstream: dict[str, Any]
    title: str | None
    callback_url: str | None
    callback_id: str | None
    test: bool
    greenroom: VideoOptions
    image: AssetInput | None
    speakers: tuple[Speaker, ...]
    looks: tuple[Named, ...]
    references: tuple[Named, ...]
    voices: tuple[Named, ...]
    assets: tuple[NamedFile, ...]
    inline: tuple[tuple[str, InlineAsset], ...] = field(repr=False)
    renamed: Mapping[str, str] = field(compare=False)


def parse_video(
    body: Mapping[str, Any], *, forward_fields: frozenset[str] = frozenset(), allow_private: bool = False
) -> VideoRequest:
    """The request in `body`; `forward_fields` are unknown keys to pass on verbatim. Raises InvalidParameter."""
    known = set(VISUAL_SOURCES).union(*(model.model_fields for model in KINDS.values()))
    forwarded = {key: value for key, value in body.items() if key in forward_fields and key not in known}
    wire, renamed = _modern(
        without_nulls({key: value for key, value in body.items() if key not in forwarded})
    )
    with in_callers_words(renamed):
        video: AnyVideo = validate(KINDS[wire["type"]], wire, allow_private=allow_private)
    faults = list(conflicts(video))
    if faults:
        raise InvalidParameter.of(faults)
    files = tuple(_files(video))
    inline = tuple((path, file) for path, file, _ in files if isinstance(file, InlineAsset))
    speaking = tuple(speakers(video))
    return VideoRequest(
        type=video.type,
        upstream=_upstream(wire, video, inline) | forwarded,
        title=video.title,
        callback_url=video.callback_url,
        callback_id=video.callback_id,
        test=video.test,
        greenroom=video.greenroom,
        image=video.image if isinstance(video, ImageVideo) else None,
        speakers=speaking,
        looks=tuple(_looks(video, speaking)),
        references=tuple(_references(speaking)),
        voices=tuple(
            Named(f"{it.at}voice_id", it.speech.voice_id) for it in speaking if it.speech.voice_id is not None
        ),
        assets=tuple(_assets(video, speaking, files)),
        inline=inline,
        renamed=renamed,
    )


def _modern(wire: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The body under its true type, and the caller's names of what moved.

    Older clients name a picture by keys of their own under the type `avatar`, which makes it an image video.
    """
    kind = wire.get("type")
    if not isinstance(kind, str) or kind not in KINDS:
        rule = "is required" if kind is None else "names a type that Greenroom does not serve"
        raise InvalidParameter(f"'type' {rule}: it must be {_NAMES}.", param="type")
    sources = [key for key in VISUAL_SOURCES if key in wire]
    if kind != "avatar" or sources == ["avatar_id"]:
        return wire, {}
    if len(sources) != 1:
        raise InvalidParameter(
            "Exactly one visual source required: avatar_id, image_url, or image_asset_id.", param="avatar_id"
        )
    old = sources[0]
    source = old.removeprefix("image_")
    rest = {key: value for key, value in wire.items() if key != old}
    return rest | {"type": "image", "image": {"type": source, source: wire[old]}}, {f"image.{source}": old}


# --- what a body names ---------------------------------------------------------------------------------------------


def _looks(video: AnyVideo, speaking: tuple[Speaker, ...]) -> Iterator[Named]:
    if isinstance(video, CinematicVideo):
        yield from (Named(f"avatar_id.{index}", look_id) for index, look_id in enumerate(video.avatar_id))
    for speaker in speaking:
        if speaker.acted is not None:
            yield Named(f"{speaker.at}avatar_id", speaker.acted.avatar_id)


def _references(speaking: tuple[Speaker, ...]) -> Iterator[Named]:
    for speaker in speaking:
        engine = speaker.acted.engine if speaker.acted is not None else None
        if engine is not None and engine.reference_look_id is not None:
            yield Named(f"{speaker.at}engine.reference_look_id", engine.reference_look_id)


def _files(video: AnyVideo) -> Iterator[tuple[str, AssetInput, tuple[str, ...]]]:
    """Every file of a body: where it stands, what it is, which kinds will do."""
    match video:
        case ImageVideo():
            yield "image", video.image, IMAGE
        case CinematicVideo():
            for index, file in enumerate(video.references or ()):
                yield f"references.{index}", file, IMAGE + VIDEO
        case StudioVideo():
            for index, scene in enumerate(video.scenes):
                if isinstance(scene, ImageScene | ClipScene):
                    yield f"scenes.{index}.source", scene.source, VIDEO if scene.type == "video" else IMAGE
    if not isinstance(video, CinematicVideo) and video.watermark is not None:
        yield "watermark.image", video.watermark.image, IMAGE


def _assets(
    video: AnyVideo,
    speaking: tuple[Speaker, ...],
    files: tuple[tuple[str, AssetInput, tuple[str, ...]], ...],
) -> Iterator[NamedFile]:
    for path, file, kinds in files:
        if isinstance(file, StoredAsset):
            yield NamedFile(f"{path}.asset_id", file.asset_id, kinds)
    background = video.background if isinstance(video, AvatarVideo | ImageVideo) else None
    if isinstance(background, ImageBackground) and background.asset_id is not None:
        yield NamedFile("background.asset_id", background.asset_id, IMAGE)
    for speaker in speaking:
        if speaker.speech.audio_asset_id is not None:
            yield NamedFile(f"{speaker.at}audio_asset_id", speaker.speech.audio_asset_id, AUDIO)


def _upstream(
    wire: dict[str, Any], video: AnyVideo, inline: tuple[tuple[str, InlineAsset], ...]
) -> dict[str, Any]:
    """The caller's own words, for the models change no value; HeyGen may know more of them than we do."""
    body = {key: value for key, value in wire.items() if key not in KEPT_BACK}
    if isinstance(video, AvatarVideo | ImageVideo) and video.enable_caption:
        body.setdefault("caption", {"file_format": "srt"})
    for path, _ in inline:
        put(body, path.split("."), {"type": "asset_id"})  # its id follows
    return body
