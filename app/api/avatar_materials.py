"""What a wanted look is made of, looked at and kept before anything is stored for the look or spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.api.asset_intake import own_asset, take_in_inline
from app.api.avatar_requests import AvatarRequest, PhotoAvatar, PromptAvatar, TwinAvatar
from app.api.file_inputs import AssetInput, InlineAsset, StoredAsset, UrlAsset
from app.api.heygen_assets import check_assets
from app.api.photo_intake import FETCH_SECONDS, usable_photo
from app.api.video_looks import LookFacts, heygens_looks, own_looks, refuse
from app.context import Context
from app.errors import InvalidParameter, NotFound
from app.models import Asset
from app.tenancy import Caller

Places = Sequence[tuple[Sequence[str], str]]


@dataclass(frozen=True, slots=True)
class Material:
    """HeyGen's body without name and group, our ids in it, and what the worker has to do about these.

    `same_as` is what equal materials have in common, None where that cannot be told; `facts` is what is known of the
    look before HeyGen says more.
    """

    body: Mapping[str, Any] = field(hash=False)
    same_as: Any
    assets: Places = ()
    look_id: str | None = None
    unchecked: Sequence[tuple[str, str]] = ()
    facts: Mapping[str, Any] | None = None


async def bring_material(ctx: Context, caller: Caller, asked: AvatarRequest) -> Material:
    """Fetch and check what the request names; that may take seconds, and no transaction is open meanwhile.

    Raises InvalidParameter (`download_failed` too), NotFound and Unavailable.
    """
    match asked:
        case PhotoAvatar():
            photo = await usable_photo(ctx, caller, asked.file)
            if photo is None:
                await check_assets(ctx, caller, _left_to_heygen({"file": asked.file}))
            asset_id, same = _named(photo.asset if photo else None, asked.file)
            facts = {"image_width": photo.width, "image_height": photo.height} if photo else None
            places = [(("file", "asset_id"), asset_id)] if photo else ()
            return Material({"file": _stored(asset_id)}, same, places, facts=facts)
        case TwinAvatar():
            return await _footage(ctx, caller, asked.file, "file")
        case PromptAvatar():
            return await _described(ctx, caller, asked)


async def own_footage(
    ctx: Context, caller: Caller, source: StoredAsset | InlineAsset, param: str
) -> Asset | None:
    """The caller's video file; None where HeyGen's own id is to be passed on. Raises NotFound and InvalidParameter."""
    if isinstance(source, InlineAsset):
        return await take_in_inline(ctx, caller, source, param)
    async with ctx.database.begin() as session:
        asset = await own_asset(session, caller, source.asset_id, f"{param}.asset_id")
        ours = asset is not None or await session.get(Asset, source.asset_id) is not None
    if asset is None:
        if ours or not caller.account_wide:
            raise NotFound.asset(source.asset_id, param=f"{param}.asset_id")
        return None
    if not asset.mime.startswith("video/"):
        raise InvalidParameter(
            f"'{param}.asset_id' must be an MP4 or WebM file, not {asset.mime}.", param=f"{param}.asset_id"
        )
    return asset


async def _footage(ctx: Context, caller: Caller, source: AssetInput, param: str) -> Material:
    if isinstance(source, UrlAsset):
        # HeyGen fetches it. What stands there may change, so that no two are known to be equal.
        return Material({param: {"type": "url", "url": source.url}}, None)
    asset = await own_footage(ctx, caller, source, param)
    if asset is None:
        await check_assets(ctx, caller, _left_to_heygen({param: source}))
    asset_id, same = _named(asset, source)
    places = [((param, "asset_id"), asset_id)] if asset is not None else ()
    return Material({param: _stored(asset_id)}, same, places)


async def _described(ctx: Context, caller: Caller, asked: PromptAvatar) -> Material:
    reference, named = LookFacts(), asked.avatar_id
    body: dict[str, Any] = {"prompt": asked.prompt}
    if named is not None:
        reference = await _reference(ctx, caller, named)
        body["avatar_id"] = named
    same: list[Any] = [asked.prompt, reference.look_id or named]
    places, theirs = [], {}
    began = ctx.clock.elapsed()
    for number, source in enumerate(asked.reference_images):
        param = f"reference_images.{number}"
        left = max(FETCH_SECONDS - (ctx.clock.elapsed() - began), 0)
        photo = await usable_photo(ctx, caller, source, param, within=left)
        asset_id, same_photo = _named(photo.asset if photo else None, source)
        body.setdefault("reference_images", []).append(_stored(asset_id))
        same.append(same_photo)
        if photo is not None:
            places.append((("reference_images", str(number), "asset_id"), asset_id))
        else:
            theirs[param] = source
    await check_assets(ctx, caller, _left_to_heygen(theirs))
    unchecked = [("look", named)] if reference.unchecked and named is not None else []
    return Material(body, same, places, reference.look_id, unchecked)


async def _reference(ctx: Context, caller: Caller, avatar_id: str) -> LookFacts:
    """The look that a new one shall resemble. Raises NotFound and InvalidParameter."""
    async with ctx.database.begin() as session:
        found = await own_looks(session, caller, [avatar_id])
    if avatar_id not in found:
        found = await heygens_looks(ctx, caller, [avatar_id])
    facts: LookFacts = refuse(found, avatar_id, "avatar_id")
    return facts


def _left_to_heygen(sources: Mapping[str, AssetInput]) -> dict[str, str]:
    """Files that no row of ours holds: their ids, by the fields that name them."""
    return {f"{at}.asset_id": it.asset_id for at, it in sources.items() if isinstance(it, StoredAsset)}


def _named(asset: Asset | None, source: AssetInput) -> tuple[str, str]:
    """A file's id, ours where it is known here, and what tells it from others."""
    if asset is not None:
        return asset.id, asset.sha256
    assert isinstance(source, StoredAsset)  # noqa: S101 -- else there is an asset
    return source.asset_id, source.asset_id


def _stored(asset_id: str) -> dict[str, str]:
    return {"type": "asset_id", "asset_id": asset_id}
