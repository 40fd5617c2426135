"""Request bodies about webhook endpoints."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from app.simulator.bodies import Body, Text
from app.simulator.events import EVENT_TYPES


def _known(name: str) -> str:
    if name not in EVENT_TYPES:
        raise PydanticCustomError("event_type", "must be one of HeyGen's event types.")
    return name


Events = list[Annotated[str, AfterValidator(_known)]]


class EndpointCreate(Body):
    """A new endpoint."""

    url: Text
    events: Events | None = None
    entity_id: Text | None = None


class EndpointPatch(Body):
    """Another address, another list."""

    url: Text | None = None
    events: Events | None = None
