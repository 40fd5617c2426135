"""The bodies of direct uploads: files that are announced before they are sent."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from app.api.file_types import MB, TYPES, limit_for
from app.api.requests import CallbackUrl, Integer, Title, WireModel, broken, validate, without_nulls
from app.errors import Fault, InvalidParameter

MOST_FILES = 100


def _known_type(text: str) -> str:
    if text.lower() not in TYPES:
        raise broken(f"must be one of: {', '.join(sorted(set(TYPES.values())))}.")
    return text


def _digest(text: str) -> str:
    """In hex, as HeyGen's pages have it; in base64, as the examples of its command line do."""
    if re.fullmatch(r"[0-9a-fA-F]{64}", text):
        return text.lower()
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != 32:
        raise broken("must be a SHA-256 in 64 hex digits.")
    return digest.hex()


Checksum = Annotated[
    str,
    Field(max_length=100, json_schema_extra={"pattern": "^[0-9a-fA-F]{64}$"}),
    AfterValidator(_digest),
]


class AnnouncedFile(WireModel):
    """One file that will be sent; `size_bytes` is exact."""

    filename: Annotated[str, Field(min_length=1, max_length=1_000)]
    content_type: Annotated[
        str,
        Field(max_length=100, json_schema_extra={"enum": [*TYPES]}),
        AfterValidator(_known_type),
    ]
    size_bytes: Annotated[Integer, Field(ge=1)]
    checksum_sha256: Checksum | None = None


class AnnouncedBatch(WireModel):
    """Up to 100 files at once. As at HeyGen `callback_url` is taken and never used."""

    files: Annotated[list[AnnouncedFile], Field(min_length=1, max_length=MOST_FILES)]
    title: Title | None = None
    callback_url: CallbackUrl | None = None


class Completion(WireModel):
    """The file of one upload has been sent."""

    checksum_sha256: Checksum | None = None


class BatchCompletion(WireModel):
    """The files of a batch have been sent."""

    batch_id: Annotated[str, Field(min_length=1, max_length=255)]


def parse_file(body: Mapping[str, Any]) -> AnnouncedFile:
    """The file in `body`; an explicit null counts as omitted. Raises InvalidParameter."""
    file = validate(AnnouncedFile, without_nulls(body))
    _check([*_too_large(file, "")])
    return file


def parse_batch(body: Mapping[str, Any]) -> AnnouncedBatch:
    """The files in `body`. Raises InvalidParameter."""
    batch = validate(AnnouncedBatch, without_nulls(body))
    _check([fault for at, file in enumerate(batch.files) for fault in _too_large(file, f"files.{at}.")])
    return batch


def _too_large(file: AnnouncedFile, within: str) -> Iterator[Fault]:
    mime = TYPES[file.content_type.lower()]
    if file.size_bytes > limit_for(mime):
        path = f"{within}size_bytes"
        yield Fault(f"'{path}' must be at most {limit_for(mime) // MB} MB when the file is {mime}.", path)


def _check(faults: list[Fault]) -> None:
    if faults:
        raise InvalidParameter.of(faults[:20])
