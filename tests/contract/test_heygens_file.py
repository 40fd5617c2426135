"""HeyGen's own OpenAPI file bears our contract out, but for what is newer than it.

The file is not part of this project. HEYGEN_OPENAPI names a copy; without it only the leniency is tested.
"""

from typing import Any

import pytest

from tests.contract import examples as ok
from tests.contract import variations
from tests.contract import webhook_examples as hooks
from tests.contract.contract import LATER, LATER_OPERATIONS, Contract, heygens, ours
from tests.contract.refusals import REFUSED_ANSWERS, REFUSED_REQUESTS, get

# Each of these is right today and a fault by the file of April 2026.
NEWER_REQUESTS = [
    (*ok.VIDEOS, ok.SHORT | {"aspect_ratio": "auto"}),
    (*ok.VIDEOS, ok.CINEMATIC_VIDEO),
    (*ok.VIDEOS, ok.STUDIO_VIDEO),
    (*ok.AVATARS, ok.PHOTO | {"type": "digital_twin"}),
    (*ok.AVATARS, ok.PROMPT),
    get("/v3/avatars/looks?avatar_type=digital_twin"),
    *((*them, {"url": hooks.URL, "events": ["batch.finished"]}) for them in (hooks.REGISTER, hooks.CHANGE)),
    get("/v3/webhooks/events?event_type=batch.finished"),
]
NEWER_ANSWERS = [
    ("GET", "/v3/avatars/looks", ok.page(ok.LOOK)),
    ("GET", "/v3/avatars/looks/l1", {"data": ok.LOOK}),
    (*ok.RENAME, {"data": ok.LOOK}),
    (*ok.AVATARS, {"data": {"avatar_item": ok.LOOK}}),
    (*ok.CONSENT, {"data": {"avatar_group": ok.GROUP, "url": None}}),
]


def old_document() -> dict[str, Any]:
    """A file like April's, with one operation."""
    properties = {"type": {"const": "avatar"}, "aspect_ratio": {"enum": ["16:9", "9:16"]}}
    request = {"content": {"application/json": {"schema": {"properties": properties}}}}
    error = {"type": "object", "required": ["code", "message"]}
    responses = {"200": {"content": {"application/json": {"schema": {"type": "object"}}}}, "401": {}}
    create = {"requestBody": request, "responses": responses}
    read: dict[str, Any] = {"responses": {"200": {}}}
    paths = {"/v3/videos": {"post": create}, "/v3/videos/{video_id}": {"get": read}}
    return {"openapi": "3.1.0", "paths": paths, "components": {"schemas": {"StandardAPIError": error}}}


@pytest.fixture
def theirs() -> Contract:
    contract = heygens()
    if contract is None:
        pytest.skip(
            "HEYGEN_OPENAPI names no copy of HeyGen's OpenAPI file, which is not part of this project"
        )
    return contract


def test_leniency_excuses_what_is_newer_and_nothing_else() -> None:
    strict, lenient = Contract(old_document()), Contract(old_document(), lenient=True)
    newer, wrong = ok.SHORT | {"aspect_ratio": "auto"}, ok.SHORT | {"aspect_ratio": "7:3"}
    assert strict.request_faults(*ok.VIDEOS, newer)
    assert lenient.request_faults(*ok.VIDEOS, newer) == []
    assert lenient.request_faults(*ok.VIDEOS, wrong)
    assert lenient.request_faults(*ok.VIDEOS, ok.SHORT | {"type": "talking_photo"})


def test_leniency_excuses_operations_that_came_later_by_name_only() -> None:
    strict, lenient = Contract(old_document()), Contract(old_document(), lenient=True)
    statuses = lenient.operation("GET", "/v3/videos/statuses")
    assert statuses is not None
    assert statuses.missing
    taken_for_a_video = strict.operation("GET", "/v3/videos/statuses")
    assert taken_for_a_video is not None
    assert taken_for_a_video.template == "/v3/videos/{video_id}"
    assert lenient.request_faults("GET", "/v3/videos/statuses?video_ids=v1") == []
    assert lenient.request_faults("GET", "/v3/users/me") == ["GET /v3/users/me: no such operation"]


def test_leniency_still_wants_the_error_envelope() -> None:
    strict, lenient = Contract(old_document()), Contract(old_document(), lenient=True)
    for status in (401, 402, 409, 503):
        assert lenient.response_faults(*ok.VIDEOS, status, ok.ERROR) == []
        assert lenient.response_faults(*ok.VIDEOS, status, {"detail": "no"})
    assert lenient.response_faults("GET", "/v3/videos/statuses", 404, {"detail": "no"})
    assert strict.response_faults(*ok.VIDEOS, 402, ok.ERROR)
    assert lenient.response_faults(*ok.VIDEOS, 418, ok.ERROR)
    assert lenient.response_faults(*ok.VIDEOS, 202, {})


def test_leniency_knows_that_the_file_is_silent_on_deliveries() -> None:
    assert Contract(old_document(), lenient=True).webhook_faults({"any": "thing"}) == []


def test_every_operation_of_ours_is_theirs_or_came_later(theirs: Contract) -> None:
    described = {str(operation) for operation in theirs.operations()}
    later = {f"{method} {template}" for method, template in LATER_OPERATIONS}
    assert {str(operation) for operation in ours().operations()} <= described | later
    assert described & later == set(), "no longer newer than the file"


def test_what_we_call_right_is_right_by_their_file(theirs: Contract) -> None:
    for method, path, body in [*ok.REQUESTS, *map(get, ok.READS)]:
        assert theirs.request_faults(method, path, body) == []
    for method, path, body in ok.ANSWERS:
        assert theirs.response_faults(method, path, 200, body) == []


def test_what_their_file_refuses_of_a_request_we_refuse(theirs: Contract) -> None:
    for method, path, body in ok.REQUESTS:
        for place, wrong in [*variations.of_another_type(body), *variations.with_one_less(body)]:
            if theirs.request_faults(method, path, wrong):
                assert ours().request_faults(method, path, wrong), (path, place)


def test_what_their_file_refuses_of_an_answer_we_refuse(theirs: Contract) -> None:
    for method, path, body in ok.ANSWERS:
        for place, wrong in [*variations.of_another_type(body), *variations.with_one_less(body)]:
            if theirs.response_faults(method, path, 200, wrong):
                assert ours().response_faults(method, path, 200, wrong), (path, place)


def test_their_file_can_refuse(theirs: Contract) -> None:
    """The two comparisons above would be idle if it never did."""
    refused = [message for message, _ in REFUSED_REQUESTS if theirs.request_faults(*message)]
    refused_answers = [answer for answer, _ in REFUSED_ANSWERS if theirs.response_faults("GET", *answer)]
    assert len(refused) > 20
    assert len(refused_answers) > 10


def test_every_line_of_the_leniency_is_needed(theirs: Contract) -> None:
    strict = Contract(theirs.document)
    refused = [strict.request_faults(*message) for message in NEWER_REQUESTS]
    refused += [strict.response_faults(method, path, 200, body) for method, path, body in NEWER_ANSWERS]
    assert all(refused)
    faults = [fault for faults in refused for fault in faults]
    for later in LATER:
        assert any(fault.startswith(later.path.replace("[*]", "[0]")) for fault in faults), later.path
