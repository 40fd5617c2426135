"""The four types of video as HeyGen's reference has them, and the rules between their fields.

Fields, values and bounds are those of HeyGen's reference; these models are the one list of known keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic.json_schema import SkipJsonSchema

from app.api.file_inputs import ImageInput, PictureInput, VideoInput
from app.api.requests import Between, Identifier, Integer, WireModel, broken
from app.api.video_parts import (
    Color,
    ColorBackground,
    ElevenLabsSettings,
    Engine,
    Framed,
    ImageBackground,
    MotionPrompt,
    Share,
    Shared,
    Speech,
    VoiceSettings,
)
from app.errors import Fault

MOST_VIDEOS, MOST_IMAGES = 3, 9
"""Among the references of a cinematic video."""


def _no_callback(_: Any) -> Any:
    raise broken(
        "cannot be used with the type 'cinematic_avatar', of which HeyGen calls nobody back: read the video, or"
        " register a webhook endpoint."
    )


def _seconds(number: float) -> float:
    if not 0 < number <= 300:
        raise broken("must be greater than 0 and at most 300.")
    return number


Callback = SkipJsonSchema[Annotated[None, BeforeValidator(_no_callback)]]


class Acted(Speech):
    """An avatar that speaks, as a video or as a scene of one."""

    avatar_id: Identifier
    engine: Engine | None = None
    motion_prompt: MotionPrompt | None = None
    expressiveness: Literal["high", "medium", "low"] | None = None


class SpokenVideo(Framed, Speech):
    """What the types `avatar` and `image` share."""

    fit: Literal["contain", "cover"] | None = None
    background: Annotated[ColorBackground | ImageBackground, Field(discriminator="type")] | None = None
    remove_background: bool | None = None
    output_format: Literal["mp4", "webm"] | None = None
    enable_caption: bool = False
    motion_prompt: MotionPrompt | None = None
    expressiveness: Literal["high", "medium", "low"] | None = None


class AvatarVideo(SpokenVideo, Acted):
    type: Literal["avatar"]


class ImageVideo(SpokenVideo):
    type: Literal["image"]
    image: ImageInput


class CinematicVideo(Shared):
    """`duration` is in seconds, 10 where it is left out. HeyGen has no callback fields here."""

    type: Literal["cinematic_avatar"]
    prompt: Annotated[str, Field(min_length=1, max_length=10_000)]
    avatar_id: Annotated[list[Identifier], Field(min_length=1, max_length=3)]
    references: Annotated[list[PictureInput], Field(max_length=MOST_VIDEOS + MOST_IMAGES)] | None = None
    duration: Annotated[Integer, Between(4, 15)] | None = None
    auto_duration: bool | None = None
    enhance_prompt: bool | None = None
    resolution: Literal["720p", "1080p"] | None = None
    aspect_ratio: Literal["16:9", "9:16", "1:1"] | None = None
    callback_url: Callback = None
    callback_id: Callback = None


class SceneBackground(WireModel):
    type: Literal["color"]
    color: Color


class SceneAvatar(Acted):
    type: Literal["avatar"]
    background: SceneBackground | None = None


class AvatarScene(WireModel):
    type: Literal["avatar_video"]
    input: SceneAvatar


class ImageScene(Speech):
    """Shown for `duration` seconds, or for as long as somebody speaks."""

    type: Literal["image"]
    source: ImageInput
    duration: (
        Annotated[
            float, AfterValidator(_seconds), Field(json_schema_extra={"exclusiveMinimum": 0, "maximum": 300})
        ]
        | None
    ) = None


class Playback(WireModel):
    mode: Literal["freeze", "loop", "fit_to_scene"] | None = None
    volume: Share | None = None
    mute: bool | None = None


class ClipScene(Speech):
    """A video as it is, or with another voice."""

    type: Literal["video"]
    source: VideoInput
    playback: Playback | None = None


Scene = Annotated[AvatarScene | ImageScene | ClipScene, Field(discriminator="type")]


class StudioVideo(Framed):
    """Scenes one after the other; all of them are made, or none."""

    type: Literal["studio"]
    scenes: Annotated[list[Scene], Field(min_length=1, max_length=50)]


AnyVideo = AvatarVideo | ImageVideo | CinematicVideo | StudioVideo
KINDS: dict[str, type[AvatarVideo] | type[ImageVideo] | type[CinematicVideo] | type[StudioVideo]] = {
    "avatar": AvatarVideo,
    "image": ImageVideo,
    "cinematic_avatar": CinematicVideo,
    "studio": StudioVideo,
}


@dataclass(frozen=True, slots=True)
class Speaker:
    """Something that may speak; `at` begins the names of its fields: "", "scenes.3." or "scenes.3.input."."""

    at: str
    speech: AvatarVideo | ImageVideo | SceneAvatar | ImageScene | ClipScene

    @property
    def acted(self) -> AvatarVideo | SceneAvatar | None:
        """The same where an avatar speaks."""
        return self.speech if isinstance(self.speech, AvatarVideo | SceneAvatar) else None


def speakers(video: AnyVideo) -> Iterator[Speaker]:
    """Whoever may speak in a video."""
    match video:
        case StudioVideo():
            for index, scene in enumerate(video.scenes):
                if isinstance(scene, AvatarScene):
                    yield Speaker(f"scenes.{index}.input.", scene.input)
                else:
                    yield Speaker(f"scenes.{index}.", scene)
        case AvatarVideo() | ImageVideo():
            yield Speaker("", video)


def conflicts(video: AnyVideo) -> Iterator[Fault]:
    """What no field can say alone."""
    for speaker in speakers(video):
        yield from _speech_conflicts(speaker)
        if speaker.acted is not None:
            yield from _engine_conflicts(speaker.at, speaker.acted)
        yield from _voice_conflicts(speaker.at, speaker.speech.voice_settings)
    match video:
        case CinematicVideo(auto_duration=True, duration=int()):
            yield Fault("'duration' cannot be used with 'auto_duration'.", "duration")
        case AvatarVideo() | ImageVideo():
            yield from _background_conflicts(video)


def _speech_conflicts(speaker: Speaker) -> Iterator[Fault]:
    at, speech = speaker.at, speaker.speech
    names = f"'{at}script', '{at}audio_url' or '{at}audio_asset_id'"
    match speech:
        case ImageScene():
            if (speech.duration is not None) + speech.sources != 1:
                yield Fault(f"Exactly one of '{at}duration', {names} must be provided.", f"{at}duration")
        case ClipScene():
            if speech.sources > 1:
                yield Fault(f"At most one of {names} may be provided.", f"{at}script")
        case _ if speech.sources != 1:
            yield Fault(f"Exactly one of {names} must be provided.", f"{at}script")
    # A look may have a voice of its own, a picture has none.
    if speaker.acted is None and speech.script is not None and speech.voice_id is None:
        yield Fault(f"'{at}voice_id' is required with '{at}script'.", f"{at}voice_id")


def _background_conflicts(video: AvatarVideo | ImageVideo) -> Iterator[Fault]:
    if isinstance(video.background, ImageBackground) and not (video.background.url is None) ^ (
        video.background.asset_id is None
    ):
        yield Fault(
            "Exactly one of 'background.url' or 'background.asset_id' must be provided.", "background"
        )
    if video.output_format == "webm" and video.background is not None:
        yield Fault("'background' cannot be used with the output format 'webm'.", "background")


def _engine_conflicts(at: str, acted: AvatarVideo | SceneAvatar) -> Iterator[Fault]:
    engine = acted.engine.type if acted.engine else "avatar_iv"
    if acted.expressiveness is not None and engine != "avatar_iv":
        path = f"{at}expressiveness"
        yield Fault(f"'{path}' cannot be used with the engine '{engine}'.", path)
    if acted.motion_prompt is not None and engine == "avatar_iii":
        path = f"{at}motion_prompt"
        yield Fault(f"'{path}' cannot be used with the engine '{engine}'.", path)
    if acted.engine and acted.engine.reference_look_id is not None and engine != "avatar_v":
        path = f"{at}engine.reference_look_id"
        yield Fault(f"'{path}' cannot be used with the engine '{engine}'.", path)


def _voice_conflicts(at: str, voice: VoiceSettings | None) -> Iterator[Fault]:
    settings = voice.engine_settings if voice else None
    if not isinstance(settings, ElevenLabsSettings) or settings.model != "eleven_v3":
        return
    if settings.stability not in {None, 0, 0.5, 1}:
        path = f"{at}voice_settings.engine_settings.stability"
        yield Fault(f"'{path}' must be 0, 0.5 or 1 with the model 'eleven_v3'.", path)
