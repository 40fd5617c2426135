"""The OpenAPI document: what FastAPI cannot see, because routes read their bodies and build their answers themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app.api.answer_schemas import Refusal
from app.api.avatar_requests import KINDS as AVATARS
from app.api.avatar_requests import ConsentRequest, LookChange
from app.api.batch_requests import BatchBody
from app.api.upload_requests import AnnouncedBatch, AnnouncedFile, BatchCompletion, Completion
from app.api.video_bodies import KINDS
from app.api.voice_requests import Speech, VoiceClone, VoiceDesign
from app.api.webhook_requests import EndpointCreate, EndpointUpdate

BODIES: tuple[type[BaseModel], ...] = (
    *KINDS.values(),
    BatchBody,
    *AVATARS.values(),
    LookChange,
    ConsentRequest,
    EndpointCreate,
    EndpointUpdate,
    AnnouncedFile,
    AnnouncedBatch,
    Completion,
    BatchCompletion,
    VoiceDesign,
    VoiceClone,
    Speech,
)

ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Refusal, "description": "Refused; the code says why."},
    "5XX": {"model": Refusal, "description": "Failed; retryable."},
}
"""The errors of every route. One of them here also keeps FastAPI from promising a 422 of its own shape."""

FILE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": {"*/*": {}}},
    206: {"description": "The part of it that `Range` asks for.", "content": {"*/*": {}}},
    304: {"description": "The client has it."},
}
UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "The client has this very answer."}}

NO_KEY: dict[str, Any] = {"security": []}
"""For routes that anybody may call."""
LINK_OR_KEY: dict[str, Any] = {"security": [{}, {"apiKey": []}, {"bearer": []}]}
"""For what a signed link opens as well."""

_ONCE = [
    {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "The same key and body are the same thing; kept for at least 24 hours.",
        "schema": {"type": "string", "pattern": r"^[A-Za-z0-9_\-:.]{1,255}$"},
    },
    {
        "name": "Prefer",
        "in": "header",
        "description": "`respond-async` is answered 202.",
        "schema": {"type": "string"},
    },
]
ONCE: dict[str, Any] = {"parameters": _ONCE}
"""For a route that makes something of no body."""
_UPLOAD = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": {"type": "string", "format": "binary"}},
}


def creates(*bodies: type[BaseModel]) -> dict[str, Any]:
    """For a route that makes something of one of these JSON bodies, told apart by `type`."""
    schemas = [{"$ref": f"#/components/schemas/{body.__name__}"} for body in bodies]
    return _creates("application/json", {"oneOf": schemas} if len(schemas) > 1 else schemas[0])


def takes(body: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """For a route that takes this JSON body and makes nothing that a key could bind."""
    schema = {"$ref": f"#/components/schemas/{body.__name__}"}
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


def receives() -> dict[str, Any]:
    """For a route that takes the bytes of a file as they are."""
    content = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    return {"requestBody": {"required": True, "content": content}}


def uploads() -> dict[str, Any]:
    """For a route that takes a file in."""
    return _creates("multipart/form-data", _UPLOAD)


def install_openapi(app: FastAPI) -> None:
    """Let `app` describe itself as completed here; the document is made when it is first asked for."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # as FastAPI documents


def _creates(media_type: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "parameters": _ONCE,
        "requestBody": {"required": True, "content": {media_type: {"schema": schema}}},
    }


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    components = document.setdefault("components", {})
    _, bodies = models_json_schema(
        [(model, "validation") for model in BODIES], ref_template="#/components/schemas/{model}"
    )
    components.setdefault("schemas", {}).update(_as_sent(bodies["$defs"]))
    components["securitySchemes"] = {
        "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        "bearer": {"type": "http", "scheme": "bearer"},
    }
    document["security"] = [{"apiKey": []}, {"bearer": []}]
    for item in document["paths"].values():
        for operation in item.values():
            _also_asynchronously(operation)
    return document


def _also_asynchronously(operation: dict[str, Any]) -> None:
    """What can be made once can also be answered 202."""
    if any(parameter["name"] == "Prefer" for parameter in operation.get("parameters", ())):
        operation["responses"]["202"] = {**operation["responses"]["200"], "description": "Accepted."}


def _as_sent(schema: Any) -> Any:
    """The schema of a body before explicit nulls are dropped: whatever may be left out may be null."""
    if isinstance(schema, list):
        return [_as_sent(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {key: _as_sent(value) for key, value in schema.items() if key != "default"}
    properties = changed.get("properties")
    if isinstance(properties, dict) and "additionalProperties" in changed:
        required = changed.get("required", ())
        changed["properties"] = {
            name: inner if name in required else _or_null(inner) for name, inner in properties.items()
        }
    return changed


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    alternatives = schema.get("anyOf", [schema])
    null = {"type": "null"}
    return schema if null in alternatives else {"anyOf": [*alternatives, null]}
