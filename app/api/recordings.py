"""The recording that a voice is cloned from: looked at before anything is paid, and at HeyGen by its id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.api.asset_intake import own_asset, take_in_inline
from app.api.file_inputs import AssetInput, InlineAsset, StoredAsset, UrlAsset
from app.api.heygen_copies import at_heygen
from app.api.upstream import RETRY_SECONDS
from app.context import Context
from app.errors import InvalidParameter, NotFound, Unavailable
from app.heygen.errors import NoAnswer
from app.models import Asset, Upload
from app.storage import NotStored
from app.tenancy import Caller


async def bring_recording(ctx: Context, caller: Caller, source: AssetInput) -> Asset | None:
    """Our asset for the recording; None where HeyGen is to fetch a URL, or to know the id itself.

    Raises InvalidParameter for what is no recording, and NotFound.
    """
    match source:
        case UrlAsset():
            return None
        case InlineAsset():
            return await take_in_inline(ctx, caller, source, "audio")
        case StoredAsset():
            return await _stored(ctx, caller, source.asset_id)


async def heygen_source(
    ctx: Context, caller: Caller, source: AssetInput, recording: Asset | None
) -> Mapping[str, Any]:
    """The recording as HeyGen is told of it; it goes up first where HeyGen does not have it yet."""
    if recording is None:
        return source.model_dump()
    try:
        heygen_asset_id = await at_heygen(ctx, caller, recording)
    except NotStored:
        raise NotFound.asset(recording.id, param="audio.asset_id") from None
    except NoAnswer as error:
        # Uploads cost nothing: this is no outcome that matters.
        raise Unavailable("HeyGen did not take the recording.", retry_after=RETRY_SECONDS) from error
    return {"type": "asset_id", "asset_id": heygen_asset_id}


async def _stored(ctx: Context, caller: Caller, asset_id: str) -> Asset | None:
    param = "audio.asset_id"
    async with ctx.database.begin() as session:
        asset = await own_asset(session, caller, asset_id, param)
        ours = asset is not None
        for model in (Asset, Upload):
            ours = ours or await session.get(model, asset_id) is not None
    if asset is None:
        if ours or not caller.account_wide:
            raise NotFound.asset(asset_id, param=param)
        return None
    if not asset.mime.startswith(("audio/", "video/")):
        raise InvalidParameter(f"'{param}' must be a recording, not {asset.mime}.", param=param)
    return asset
