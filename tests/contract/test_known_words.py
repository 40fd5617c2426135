"""What the watchdog takes for HeyGen's contract is what the contract file says."""

from typing import Any

import pytest

from app.heygen import contract as known
from app.heygen.contract import drift
from tests.contract import examples as ok
from tests.contract import voice_examples as voices
from tests.contract.contract import ours

CONTRACT = ours().document
SCHEMAS: dict[str, Any] = CONTRACT["components"]["schemas"]


def fields(schema: dict[str, Any]) -> set[str]:
    """The fields that a schema names, and the one that it builds on."""
    base = schema.get("$ref", "").rpartition("/")[2]
    return {*schema.get("properties", ()), *(fields(SCHEMAS[base]) if base else ())}


def statuses(schema: dict[str, Any]) -> set[str]:
    """The words that a schema, or the one that it builds on, allows as a status; none where it has no status."""
    named = schema["properties"].get("status") if "properties" in schema else None
    base = (named or schema).get("$ref", "").rpartition("/")[2]
    if base:
        return statuses({"properties": {"status": SCHEMAS[base]}} if named else SCHEMAS[base])
    return {word for word in (named or {}).get("enum", ()) if word is not None}


def answered(response: str) -> dict[str, Any]:
    """The schema of an answer's data."""
    content = CONTRACT["components"]["responses"][response]["content"]["application/json"]
    data: dict[str, Any] = content["schema"]["properties"]["data"]
    return data


@pytest.mark.parametrize(
    ("schemas", "shape"),
    [
        ([SCHEMAS["Video"]], known.VIDEO),
        ([SCHEMAS["Look"]], known.LOOK),
        ([SCHEMAS["Group"]], known.GROUP),
        ([SCHEMAS["VideoStatus"]], known.ENTRY),
        ([SCHEMAS["BatchItem"]], known.ITEM),
        ([SCHEMAS["Asset"]], known.ASSET),
        ([SCHEMAS["ListedVoice"], SCHEMAS["Voice"]], known.VOICE),
        ([SCHEMAS["Batch"]], known.THINGS["GET /v3/videos/batches/{id}"]),
        ([answered("AssetUploaded")], known.THINGS["POST /v3/assets"]),
        ([answered("VoicesDesigned")], known.THINGS["POST /v3/voices"]),
        ([answered("VoiceCloned")], known.THINGS["POST /v3/voices/clone"]),
        ([answered("Spoken")], known.THINGS["POST /v3/voices/speech"]),
    ],
)
def test_its_fields_and_statuses_are_those_of_the_contract(
    schemas: list[dict[str, Any]], shape: known.Shape
) -> None:
    assert set().union(*map(fields, schemas)) == shape.fields
    assert set().union(*map(statuses, schemas)) == shape.statuses


def test_it_knows_every_event_type_of_the_contract() -> None:
    assert set(SCHEMAS["EventType"]["enum"]) <= known.EVENT_TYPES


@pytest.mark.parametrize(
    ("operation", "data"),
    [
        ("GET /v3/assets/{id}", ok.ASSET),
        ("POST /v3/assets", ok.UPLOADED),
        ("GET /v3/avatars/{id}", ok.GROUP),
        ("GET /v3/avatars/looks/{id}", ok.LOOK),
        ("PATCH /v3/avatars/looks/{id}", ok.LOOK),
        ("POST /v3/avatars/{id}/consent", {"avatar_group": ok.GROUP, "url": None}),
        ("GET /v3/videos/{id}", ok.VIDEO),
        ("GET /v3/videos/batches/{id}", ok.BATCH_READ),
        ("GET /v3/voices/{id}", ok.CLONED_VOICE),
        ("POST /v3/voices", {"voices": [voices.VOICE], "seed": 0}),
        ("POST /v3/voices/clone", {"voice_clone_id": "v1"}),
        ("POST /v3/voices/speech", voices.SPOKEN),
    ],
)
def test_a_field_more_is_told_and_the_others_are_not(operation: str, data: dict[str, Any]) -> None:
    assert list(drift(operation, 200, {}, {"data": data})) == []
    assert list(drift(operation, 200, {}, {"data": data | {"mood": "fine"}})) == [("field", "mood")]


@pytest.mark.parametrize(
    ("operation", "item"),
    [
        ("GET /v3/assets", ok.ASSET),
        ("GET /v3/avatars", ok.GROUP),
        ("GET /v3/avatars/looks", ok.LOOK),
        ("GET /v3/videos", ok.VIDEO),
        ("GET /v3/videos/statuses", ok.STATUS),
        ("GET /v3/voices", ok.LISTED_VOICE),
    ],
)
def test_a_field_more_of_something_in_a_list_is_told(operation: str, item: dict[str, Any]) -> None:
    assert list(drift(operation, 200, {}, ok.page(item))) == []
    assert list(drift(operation, 200, {}, ok.page(item, item | {"mood": "fine"}))) == [("field", "mood")]


@pytest.mark.parametrize(
    ("operation", "thing", "name", "item"),
    [
        ("GET /v3/videos/batches/{id}", ok.BATCH_READ, "items", ok.STATUS),
        ("POST /v3/voices", {"seed": 0}, "voices", voices.VOICE),
    ],
)
def test_what_is_new_in_a_list_inside_a_thing_is_told(
    operation: str, thing: dict[str, Any], name: str, item: dict[str, Any]
) -> None:
    told = {"data": thing | {name: [item, item | {"mood": "fine", "status": "asleep"}]}}
    assert list(drift(operation, 200, {}, told)) == [("field", f"{name}.mood"), ("status", "asleep")]
    assert list(drift(operation, 200, {}, {"data": thing | {name: None}})) == [("unreadable", name)]


def test_a_new_field_or_status_of_the_group_that_consents_is_told() -> None:
    told = {"data": {"avatar_group": ok.GROUP | {"mood": "fine", "status": "asleep"}, "url": None}}
    assert set(drift("POST /v3/avatars/{id}/consent", 200, {}, told)) == {
        ("field", "avatar_group.mood"),
        ("status", "asleep"),
    }


def test_a_consent_that_cannot_be_read_is_told() -> None:
    assert list(drift("POST /v3/avatars/{id}/consent", 200, {}, {"data": []})) == [("unreadable", "data")]
