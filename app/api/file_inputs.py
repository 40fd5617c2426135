"""Files in the bodies of requests: named by link or by id, or inside."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from app.api.file_types import MB, TYPES, limit_for
from app.api.requests import Identifier, WireModel, broken, web_address
from app.webhooks.destination import BadDestination, check_url

STEP = MB  # characters of base64, a multiple of four


def _file_address(text: str, info: ValidationInfo) -> str:
    """HeyGen goes there, and only to public hosts; what follows the host is its business."""
    parts = urlsplit(web_address(text))
    if info.context is not None and info.context["allow_private"]:
        return text
    try:
        host = (parts.hostname or "").encode("idna").decode()
        check_url(f"{parts.scheme}://{f'[{host}]' if ':' in host else host}/", allow_private=False)
    except BadDestination as error:
        raise broken(f"must be a publicly accessible HTTPS URL: {error.message}.") from None
    except UnicodeError:
        raise broken("must be a publicly accessible HTTPS URL: the host is not a valid name.") from None
    return text


def usual_type(media_type: Any) -> Any:
    """The one name of a media type that has several; to be used as a validator."""
    return TYPES.get(media_type.lower(), media_type) if isinstance(media_type, str) else media_type


def _decoded(data: Any, info: ValidationInfo) -> Any:
    """The bytes in standard base64, as many as a file of the declared type may have."""
    limit = limit_for(info.data.get("media_type", ""))
    if not isinstance(data, str):
        raise broken("must be a string.")
    if len(data) // 4 * 3 > limit + 2:
        raise broken(f"must be at most {limit // MB} MB.")
    try:
        content = _whole(data)
    except ValueError:
        raise broken("must be standard base64, without line breaks or a data: prefix.") from None
    if not content:
        raise broken("must not be empty.")
    if len(content) > limit:
        raise broken(f"must be at most {limit // MB} MB.")
    return content


def _whole(data: str) -> bytes:
    """What the base64 says, read in steps: nobody is answered while one is taken. Raises ValueError."""
    if data.find("=", 0, -2) != -1:
        raise ValueError("padding before the end")
    steps = range(0, len(data), STEP)
    return b"".join(base64.b64decode(data[start : start + STEP], validate=True) for start in steps)


# Links that are signed are long.
FileAddress = Annotated[str, Field(max_length=8_192), AfterValidator(_file_address)]


class UrlAsset(WireModel):
    """A file that stands at a public address."""

    type: Literal["url"]
    url: FileAddress


class StoredAsset(WireModel):
    """A file uploaded before."""

    type: Literal["asset_id"]
    asset_id: Identifier


class InlineAsset(WireModel):
    """A file inside the request itself, of a type that will do in its place; `data` is decoded here."""

    type: Literal["base64"]
    media_type: Annotated[str, BeforeValidator(usual_type)]
    data: Annotated[bytes, BeforeValidator(_decoded), Field(repr=False, json_schema_extra={"format": "byte"})]


class InlineImage(InlineAsset):
    media_type: Annotated[Literal["image/png", "image/jpeg"], BeforeValidator(usual_type)]


class InlineVideo(InlineAsset):
    media_type: Annotated[Literal["video/mp4", "video/webm"], BeforeValidator(usual_type)]


class InlinePicture(InlineAsset):
    """One that stands still, or one that moves."""

    media_type: Annotated[
        Literal["image/png", "image/jpeg", "video/mp4", "video/webm"], BeforeValidator(usual_type)
    ]


AssetInput = UrlAsset | StoredAsset | InlineAsset
ImageInput = Annotated[UrlAsset | StoredAsset | InlineImage, Field(discriminator="type")]
VideoInput = Annotated[UrlAsset | StoredAsset | InlineVideo, Field(discriminator="type")]
PictureInput = Annotated[UrlAsset | StoredAsset | InlinePicture, Field(discriminator="type")]
