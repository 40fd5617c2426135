"""Messages about webhook endpoints and events that keep the contract, and some that break it."""

from typing import Any

URL = "https://example.com/hook"
ENDPOINTS = "/v3/webhooks/endpoints"
ONE = f"{ENDPOINTS}/ep_1"
REGISTER, CHANGE = ("POST", ENDPOINTS), ("PATCH", ONE)
WANTED = {"url": URL, "events": ["avatar_video.success", "batch.finished"], "entity_id": "v1"}

REQUESTS: list[tuple[str, str, Any]] = [
    (*REGISTER, WANTED),
    (*REGISTER, {"url": URL, "entity_id": None}),
    (*REGISTER, {"url": URL, "events": []}),
    (*CHANGE, {"url": URL}),
    (*CHANGE, {"url": URL, "events": ["batch.finished"]}),
    (*CHANGE, {"events": []}),
]
READS = [
    f"{ENDPOINTS}?limit=100&token=t",
    "/v3/webhooks/event-types",
    "/v3/webhooks/events?event_type=batch.finished&entity_id=v1&limit=100&token=t",
]

ENDPOINT = {
    "endpoint_id": "ep_1",
    "url": URL,
    "events": ["avatar_video.success"],
    "status": "enabled",
    "created_at": "2026-07-01T12:00:00Z",
    "secret": None,
}
TYPE = {"event_type": "avatar_video.success", "description": "A video is ready."}
EVENT = {
    "event_id": "evt_1",
    "event_type": "avatar_video.success",
    "event_data": {},
    "created_at": "2026-07-01T12:00:00.5+00:00",
}


def page(item: Any) -> dict[str, Any]:
    """The only page of a list."""
    return {"data": [item], "has_more": False, "next_token": None}


# In the order of ANSWERS: the fields an answer cannot do without.
SHOWN = "data.{0}endpoint_id data.{0}url data.{0}status data.{0}created_at"
PAGE = "data has_more next_token "
NEEDED = (
    "data data.secret " + SHOWN.format(""),
    PAGE + SHOWN.format("0."),
    "data " + SHOWN.format(""),
    "data",
    "data data.endpoint_id data.secret",
    PAGE + "data.0.event_type data.0.description",
    PAGE + "data.0.event_id data.0.event_type data.0.event_data data.0.created_at",
)
NEEDED_OF_CALLERS: list[tuple[tuple[str, str, Any], str]] = [
    ((*REGISTER, WANTED), "url"),
    ((*CHANGE, {"url": URL}), "url"),
]

ANSWERS: list[tuple[str, str, Any]] = [
    (*REGISTER, {"data": ENDPOINT | {"secret": "whsec_1"}}),
    ("GET", ENDPOINTS, page(ENDPOINT)),
    (*CHANGE, {"data": ENDPOINT | {"status": "disabled"}}),
    ("DELETE", ONE, {"error": None, "data": {}}),
    ("POST", f"{ONE}/rotate-secret", {"data": {"endpoint_id": "ep_1", "secret": "whsec_2"}}),
    ("GET", "/v3/webhooks/event-types", page(TYPE)),
    ("GET", "/v3/webhooks/events", page(EVENT)),
]

# Null stands for all of them.
EVERYTHING = (*REGISTER, {"url": URL, "events": None})

REFUSED_REQUESTS: list[tuple[tuple[str, str, Any], str]] = [
    ((*REGISTER, {}), "'url' is a required property"),
    ((*REGISTER, WANTED | {"url": "http://example.com/hook"}), "$.url"),
    ((*REGISTER, WANTED | {"events": "all"}), "$.events"),
    ((*REGISTER, WANTED | {"events": ["avatar_video.started"]}), "$.events[0]"),
    ((*REGISTER, WANTED | {"secret": "whsec_1"}), "'secret' was unexpected"),
    ((*CHANGE, {}), "At least one of url and events"),
    ((*CHANGE, {"url": 5}), "$.url"),
    ((*CHANGE, {"url": URL, "status": "disabled"}), "'status' was unexpected"),
    (("GET", f"{ENDPOINTS}?limit=101", None), "$.limit"),
    (("GET", "/v3/webhooks/events?event_type=any", None), "$.event_type"),
]
REFUSED_ANSWERS: list[tuple[tuple[str, int, Any], str]] = [
    ((ENDPOINTS, 200, page(ENDPOINT | {"status": "paused"})), "$.data[0].status"),
    ((ENDPOINTS, 200, page(ENDPOINT | {"created_at": "yesterday"})), "$.data[0].created_at"),
    (("/v3/webhooks/events", 200, page(EVENT | {"created_at": 1_780_000_000})), "$.data[0].created_at"),
    (
        ("/v3/webhooks/event-types", 200, page({"event_type": "batch.finished"})),
        "'description' is a required",
    ),
]
