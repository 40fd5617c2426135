"""Messages about files that are announced and sent by a signed link: some keep the contract, some break it."""

from typing import Any

NEW, MANY = ("POST", "/v3/assets/direct-uploads"), ("POST", "/v3/assets/direct-uploads/batches")
COMPLETE, ALL = ("POST", "/v3/assets/a1/complete"), ("POST", "/v3/assets/complete/batches")
BATCH, STATUSES = "/v3/assets/batches/b1", "/v3/assets/statuses"
SHA = "0a" * 32

FILE = {"filename": "a.png", "content_type": "image/png", "size_bytes": 1, "checksum_sha256": SHA}
FILES = {"files": [FILE], "title": "Monday", "callback_url": "https://example.com/done"}

REQUESTS: list[tuple[str, str, Any]] = [
    (*NEW, FILE),
    (*MANY, FILES),
    (*COMPLETE, {"checksum_sha256": SHA}),
    (*ALL, {"batch_id": "b1"}),
]
BARE = (*COMPLETE, None)
READS = [f"{BATCH}?limit=100&token=t", f"{STATUSES}?asset_ids=a1%2Ca2&batch_ids=b1"]

ANNOUNCED = {
    "asset_id": "a1",
    "upload_url": "https://example.com/put",
    "upload_headers": {"Content-Type": "image/png"},
    "expires_in_seconds": 3600,
    "max_bytes": 1,
    "status": "pending_upload",
}
COMPLETED = {
    "asset_id": "a1",
    "url": "https://example.com/a1",
    "mime_type": "image/png",
    "size_bytes": 1,
    "status": "processing",
}
TAKEN = {
    "batch_id": "b1",
    "title": None,
    "status": "processing",
    "total_items": 1,
    "counts_by_status": {"processing": 1},
}
STATUS = {"video_id": "a1", "status": "queued", "error": None, "batch_id": "b1", "item_index": 0}
LAST = {"has_more": False, "next_token": None}

ANSWERS: list[tuple[str, str, Any]] = [
    (*NEW, {"data": ANNOUNCED}),
    (*MANY, {"data": {"batch_id": "b1", "items": [ANNOUNCED]}}),
    (*COMPLETE, {"data": COMPLETED}),
    (*ALL, {"data": TAKEN}),
    ("GET", BATCH, {"data": TAKEN | LAST | {"items": [STATUS]}}),
    ("GET", STATUSES, {"data": [STATUS]} | LAST),
]
SIGNED = "{0}asset_id {0}upload_url {0}upload_headers {0}expires_in_seconds {0}max_bytes {0}status"
COUNTED = "data data.batch_id data.status data.total_items data.counts_by_status"
# In the order of ANSWERS: the fields an answer cannot do without.
NEEDED = (
    "data " + SIGNED.format("data."),
    "data data.batch_id data.items " + SIGNED.format("data.items.0."),
    "data data.asset_id data.url data.mime_type data.size_bytes data.status",
    COUNTED,
    COUNTED + " data.items data.items.0.status data.has_more data.next_token",
    "data data.0.status",
)
NEEDED_OF_CALLERS: list[tuple[tuple[str, str, Any], str]] = [
    ((*NEW, FILE), "filename content_type size_bytes"),
    ((*MANY, FILES), "files files.0.filename files.0.content_type files.0.size_bytes"),
    ((*ALL, {"batch_id": "b1"}), "batch_id"),
]

REFUSED_REQUESTS: list[tuple[tuple[str, str, Any], str]] = [
    ((*NEW, FILE | {"size_bytes": 0}), "$.size_bytes"),
    ((*NEW, FILE | {"checksum_sha256": "0a"}), "$.checksum_sha256"),
    *(((*MANY, {"files": files}), "$.files") for files in ([], [FILE] * 101)),
    ((*COMPLETE, {"checksum_sha256": "0a"}), "$.checksum_sha256"),
    *((("GET", f"{BATCH}?limit={limit}", None), "$.limit") for limit in (0, 101)),
    (("GET", f"{STATUSES}?asset_ids=" + ",".join("a" * 101), None), "$.asset_ids"),
]
REFUSED_ANSWERS: list[tuple[tuple[str, int, Any], str]] = [
    ((STATUSES, 200, {"data": [STATUS | {"status": "pending"}]}), "$.data[0].status"),
    ((STATUSES, 200, {"data": [STATUS | {"item_index": -1}]}), "$.data[0].item_index"),
    ((BATCH, 200, {"data": TAKEN | LAST | {"items": [], "status": "done"}}), "$.data.status"),
    ((BATCH, 200, {"data": TAKEN | LAST | {"items": [], "total_items": -1}}), "$.data.total_items"),
]
