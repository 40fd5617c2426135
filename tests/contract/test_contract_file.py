"""The contract file is sound, and it can fail: every rule has an example that it refuses."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.contract import examples as ok
from tests.contract import upload_examples as uploads
from tests.contract import variations
from tests.contract import voice_examples as voices
from tests.contract import webhook_examples as hooks
from tests.contract.contract import Operation, ours
from tests.contract.refusals import REFUSED_ANSWERS, REFUSED_REQUESTS, Message, get

OPERATIONS = {
    "/v3/assets": "POST GET",
    "/v3/assets/{asset_id}": "GET DELETE",
    "/v3/assets/{asset_id}/complete": "POST",
    "/v3/assets/direct-uploads": "POST",
    "/v3/assets/direct-uploads/batches": "POST",
    "/v3/assets/complete/batches": "POST",
    "/v3/assets/batches/{batch_id}": "GET",
    "/v3/assets/statuses": "GET",
    "/v3/avatars": "POST GET",
    "/v3/avatars/{group_id}": "GET DELETE",
    "/v3/avatars/{group_id}/consent": "POST",
    "/v3/avatars/looks": "GET",
    "/v3/avatars/looks/{look_id}": "GET PATCH DELETE",
    "/v3/voices": "POST GET",
    "/v3/voices/clone": "POST",
    "/v3/voices/speech": "POST",
    "/v3/voices/{voice_id}": "GET DELETE",
    "/v3/videos": "POST GET",
    "/v3/videos/{video_id}": "GET DELETE",
    "/v3/videos/batches": "POST",
    "/v3/videos/batches/{batch_id}": "GET",
    "/v3/videos/statuses": "GET",
    "/v3/webhooks/endpoints": "POST GET",
    "/v3/webhooks/endpoints/{endpoint_id}": "PATCH DELETE",
    "/v3/webhooks/endpoints/{endpoint_id}/rotate-secret": "POST",
    "/v3/webhooks/event-types": "GET",
    "/v3/webhooks/events": "GET",
    "/v3/users/me": "GET",
}
PAGE = "data has_more next_token "
IDENTITY = "data data.username data.email data.first_name data.last_name "
LOOK = "data.{0}id data.{0}name data.{0}avatar_type"
GROUP = "data.{0}id data.{0}name data.{0}created_at data.{0}looks_count"
FAILURE = " data.{0}status data.{0}error.code data.{0}error.message"
ASSET = "data.{0}id data.{0}name data.{0}owner data.{0}space_id data.{0}type data.{0}uploaded_at"
# In the order of examples.ANSWERS: the fields an answer cannot do without.
NEEDED = (
    "data data.asset_id data.url data.mime_type data.size_bytes",
    PAGE + ASSET.format("0."),
    "data " + ASSET.format(""),
    "data data.id",
    "data " + f"{LOOK}{FAILURE} ".format("avatar_item.") + f"{GROUP}{FAILURE}".format("avatar_group."),
    "data " + LOOK.format("avatar_item."),
    PAGE + f"{GROUP}{FAILURE}".format("0."),
    "data " + f"{GROUP}{FAILURE}".format(""),
    "data data.id",
    "data data.url " + f"data.avatar_group {GROUP}{FAILURE}".format(*["avatar_group."] * 7),
    "data data.url " + f"data.avatar_group {GROUP}{FAILURE}".format(*["avatar_group."] * 7),
    PAGE + f"{LOOK}{FAILURE}".format("0."),
    "data " + f"{LOOK}{FAILURE}".format(""),
    "data " + f"{LOOK}{FAILURE}".format(""),
    "data data.id",
    PAGE + "data.0.voice_id data.0.name data.0.language data.0.gender data.0.type"
    " data.0.support_pause data.0.support_locale",
    "data data.voice_id data.support_pause",
    "data data.video_id data.status",
    PAGE + "data.0.id data.0.status",
    PAGE,
    "data data.id data.status",
    "data data.id data.status",
    "data data.0.status",
    "data data.batch_id",
    "data data.batch_id data.status data.counts_by_status data.total_items data.items data.items.0.item_index"
    " data.items.0.status data.has_more data.next_token",
    "data data.id data.deleted",
    IDENTITY + "data.wallet data.wallet.currency data.wallet.auto_reload.enabled",
    IDENTITY + "data.subscription data.subscription.plan data.subscription.credits",
    IDENTITY + "data.usage_based",
    *hooks.NEEDED,
    *voices.NEEDED,
    *uploads.NEEDED,
)
MARK = "watermark.image watermark.image.type watermark.image.url "
BACKGROUND = "background.type background.value "
ENGINE_TYPE = "voice_settings.engine_settings.engine_type "
NEEDED_OF_CALLERS: list[tuple[Message, str]] = [
    (
        (*ok.VIDEOS, ok.AVATAR_VIDEO),
        "type avatar_id script engine.type " + BACKGROUND + MARK + ENGINE_TYPE,
    ),
    (
        (*ok.VIDEOS, ok.IMAGE_VIDEO),
        "type image image.type image.media_type image.data audio_url background.type background.asset_id "
        + MARK
        + ENGINE_TYPE,
    ),
    ((*ok.VIDEOS, ok.CINEMATIC_VIDEO), "type prompt avatar_id references.0.type references.0.url"),
    ((*ok.VIDEOS, ok.SHORT | ok.STARFISH), "type avatar_id script " + ENGINE_TYPE),
    ((*ok.VIDEOS, ok.SHORT | {"engine": {"type": "avatar_iii"}}), "type avatar_id script engine.type"),
    ((*ok.VIDEOS, ok.SHORT | {"engine": {"type": "avatar_iv"}}), "type avatar_id script engine.type"),
    (
        (*ok.VIDEOS, {"type": "studio", "scenes": [{"type": "avatar_video", "input": ok.SCENE_AVATAR}]}),
        "type scenes scenes.0.type scenes.0.input scenes.0.input.type scenes.0.input.avatar_id"
        " scenes.0.input.script scenes.0.input.engine.type scenes.0.input.background.type"
        " scenes.0.input.background.color scenes.0.input." + ENGINE_TYPE,
    ),
    (
        (*ok.VIDEOS, {"type": "studio", "scenes": [ok.SILENT_IMAGE, ok.SPOKEN_CLIP]}),
        "type scenes scenes.0.type scenes.0.source scenes.0.source.type scenes.0.source.url scenes.0.duration"
        " scenes.1.type scenes.1.source scenes.1.source.type scenes.1.source.asset_id",
    ),
    ((*ok.BATCHES, ok.BATCH), "videos videos.0.type videos.0.avatar_id videos.0.script"),
    ((*ok.AVATARS, ok.PHOTO), "type name file file.type file.url"),
    ((*ok.AVATARS, ok.PHOTO | {"file": ok.ASSET_ID}), "type name file file.type file.asset_id"),
    ((*ok.AVATARS, ok.PROMPT | {"reference_images": None}), "type name prompt"),
    ((*ok.RENAME, {"name": "Sarah"}), "name"),
    ((*ok.UPLOAD, {"file": b""}), "file"),
    *hooks.NEEDED_OF_CALLERS,
    *voices.NEEDED_OF_CALLERS,
    *uploads.NEEDED_OF_CALLERS,
]


def test_the_file_describes_what_greenroom_speaks_and_nothing_else() -> None:
    assert {str(operation) for operation in ours().operations()} == {
        f"{method} {template}" for template, methods in OPERATIONS.items() for method in methods.split()
    }


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    document = ours().document
    used = {node["$ref"] for node in objects(document) if "$ref" in node}
    named = {
        f"#/components/{kind}/{name}" for kind, group in document["components"].items() for name in group
    }
    schemes = {f"#/components/securitySchemes/{name}" for entry in document["security"] for name in entry}
    assert used | schemes == named


def test_every_schema_is_a_schema() -> None:
    document = ours().document
    assert document["openapi"].startswith("3.1.")
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for node in objects({key: document[key] for key in ("paths", "webhooks")} | document["components"]):
        Draft202012Validator.check_schema(node.get("schema", True))


@pytest.mark.parametrize("operation", ours().operations(), ids=str)
def test_every_operation_is_whole(operation: Operation) -> None:
    """It has a summary, the parameters of its path, one success and the error envelope for the rest."""
    item = ours().document["paths"][operation.template]
    described = item[operation.method.lower()]
    in_path = [entry["name"] for entry in item.get("parameters", ()) if entry["in"] == "path"]
    assert in_path == re.findall(r"{(\w+)}", operation.template)
    assert described["summary"]
    assert set(described["responses"]) == {str(success(operation.template)), "4XX", "5XX"}


def success(path: str) -> int:
    """The one status of an operation that went well."""
    return 202 if path == uploads.ALL[1] else 200


@pytest.mark.parametrize(
    ("method", "path", "body"), [*ok.REQUESTS, hooks.EVERYTHING, uploads.BARE, *map(get, ok.READS)]
)
def test_a_right_request_has_no_fault(method: str, path: str, body: object) -> None:
    assert ours().request_faults(method, path, body) == []


@pytest.mark.parametrize(("method", "path", "body"), ok.ANSWERS)
def test_a_right_answer_has_no_fault(method: str, path: str, body: object) -> None:
    assert ours().response_faults(method, path, success(path), body) == []


@pytest.mark.parametrize(("request_", "fault"), REFUSED_REQUESTS, ids=str)
def test_a_wrong_request_is_told_what_is_wrong(request_: Message, fault: str) -> None:
    assert fault in "\n".join(ours().request_faults(*request_))


@pytest.mark.parametrize(("answer", "fault"), REFUSED_ANSWERS, ids=str)
def test_a_wrong_answer_is_told_what_is_wrong(answer: tuple[str, int, Any], fault: str) -> None:
    assert fault in "\n".join(ours().response_faults("GET", *answer))


@pytest.mark.parametrize(("method", "path", "body"), ok.REQUESTS)
def test_a_request_field_of_another_type_is_a_fault(method: str, path: str, body: object) -> None:
    for place, wrong in variations.of_another_type(body):
        assert ours().request_faults(method, path, wrong), place


@pytest.mark.parametrize(("method", "path", "body"), ok.REQUESTS)
def test_a_request_field_nobody_knows_is_a_fault(method: str, path: str, body: object) -> None:
    for place, wrong in variations.with_one_more(body):
        assert ours().request_faults(method, path, wrong), place


@pytest.mark.parametrize(("method", "path", "body"), ok.ANSWERS)
def test_an_answer_field_of_another_type_is_a_fault(method: str, path: str, body: object) -> None:
    for place, wrong in variations.of_another_type(body):
        assert ours().response_faults(method, path, success(path), wrong), place


@pytest.mark.parametrize(("method", "path", "body"), ok.ANSWERS)
def test_an_answer_field_nobody_knows_is_no_fault(method: str, path: str, body: object) -> None:
    """HeyGen adds fields."""
    for place, grown in variations.with_one_more(body):
        assert ours().response_faults(method, path, success(path), grown) == [], place


@pytest.mark.parametrize(("answer", "needed"), [*zip(ok.ANSWERS, NEEDED, strict=True)])
def test_an_answer_has_what_clients_rely_on(answer: Message, needed: str) -> None:
    method, path, body = answer
    missed = missing(body, lambda less: ours().response_faults(method, path, success(path), less))
    assert missed == set(needed.split())


@pytest.mark.parametrize(("request_", "needed"), NEEDED_OF_CALLERS)
def test_a_request_has_what_heygen_asks_for(request_: Message, needed: str) -> None:
    method, path, body = request_
    assert missing(body, lambda less: ours().request_faults(method, path, less)) == set(needed.split())


def test_the_error_envelope_is_checked_in_every_part() -> None:
    assert ours().error_faults(ok.ERROR) == []
    assert all(ours().error_faults(wrong) for _, wrong in variations.of_another_type(ok.ERROR))
    needed = {"error", "error.code", "error.message", "error.errors.0.code", "error.errors.0.message"}
    assert missing(ok.ERROR, ours().error_faults) == needed


@pytest.mark.parametrize("body", [ok.SUCCEEDED, ok.FAILED])
def test_the_webhook_body_is_checked_in_every_part(body: dict[str, Any]) -> None:
    assert ours().webhook_faults(body) == []
    assert ours().webhook_faults(body | {"event_type": "avatar_video.done"})
    assert all(ours().webhook_faults(wrong) for _, wrong in variations.of_another_type(body))
    assert missing(body, ours().webhook_faults) == {"event_type", "event_data", "event_data.video_id"}


def test_other_events_may_carry_what_they_like() -> None:
    assert ours().webhook_faults({"event_type": "live_avatar.success", "event_data": {"any": "thing"}}) == []


def test_the_word_of_a_batch_is_checked_in_every_part() -> None:
    assert ours().webhook_faults(ok.FINISHED) == []
    assert all(ours().webhook_faults(wrong) for _, wrong in variations.of_another_type(ok.FINISHED))
    assert missing(ok.FINISHED, ours().webhook_faults) == {"event_type", "event_data", "event_data.batch_id"}


def objects(node: object) -> Iterator[dict[str, Any]]:
    """Every object of a document."""
    if isinstance(node, dict):
        yield node
    inside = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for value in inside:
        yield from objects(value)


def missing(body: object, faults: Callable[[Any], list[str]]) -> set[str]:
    """The fields whose absence is a fault."""
    return {".".join(map(str, place)) for place, less in variations.with_one_less(body) if faults(less)}
