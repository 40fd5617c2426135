"""What callers send about their webhook endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from app.api.requests import Identifier, WireModel, validate, without_nulls
from app.errors import InvalidParameter
from app.webhooks.destination import BadDestination, check_url
from app.webhooks.event_types import EventType

Events = Annotated[list[EventType], Field(max_length=100)]


class EndpointCreate(WireModel):
    """A new endpoint; `entity_id` narrows it to that video, look or batch.

    Without `events` it is told of everything, with an empty list of nothing.
    """

    url: str
    events: Events | None = None
    entity_id: Identifier | None = None


class EndpointUpdate(WireModel):
    """What shall be different: `events` replaces the whole list; `status` is ours, HeyGen has no way back."""

    url: str | None = None
    events: Events | None = None
    status: Literal["enabled", "disabled"] | None = None


def parse_create(body: Mapping[str, Any], *, allow_private: bool) -> EndpointCreate:
    """The endpoint in `body`; an explicit null counts as omitted. Raises InvalidParameter."""
    wanted = validate(EndpointCreate, without_nulls(body))
    _check(wanted.url, allow_private=allow_private)
    return wanted


def parse_update(body: Mapping[str, Any], *, allow_private: bool) -> EndpointUpdate:
    """The changes in `body`, at least one. Raises InvalidParameter."""
    wanted = validate(EndpointUpdate, without_nulls(body))
    if wanted == EndpointUpdate():
        raise InvalidParameter("At least one of 'url', 'events' or 'status' must be provided.")
    if wanted.url is not None:
        _check(wanted.url, allow_private=allow_private)
    return wanted


def _check(url: str, *, allow_private: bool) -> None:
    try:
        check_url(url, allow_private=allow_private)
    except BadDestination:
        raise InvalidParameter("'url' must be a publicly accessible HTTPS URL.", param="url") from None
