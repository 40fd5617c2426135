"""The files that requests name or bring: assets of ours by their rows, pictures taken in."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.api.asset_intake import INCOMPLETE, take_in_inline
from app.api.photo_intake import bring_photo
from app.api.requests import in_callers_words
from app.api.video_bodies import MOST_IMAGES, MOST_VIDEOS
from app.api.video_requests import NamedFile, VideoRequest
from app.context import Context
from app.database import portions
from app.errors import InvalidParameter, NotFound
from app.models import Asset, Upload
from app.stored_request import put
from app.tenancy import Caller

CLIPS, PICTURES = (".mp4", ".webm", ".mov"), (".png", ".jpg", ".jpeg")

Places = tuple[tuple[tuple[str, ...], str], ...]
"""(path within the body, id of an asset of ours)."""


@dataclass(frozen=True, slots=True)
class Files:
    """What is known of asset ids.

    `assets` are ours, of any tenant; `announced` direct uploads of the caller's that are not complete; `absent` are
    those that HeyGen does not have either.
    """

    assets: Mapping[str, Asset]
    announced: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()

    def left_to_heygen(self, caller: Caller, asset_ids: Iterable[str]) -> list[str]:
        """Those that only HeyGen may know, and the caller may name: sorted."""
        if not caller.account_wide:
            return []
        return sorted(set(asset_ids) - self.assets.keys() - self.announced)


async def find_files(session: AsyncSession, caller: Caller, asset_ids: Iterable[str]) -> Files:
    """What the tables tell of these ids."""
    ids = frozenset(asset_ids)
    return Files(await _find_assets(session, ids), await _find_announced(session, caller, ids))


async def _find_assets(session: AsyncSession, asset_ids: Iterable[str]) -> dict[str, Asset]:
    """Every asset of these ids, of any tenant."""
    found: dict[str, Asset] = {}
    for some in portions(dict.fromkeys(asset_ids)):
        rows = await session.scalars(select(Asset).where(col(Asset.id).in_(some)))
        found |= {asset.id: asset for asset in rows}
    return found


async def _find_announced(session: AsyncSession, caller: Caller, asset_ids: Iterable[str]) -> frozenset[str]:
    """Those of these ids that are the caller's direct uploads and not complete yet."""
    found: set[str] = set()
    for some in portions(dict.fromkeys(asset_ids)):
        rows = select(col(Upload.id)).where(col(Upload.id).in_(some), col(Upload.completed_at).is_(None))
        found.update(await session.scalars(rows.where(col(Upload.tenant_id) == caller.tenant_id)))
    return frozenset(found)


def own_places(caller: Caller, request: VideoRequest, files: Files) -> Places:
    """Where in the body assets of ours stand; raises NotFound, and InvalidParameter for the wrong kind of file."""
    with in_callers_words(request.renamed):
        found = [(named, _asset_at(caller, named, files)) for named in request.assets]
    _check_references(request, files.assets)
    return tuple((tuple(named.path.split(".")), asset.id) for named, asset in found if asset is not None)


def _asset_at(caller: Caller, named: NamedFile, files: Files) -> Asset | None:
    """The asset of ours, of the right kind; None where only HeyGen may know it."""
    asset = files.assets.get(named.id)
    if named.id in files.announced and (asset is None or asset.deleted_at is not None):
        raise InvalidParameter(INCOMPLETE, code="asset_not_available", param=named.path)
    if asset is None and caller.account_wide and named.id not in files.absent:
        return None
    if asset is None or asset.tenant_id != caller.tenant_id or asset.deleted_at is not None:
        raise NotFound.asset(named.id, param=named.path)
    _check_kind(named, asset)
    return asset


def _check_kind(named: NamedFile, asset: Asset) -> None:
    if not asset.mime.startswith(tuple(f"{kind}/" for kind in named.kinds)):
        article = "an" if named.kinds[0][0] in "aeiou" else "a"
        raise InvalidParameter(
            f"'{named.path}' must be {article} {' or '.join(named.kinds)} file, not {asset.mime}.",
            param=named.path,
        )


def _check_references(request: VideoRequest, assets: Mapping[str, Asset]) -> None:
    """As far as it can be told what they are."""
    if request.type != "cinematic_avatar":
        return
    kinds = [
        *(assets[named.id].mime.partition("/")[0] for named in request.assets if named.id in assets),
        *(file.media_type.partition("/")[0] for _, file in request.inline),
        *(_kind_at(file) for file in request.upstream.get("references", ())),
    ]
    if kinds.count("video") > MOST_VIDEOS or kinds.count("image") > MOST_IMAGES:
        raise InvalidParameter(
            f"'references' must be at most {MOST_VIDEOS} videos and {MOST_IMAGES} images.", param="references"
        )


def _kind_at(file: Mapping[str, str]) -> str | None:
    path = urlsplit(file.get("url", "")).path.lower()
    return "video" if path.endswith(CLIPS) else "image" if path.endswith(PICTURES) else None


async def bring_files(
    ctx: Context, caller: Caller, request: VideoRequest, body: dict[str, Any]
) -> tuple[dict[str, Any], Places]:
    """The body with assets in the place of the picture that came as URL, and of the files inside the request."""
    body, brought = copy.deepcopy(body), []
    if request.image is not None:
        with in_callers_words(request.renamed):
            photo_id = await bring_photo(ctx, caller, request.image, "image")
        if photo_id is not None:
            brought.append(("image", photo_id))
    for path, file in request.inline:
        if path != "image":
            brought.append((path, (await take_in_inline(ctx, caller, file, path)).id))
    for path, asset_id in brought:
        put(body, path.split("."), {"type": "asset_id", "asset_id": asset_id})
    return body, tuple(((*path.split("."), "asset_id"), asset_id) for path, asset_id in brought)
