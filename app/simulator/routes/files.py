"""The file host: signed links, no key."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, PlainTextResponse, Response

from app.simulator.media import gif, subtitles, thumbnail
from app.simulator.routes.pages import WorldDep
from app.simulator.videos import over
from app.simulator.world import World

router = APIRouter(prefix="/files")


@router.api_route("/{kind}/{owner_id}/{name}", methods=["GET", "HEAD"])
async def get_file(kind: str, owner_id: str, name: str, request: Request, world: WorldDep) -> Response:
    """A file by its signed link: 403 for an expired or altered one, 404 while it is late; ranges work."""
    query = request.query_params
    path = f"/files/{kind}/{owner_id}/{name}"
    if not world.links.opens(path, query.get("Expires", ""), query.get("Signature", ""), world.now()):
        return PlainTextResponse("Access denied: the link has expired or was altered.", 403)
    found = {"videos": _video, "looks": _look, "assets": _asset, "speech": _speech}.get(kind, _nothing)(
        world, owner_id, name
    )
    return found or PlainTextResponse("Not found.", 404)


def _video(world: World, video_id: str, name: str) -> Response | None:
    now = world.now()
    row = world.store.one("SELECT * FROM videos WHERE id = ? AND deleted = 0", video_id)
    if row is None or not over(row, now) or row["film"] is None or now < row["finish_at"] + row["file_late"]:
        return None
    if name == "subtitles.srt":
        return Response(subtitles(row["script"], row["duration"]), media_type="application/x-subrip")
    if name == "thumbnail.jpg":
        return Response(thumbnail(Path(row["photo"])), media_type="image/jpeg")
    if name == "gif.gif":
        return Response(gif(Path(row["photo"])), media_type="image/gif")
    if name == "captioned.mp4":
        row = world.store.one("SELECT film FROM captioned_films WHERE video_id = ?", video_id) or row
    return _file(Path(row["film"]))


def _look(world: World, look_id: str, name: str) -> Response | None:  # noqa: ARG001 -- one signature
    row = world.store.one("SELECT photo FROM looks WHERE id = ? AND deleted = 0", look_id)
    return Response(thumbnail(Path(row["photo"])), media_type="image/jpeg") if row else None


def _asset(world: World, asset_id: str, name: str) -> Response | None:  # noqa: ARG001 -- one signature
    row = world.store.one("SELECT path FROM assets WHERE id = ? AND deleted = 0", asset_id)
    return _file(Path(row["path"])) if row else None


def _speech(world: World, speech_id: str, name: str) -> Response | None:  # noqa: ARG001 -- one signature
    return _file(world.sources.folder / f"{speech_id}.wav") if speech_id.isalnum() else None


def _nothing(world: World, owner_id: str, name: str) -> Response | None:  # noqa: ARG001 -- one signature
    return None


def _file(path: Path) -> Response | None:
    return FileResponse(path) if path.is_file() else None
