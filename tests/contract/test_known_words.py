"""What the watchdog takes for HeyGen's contract is what the contract file says."""

from typing import Any

import pytest

from app.heygen import contract as known
from app.heygen.contract import drift
from tests.contract import examples as ok
from tests.contract.contract import ours

SCHEMAS: dict[str, Any] = ours().document["components"]["schemas"]


def fields(schema: dict[str, Any]) -> set[str]:
    """The fields that a schema names, and the one that it builds on."""
    base = schema.get("$ref", "").rpartition("/")[2]
    return {*schema.get("properties", ()), *(fields(SCHEMAS[base]) if base else ())}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Video", known.VIDEO_FIELDS),
        ("Look", known.LOOK_FIELDS),
        ("Group", known.GROUP_FIELDS),
        ("VideoStatus", known.ENTRY_FIELDS),
    ],
)
def test_its_fields_are_those_of_the_contract(name: str, words: frozenset[str]) -> None:
    assert fields(SCHEMAS[name]) == words


def test_it_knows_every_event_type_of_the_contract() -> None:
    assert set(SCHEMAS["EventType"]["enum"]) <= known.EVENT_TYPES


@pytest.mark.parametrize(
    ("operation", "data"),
    [
        ("GET /v3/avatars/{id}", ok.GROUP),
        ("GET /v3/avatars/looks/{id}", ok.LOOK),
        ("PATCH /v3/avatars/looks/{id}", ok.LOOK),
        ("POST /v3/avatars/{id}/consent", {"avatar_group": ok.GROUP, "url": None}),
        ("GET /v3/videos/{id}", ok.VIDEO),
    ],
)
def test_a_field_more_is_told_and_the_others_are_not(operation: str, data: dict[str, Any]) -> None:
    assert list(drift(operation, 200, {}, {"data": data})) == []
    assert list(drift(operation, 200, {}, {"data": data | {"mood": "fine"}})) == [("field", "mood")]


def test_a_new_field_or_status_of_the_group_that_consents_is_told() -> None:
    told = {"data": {"avatar_group": ok.GROUP | {"mood": "fine", "status": "asleep"}, "url": None}}
    assert set(drift("POST /v3/avatars/{id}/consent", 200, {}, told)) == {
        ("field", "avatar_group.mood"),
        ("status", "asleep"),
    }


def test_a_consent_that_cannot_be_read_is_told() -> None:
    assert list(drift("POST /v3/avatars/{id}/consent", 200, {}, {"data": []})) == [("unreadable", "data")]
