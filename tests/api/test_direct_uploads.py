"""`/v3/assets/direct-uploads`: announced files arrive exactly as announced, by link alone, and are assets only then."""

import asyncio
import base64
import hashlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.context import Context
from app.models import Account
from tests.api.callers import VIDEO, VOICE, caller, error_of, read_video, render
from tests.api.photos import picture, uploaded
from tests.clocks import ManualClock
from tests.conftest import threaded
from tests.services import TLS
from tests.statements import recording

MB = 1024 * 1024
PNG = picture()
SHA = hashlib.sha256(PNG).hexdigest()
PATH = "/v3/assets/direct-uploads"
FILE: dict[str, Any] = {"filename": "portrait.png", "content_type": "image/png", "size_bytes": len(PNG)}

Files = Callable[[], list[Path]]


@pytest.fixture
def files(context: Context, tmp_path: Path) -> Files:
    """Every file in the storage, unfinished ones too."""
    return lambda: [path for path in (tmp_path / "files").rglob("*") if path.is_file()]


async def announce(api: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    """What an announced file is answered."""
    answer = await api.post(PATH, json=FILE | changes)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()["data"]
    return told


async def send(told: dict[str, Any], content: bytes = PNG, **headers: str) -> httpx.Response:
    """PUT the bytes as told, without any key."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(verify=TLS, timeout=30) as stranger:
        return await stranger.put(told["upload_url"], content=content, headers=told["upload_headers"] | named)


async def complete(api: httpx.AsyncClient, told: dict[str, Any], **body: Any) -> httpx.Response:
    return await api.post(f"/v3/assets/{told['asset_id']}/complete", json=body)


async def test_a_file_is_announced_sent_without_a_key_and_complete_from_then_on(
    api: httpx.AsyncClient, served: Context, clock: ManualClock
) -> None:
    told = await announce(api, checksum_sha256=SHA.upper())
    assert {**told, "upload_url": "", "asset_id": ""} == {
        "asset_id": "",
        "upload_url": "",
        "upload_headers": {"Content-Type": "image/png"},
        "expires_in_seconds": 3600,
        "max_bytes": len(PNG),
        "status": "pending_upload",
    }
    asset_id = told["asset_id"]
    assert error_of(await api.get(f"/v3/assets/{asset_id}"))[:2] == (409, "resource_not_ready")
    assert error_of(await complete(api, told))[:2] == (409, "resource_not_ready")
    sent = await send(told)
    assert (sent.status_code, sent.json()["data"]["status"]) == (200, "uploaded")
    assert (await api.get("/v3/assets?username=acme")).json()["data"] == []
    # As HeyGen's own client does it: without a body, and without a type.
    done = await api.post(f"/v3/assets/{asset_id}/complete")
    assert done.status_code == 200, done.text
    asset = done.json()["data"]
    assert (asset["asset_id"], asset["mime_type"], asset["size_bytes"], asset["status"]) == (
        *(asset_id, "image/png", len(PNG)),
        "completed",
    )
    assert (await complete(api, told, checksum_sha256=SHA)).json() == done.json()
    assert (await api.get(asset["url"], headers={"x-api-key": ""})).content == PNG
    [listed] = (await api.get("/v3/assets?username=acme")).json()["data"]
    assert listed == (await api.get(f"/v3/assets/{asset_id}")).json()["data"]
    assert error_of(await send(told)) == (409, "conflict", None)
    # It is as good as any other: HeyGen gets it when a video needs it.
    video = {"type": "image", "image": {"type": "asset_id", "asset_id": asset_id}}
    answer = await api.post("/v3/videos", json=video | {"script": "Hello.", "voice_id": VOICE})
    await render(served, clock)
    assert (await read_video(api, answer.json()["data"]["video_id"]))["status"] == "completed"


WRONG_FILES: list[tuple[dict[str, Any], str]] = [
    ({"filename": ""}, "filename"),
    ({"filename": None}, "filename"),
    ({"content_type": "text/html"}, "content_type"),
    ({"content_type": 1}, "content_type"),
    ({"size_bytes": 0}, "size_bytes"),
    ({"size_bytes": "1"}, "size_bytes"),
    ({"size_bytes": 1.5}, "size_bytes"),
    ({"size_bytes": 32 * MB + 1}, "size_bytes"),
    ({"content_type": "audio/wav", "size_bytes": 50 * MB + 1}, "size_bytes"),
    ({"content_type": "video/mp4", "size_bytes": 100 * MB + 1}, "size_bytes"),
    ({"checksum_sha256": "abc"}, "checksum_sha256"),
    ({"checksum_sha256": SHA[:-1] + "g"}, "checksum_sha256"),
    ({"md5": "x"}, "md5"),
]


async def test_wrong_announcements_are_named_and_promise_nothing(api: httpx.AsyncClient) -> None:
    for change, param in WRONG_FILES:
        assert error_of(await api.post(PATH, json=FILE | change)) == (400, "invalid_parameter", param), change
    batch = f"{PATH}/batches"
    for files, param in (
        ([], "files"),
        ([FILE] * 101, "files"),
        ([FILE, FILE | {"size_bytes": 33 * MB}], "files.1.size_bytes"),
        ([FILE | {"content_type": "image/gif"}], "files.0.content_type"),
    ):
        assert error_of(await api.post(batch, json={"files": files})) == (400, "invalid_parameter", param)
    for change in ({"content_type": "audio/wav", "size_bytes": 50 * MB}, {"content_type": "video/mp4"}):
        assert (await api.post(PATH, json=FILE | change)).status_code == 200


async def test_bytes_that_are_not_as_announced_are_refused_and_leave_nothing(
    api: httpx.AsyncClient, files: Files
) -> None:
    told = await announce(api, checksum_sha256=base64.b64encode(bytes.fromhex(SHA)).decode())

    async def piecemeal(content: bytes) -> Any:
        yield content

    refusals = {
        "shorter": await send(told, PNG[:-1]),
        "longer": await send(told, PNG + b"x"),
        "other bytes": await send(told, PNG[:-1] + b"x"),
        "another type": await send(told, Content_Type="image/jpeg"),
    }
    async with httpx.AsyncClient(verify=TLS) as stranger:
        for case, content in (("shorter, in chunks", PNG[:-1]), ("longer, in chunks", PNG + b"x")):
            refusals[case] = await stranger.put(
                told["upload_url"], content=piecemeal(content), headers=told["upload_headers"]
            )
    assert {case: error_of(answer) for case, answer in refusals.items()} == {
        "shorter": (400, "invalid_parameter", "size_bytes"),
        "longer": (413, "payload_too_large", "size_bytes"),
        "shorter, in chunks": (400, "invalid_parameter", "size_bytes"),
        "longer, in chunks": (413, "payload_too_large", "size_bytes"),
        "other bytes": (400, "invalid_parameter", "checksum_sha256"),
        "another type": (403, "forbidden", "Content-Type"),
    }
    assert files() == []
    assert (await send(told)).status_code == 200


async def test_a_large_file_that_is_refused_is_answered_visibly(api: httpx.AsyncClient, files: Files) -> None:
    told = await announce(api)
    answer = await send(told, bytes(40 * MB))
    assert error_of(answer) == (413, "payload_too_large", "size_bytes")
    assert files() == []


async def test_a_link_opens_its_own_upload_for_an_hour_and_nothing_else(
    api: httpx.AsyncClient, served: Context, account: Account, clock: ManualClock, files: Files
) -> None:
    told, other = await announce(api), await announce(api)
    moved = told["upload_url"].replace(told["asset_id"], other["asset_id"])
    altered = told["upload_url"][:-1] + ("0" if told["upload_url"][-1] != "0" else "1")
    for url in (moved, altered, told["upload_url"].replace("/upload?", "/content?")):
        assert (await send(told | {"upload_url": url})).status_code in {403, 405}, url
    bare = told["upload_url"].partition("?")[0]
    assert error_of(await send(told | {"upload_url": bare}))[:2] == (401, "unauthorized")
    # A key opens what is its tenant's own.
    headers = told["upload_headers"]
    async with caller(served, account, "other", account_wide=True) as stranger:
        foreign = await stranger.put(bare, content=PNG, headers=headers)
        assert error_of(foreign) == (404, "asset_not_found", None)
        assert error_of(await complete(stranger, told)) == (404, "asset_not_found", None)
    assert files() == []
    assert (await api.put(bare, content=PNG, headers=headers)).status_code == 200
    clock.advance(timedelta(hours=1))
    assert error_of(await send(told))[:2] == (403, "forbidden")
    path = f"/v3/assets/statuses?asset_ids={other['asset_id']}"
    assert (await api.get(path)).json()["data"][0]["status"] == "failed"
    late = await api.put(other["upload_url"].partition("?")[0], content=PNG, headers=headers)
    assert error_of(late) == (403, "forbidden", None)
    assert (await api.get(path)).json()["data"][0]["status"] == "failed", "what has failed stays so"
    assert (await complete(api, told)).status_code == 200, "its bytes came in time"


async def test_the_last_bytes_count_until_the_upload_is_complete(
    api: httpx.AsyncClient, files: Files
) -> None:
    told = await announce(api)
    other = PNG[:-1] + b"x"
    for content in (other, PNG):
        assert (await send(told, content)).status_code == 200
    assert [path.read_bytes() for path in files()] == [PNG], "what was replaced is gone"
    wrong = await complete(api, told, checksum_sha256=hashlib.sha256(other).hexdigest())
    assert error_of(wrong) == (400, "invalid_parameter", "checksum_sha256")
    assert (await complete(api, told)).status_code == 200
    assert error_of(await send(told, other)) == (409, "conflict", None)
    assert [path.read_bytes() for path in files()] == [PNG]


async def test_bytes_of_another_type_are_told_in_heygens_words_and_can_be_sent_anew(
    api: httpx.AsyncClient,
) -> None:
    jpeg = picture(kind="JPEG")
    told = await announce(api, size_bytes=len(jpeg))
    await send(told, jpeg)
    refused = await complete(api, told)
    assert error_of(refused) == (400, "invalid_parameter", "content_type")
    assert refused.json()["error"]["message"] == "Content type not match image/png != image/jpeg"
    right = PNG + bytes(len(jpeg) - len(PNG)) if len(PNG) < len(jpeg) else PNG[: len(jpeg)]
    await send(told, right)
    assert (await complete(api, told)).json()["data"]["mime_type"] == "image/png"


async def test_equal_bytes_are_assets_of_their_own_where_ids_were_promised(api: httpx.AsyncClient) -> None:
    plain = await uploaded(api, PNG)
    told = [await announce(api) for _ in range(2)]
    await asyncio.gather(*(send(one) for one in told))
    done = await asyncio.gather(*(complete(api, one) for one in told))
    assert [answer.json()["data"]["asset_id"] for answer in done] == [one["asset_id"] for one in told]
    assert await uploaded(api, PNG) == plain, "plain uploads find the plain one"
    await api.delete(f"/v3/assets/{told[0]['asset_id']}")
    await api.delete(f"/v3/assets/{plain}")
    content = await api.get(f"/v3/assets/{told[1]['asset_id']}/content")
    assert content.content == PNG, "each has a file of its own"


async def test_what_is_not_complete_makes_no_video_and_no_look(
    api: httpx.AsyncClient, served: Context, account: Account
) -> None:
    told = await announce(api)
    await send(told)
    source = {"type": "asset_id", "asset_id": told["asset_id"]}
    video = {"type": "image", "image": source, "script": "Hello.", "voice_id": VOICE}
    audio = {key: value for key, value in VIDEO.items() if key != "script"}
    for path, body, param in (
        ("/v3/videos", video, "image.asset_id"),
        ("/v3/videos", audio | {"audio_asset_id": told["asset_id"]}, "audio_asset_id"),
        ("/v3/avatars", {"type": "photo", "name": "Sarah", "file": source}, "file.asset_id"),
        ("/v3/avatars", {"type": "digital_twin", "name": "Sarah", "file": source}, "file.asset_id"),
    ):
        assert error_of(await api.post(path, json=body)) == (400, "asset_not_available", param)
    async with caller(served, account, "other") as other:
        assert error_of(await other.post("/v3/videos", json=video))[:2] == (404, "asset_not_found")
    # Withdrawn, it never was.
    assert (await api.delete(f"/v3/assets/{told['asset_id']}")).status_code == 200
    for answer in (await api.get(f"/v3/assets/{told['asset_id']}"), await complete(api, told)):
        assert error_of(answer) == (404, "asset_not_found", None)
    assert error_of(await send(told)) == (404, "asset_not_found", None)


@threaded
async def test_a_key_promises_one_id(api: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "once"}
    answers = await asyncio.gather(*(api.post(PATH, json=FILE, headers=headers) for _ in range(10)))
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].headers["location"].endswith(f"/v3/assets/{answers[0].json()['data']['asset_id']}")
    other = await api.post(PATH, json=FILE | {"filename": "b.png"}, headers=headers)
    assert error_of(other) == (422, "idempotency_key_reused", "Idempotency-Key")
    batches = [await api.post(f"{PATH}/batches", json={"files": [FILE]}, headers=headers) for _ in range(2)]
    assert batches[0].content == batches[1].content, "the same key, the same batch"
    assert batches[1].headers["Idempotent-Replayed"] == "true"


async def test_completing_a_batch_takes_no_more_statements_for_more_files(
    api: httpx.AsyncClient, served: Context
) -> None:
    taken = []
    for count in (1, 4):
        made = (await api.post(f"{PATH}/batches", json={"files": [FILE] * count})).json()["data"]
        await asyncio.gather(*(send(item) for item in made["items"]))
        for _ in range(2):
            with recording(served.database) as statements:
                done = await api.post("/v3/assets/complete/batches", json={"batch_id": made["batch_id"]})
            assert done.json()["data"]["counts_by_status"] == {"completed": count}
            taken.append(len(statements))
    assert taken[:2] == taken[2:]


async def test_a_batch_is_completed_file_by_file_and_one_bad_file_fails_no_other(
    api: httpx.AsyncClient, served: Context, account: Account, clock: ManualClock
) -> None:
    wanted = {"title": "Photos", "callback_url": "https://example.com/never", "files": [FILE] * 4}
    made = (await api.post(f"{PATH}/batches", json=wanted)).json()["data"]
    batch_id, items = made["batch_id"], made["items"]
    ids = [item["asset_id"] for item in items]
    await send(items[0])
    await send(items[1], b"\xff\xd8\xff" + bytes(len(PNG) - 3))  # a JPEG, by its first bytes
    done = await api.post("/v3/assets/complete/batches", json={"batch_id": batch_id})
    assert done.status_code == 202
    assert done.json()["data"]["counts_by_status"] == {"completed": 1, "failed": 1, "queued": 2}
    assert (await api.delete(f"/v3/assets/{ids[3]}")).status_code == 200
    again = await api.post("/v3/assets/complete/batches", json={"batch_id": batch_id})
    assert again.json()["data"]["counts_by_status"] == {"completed": 1, "failed": 2, "queued": 1}
    page = (await api.get(f"/v3/assets/batches/{batch_id}?limit=3")).json()["data"]
    assert (page["status"], page["title"], page["total_items"]) == ("processing", "Photos", 4)
    assert [(item["item_index"], item["video_id"], item["status"]) for item in page["items"]] == [
        (0, ids[0], "completed"),
        (1, ids[1], "failed"),
        (2, ids[2], "queued"),
    ]
    assert page["items"][1]["error"]["message"] == "Content type not match image/png != image/jpeg"
    params = {"limit": 3, "token": page["next_token"]}
    rest = (await api.get(f"/v3/assets/batches/{batch_id}", params=params)).json()["data"]
    assert ([item["status"] for item in rest["items"]], rest["has_more"]) == (["failed"], False)
    clock.advance(timedelta(hours=2))  # the third never comes
    asked = f"/v3/assets/statuses?asset_ids={ids[0]},{'f' * 32}&batch_ids={batch_id}"
    entries = (await api.get(asked)).json()["data"]
    assert [(entry["status"], entry["batch_id"], entry["item_index"]) for entry in entries] == [
        ("completed", None, None),
        ("not_found", None, None),
        ("completed", batch_id, 0),
        ("failed", batch_id, 1),
        ("failed", batch_id, 2),
        ("failed", batch_id, 3),
    ]
    async with caller(served, account, "other") as other:
        foreign = (await other.get(asked)).json()["data"]
        assert [entry["status"] for entry in foreign] == ["not_found", "not_found"]
        for answer in (
            await other.get(f"/v3/assets/batches/{batch_id}"),
            await other.post("/v3/assets/complete/batches", json={"batch_id": batch_id}),
        ):
            assert error_of(answer)[:2] == (404, "resource_not_found")
    for query, param in (("", "asset_ids"), ("asset_ids=" + ",".join(map(str, range(101))), "asset_ids")):
        assert error_of(await api.get(f"/v3/assets/statuses?{query}")) == (400, "invalid_parameter", param)
