"""Bodies of direct uploads and of what makes voices."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, StringConstraints
from pydantic_core import PydanticCustomError

from app.simulator.bodies import AssetInput, Body, Text, between


def _hexadecimal(text: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise PydanticCustomError("between", "must be a SHA-256 in 64 hex digits.")
    return text.lower()


Digest = Annotated[str, AfterValidator(_hexadecimal)]


class NewUpload(Body):
    """`POST /v3/assets/direct-uploads`."""

    filename: Text
    content_type: Text
    size_bytes: int
    checksum_sha256: Digest | None = None


class NewUploads(Body):
    """`POST /v3/assets/direct-uploads/batches`."""

    files: list[NewUpload]
    title: str | None = None
    callback_url: str | None = None


class Finalize(Body):
    """`POST /v3/assets/{id}/complete`."""

    checksum_sha256: Digest | None = None


class FinalizeBatch(Body):
    """`POST /v3/assets/complete/batches`."""

    batch_id: Text


class VoiceDesign(Body):
    """`POST /v3/voices`."""

    prompt: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
    gender: str | None = None
    locale: str | None = None
    seed: int | None = None


class VoiceClone(Body):
    """`POST /v3/voices/clone`."""

    audio: AssetInput
    voice_name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    language: str | None = None
    remove_background_noise: bool | None = None


class SpeechBody(Body):
    """`POST /v3/voices/speech`."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=5000)]
    voice_id: Text
    input_type: str | None = None
    speed: Annotated[float, between(0.5, 2)] | None = None
    language: str | None = None
    locale: str | None = None
