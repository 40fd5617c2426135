"""From whatever way a caller names a photo to an asset of ours that was looked at: nothing is stored for a bad one."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from app.api.asset_intake import file_chunks, own_asset, take_in
from app.api.file_inputs import AssetInput, InlineAsset, StoredAsset, UrlAsset
from app.context import Context
from app.errors import Fault, InvalidParameter, NotFound, Unavailable
from app.models import Asset
from app.photos import LARGEST_FILE, BadPhoto, CheckFailed, Photo
from app.storage import NotStored
from app.tenancy import Caller
from app.webhooks.destination import DownloadFailed, download

FETCH_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class UsablePhoto:
    """A photo of the caller's that passed the check; sides in pixels."""

    asset: Asset
    width: int
    height: int


async def bring_photo(ctx: Context, caller: Caller, source: AssetInput, param: str = "file") -> str | None:
    """The id of our asset for a photo, as `usable_photo` finds it; None where HeyGen's own id is to be passed on."""
    photo = await usable_photo(ctx, caller, source, param)
    return photo.asset.id if photo is not None else None


async def usable_photo(
    ctx: Context, caller: Caller, source: AssetInput, param: str = "file", *, within: float = FETCH_SECONDS
) -> UsablePhoto | None:
    """Fetch, check and keep a photo. No transaction is open while it is fetched, for `within` seconds at most.

    None for an asset id that is none of ours, where the caller sees the whole HeyGen account: HeyGen may know it.
    `param` is the field that holds the source. Raises InvalidParameter (`download_failed` too), NotFound and
    Unavailable.
    """
    match source:
        case StoredAsset():
            return await _stored(ctx, caller, source.asset_id, f"{param}.asset_id")
        case InlineAsset():
            async with _scratch() as path:
                await asyncio.to_thread(path.write_bytes, source.data)
                return await _new(ctx, caller, path, "photo", f"{param}.data", source.media_type)
        case UrlAsset():
            async with _scratch() as path:
                await _fetch(ctx, source.url, path, within, f"{param}.url")
                return await _new(ctx, caller, path, _name_in(source.url), f"{param}.url")


async def _stored(ctx: Context, caller: Caller, asset_id: str, param: str) -> UsablePhoto | None:
    async with ctx.database.begin() as session:
        asset = await own_asset(session, caller, asset_id, param)
        ours = asset is not None or await session.get(Asset, asset_id) is not None
    if asset is None:
        if ours or not caller.account_wide:
            raise NotFound.asset(asset_id, param=param)
        return None
    try:
        path = ctx.storage.path(asset.storage_key)
    except NotStored:
        raise NotFound.asset(asset_id, param=param) from None
    photo = await _check(ctx, path, param)
    return UsablePhoto(asset, photo.width, photo.height)


async def _new(
    ctx: Context, caller: Caller, path: Path, filename: str, param: str, declared: str | None = None
) -> UsablePhoto:
    photo = await _check(ctx, path, param)
    if declared not in {None, photo.mime}:
        raise InvalidParameter(f"'{param}' is {photo.mime}, but declared as {declared}.", param=param)
    asset = await take_in(ctx, caller, file_chunks(path), filename)
    return UsablePhoto(asset, photo.width, photo.height)


async def _fetch(ctx: Context, url: str, target: Path, within: float, param: str) -> None:
    try:
        await download(ctx.webhooks, url, target=target, limit=LARGEST_FILE, timeout=within)
    except DownloadFailed as failure:
        raise InvalidParameter(
            f"'{param}' could not be fetched: {_told(failure.reason)}.", code="download_failed", param=param
        ) from failure


async def _check(ctx: Context, path: Path, param: str) -> Photo:
    try:
        return await ctx.photos.check(path)
    except BadPhoto as bad:
        # The code is not one of HeyGen's, so it stands beside its general one.
        fault = Fault(bad.message, param, code=bad.code)
        raise InvalidParameter(bad.message, param=param, errors=(fault,)) from bad
    except CheckFailed as failure:
        raise Unavailable("The photo cannot be checked now.", retry_after=5) from failure


def _told(reason: str) -> str:
    """What the caller hears: enough to mend the URL, too little to explore a network with."""
    if reason.startswith("http_"):
        return f"its server answered {reason.removeprefix('http_')}"
    return {
        "bad_url": "it is not of the form https://host/path in plain ASCII",
        "private_address": "it does not lead to a public address",
        "redirect": "its server redirects, and redirects are not followed",
        "too_large": f"the file is larger than {LARGEST_FILE // 1024**2} MB",
    }.get(reason, "its server did not send the file")


def _name_in(url: str) -> str:
    return unquote(PurePosixPath(urlsplit(url).path).name) or "photo"


@asynccontextmanager
async def _scratch() -> AsyncIterator[Path]:
    """A file name in a folder of its own, which is gone afterwards."""
    folder = await asyncio.to_thread(tempfile.TemporaryDirectory, prefix="greenroom-")
    try:
        yield Path(folder.name) / "photo"
    finally:
        await asyncio.to_thread(folder.cleanup)
