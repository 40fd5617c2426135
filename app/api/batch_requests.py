"""`POST /v3/videos/batches`: many videos in one body, every fault named with the item it is in."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from app.api.requests import MAX_FAULTS, CallbackUrl, Title, VideoOptions, WireModel, validate, without_nulls
from app.api.video_bodies import KINDS
from app.api.video_parts import FolderId
from app.api.video_requests import VideoRequest, parse_video
from app.errors import ApiError, Fault, InvalidParameter

MOST_VIDEOS = 1_000
"""HeyGen takes 100. Each of ours is sent by itself."""
BETWEEN_TURNS = 50  # items; whoever else is served by this process must not wait for all of them

_ITEMS = {"oneOf": [{"$ref": f"#/components/schemas/{model.__name__}"} for model in KINDS.values()]}


class BatchBody(WireModel):
    """`folder_id` is that of all items; what `greenroom` says holds for those that say nothing themselves."""

    videos: Annotated[
        list[dict[str, Any]],
        Field(min_length=1, max_length=MOST_VIDEOS),
        WithJsonSchema({"type": "array", "minItems": 1, "maxItems": MOST_VIDEOS, "items": _ITEMS}),
    ]
    title: Title | None = None
    folder_id: FolderId | None = None
    callback_url: CallbackUrl | None = None
    callback_id: Annotated[str, Field(max_length=1_000)] | None = None
    greenroom: VideoOptions = VideoOptions()


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """A batch as asked for; its videos are in its folder."""

    body: BatchBody
    videos: tuple[VideoRequest, ...]

    def options(self, video: VideoRequest) -> VideoOptions:
        """What an item says for itself, and else the batch for it; metadata belong to who has them."""
        own = video.greenroom
        said = {name: getattr(own, name) for name in own.model_fields_set} | {"metadata": own.metadata}
        return self.body.greenroom.model_copy(update=said)


class Faults:
    """What is wrong with items, up to as many faults as are told at once."""

    def __init__(self) -> None:
        self._found: list[Fault] = []

    def add(self, index: int, error: ApiError) -> None:
        """All that is wrong with one item."""
        several = error.errors or (Fault(error.message, error.param, error.code),)
        self._found += [_within(f"videos.{index}", fault) for fault in several]

    def settle(self) -> None:
        """Raises InvalidParameter where there are any."""
        if self._found:
            raise InvalidParameter.of(self._found[:MAX_FAULTS])


async def parse_batch(
    body: Mapping[str, Any], *, forward_fields: frozenset[str], allow_private: bool
) -> BatchRequest:
    """The batch in `body`; raises InvalidParameter with the faults of all its items."""
    batch = validate(BatchBody, without_nulls(body, frozenset({"metadata", "videos"})))
    faults, videos = Faults(), []
    for index, item in enumerate(batch.videos):
        try:
            video = parse_video(item, forward_fields=forward_fields, allow_private=allow_private)
            _check_item(video)
            videos.append(_in_folder(video, batch.folder_id))
        except InvalidParameter as error:
            faults.add(index, error)
        await give_turn(index)
    faults.settle()
    return BatchRequest(batch, tuple(videos))


async def give_turn(index: int) -> None:
    """Let others go on, now and then."""
    if index % BETWEEN_TURNS == 0:
        await asyncio.sleep(0)


def _check_item(video: VideoRequest) -> None:
    faults = [
        Fault(f"'{path}' must not be base64 in a batch: upload the file, and name its asset.", path)
        for path, _ in video.inline
    ]
    if "folder_id" in video.upstream:
        faults.append(
            Fault("'folder_id' cannot be used here: that of the batch is that of all items.", "folder_id")
        )
    if faults:
        raise InvalidParameter.of(faults)


def _in_folder(video: VideoRequest, folder_id: str | None) -> VideoRequest:
    return video if folder_id is None else replace(video, upstream=video.upstream | {"folder_id": folder_id})


def _within(item: str, fault: Fault) -> Fault:
    """The fault, as a reader of the whole batch understands it."""
    if fault.path is None:
        return replace(fault, message=f"In '{item}': {fault.message}", path=item)
    path, name = f"{item}.{fault.path}", f"'{fault.path}'"
    if fault.message.startswith(name):
        return replace(fault, message=f"'{path}'{fault.message.removeprefix(name)}", path=path)
    return replace(fault, message=f"In '{item}': {fault.message}", path=path)
