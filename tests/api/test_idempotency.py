"""One key, one body, one video."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import httpx
from sqlalchemy import func, select, update

from app.context import Context
from app.models import Account, IdempotencyKey, Job
from app.secrets import Secrets
from app.simulator.app import Simulator
from tests.api.callers import LOOK, PORTRAIT, VIDEO, VOICE, caller, creates_at, error_of
from tests.clocks import ManualClock
from tests.conftest import threaded
from tests.services import run_worker

KEY = {"Idempotency-Key": "order-7:greeting_1.0"}


async def jobs(served: Context) -> int:
    async with served.database.begin() as session:
        return int(await session.scalar(select(func.count()).select_from(Job)) or 0)


async def create(api: httpx.AsyncClient, **changes: Any) -> httpx.Response:
    return await api.post("/v3/videos", json=VIDEO | changes, headers=KEY)


@threaded
async def test_fifty_simultaneous_equal_requests_make_one_video_and_get_equal_answers(
    api: httpx.AsyncClient, served: Context, simulator: Simulator
) -> None:
    answers = await asyncio.gather(*(create(api) for _ in range(50)))
    assert [answer.status_code for answer in answers] == [200] * 50
    assert len({answer.content for answer in answers}) == 1
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 49
    await run_worker(served)
    assert (await jobs(served), creates_at(simulator)) == (1, 1)


async def test_a_repeat_is_recognised_by_meaning_and_gets_the_first_answers_bytes(
    api: httpx.AsyncClient, served: Context
) -> None:
    first = await create(api, voice_settings={"speed": 1})
    reworded = {
        "script": VIDEO["script"],
        "voice_settings": {"speed": 1.0, "pitch": None},
        "title": VIDEO["title"],
        "voice_id": VOICE,
        "avatar_id": LOOK,
        "background": None,
        "type": "avatar",
    }
    headers = KEY | {"Content-Type": "application/json"}
    again = await api.post("/v3/videos", content=json.dumps(reworded, indent=1), headers=headers)
    assert (again.content, again.headers["location"]) == (first.content, first.headers["location"])
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert await jobs(served) == 1


async def test_another_body_under_a_used_key_is_refused(api: httpx.AsyncClient, served: Context) -> None:
    await create(api)
    answer = await create(api, script="Something else.")
    assert error_of(answer) == (422, "idempotency_key_reused", "Idempotency-Key")
    assert await jobs(served) == 1


async def test_a_replay_does_not_care_what_has_changed_since(
    api: httpx.AsyncClient, clock: ManualClock
) -> None:
    ours = {"deadline": "2026-03-02T10:00:00Z"}
    first = await create(api, greenroom=ours)
    video_id = first.json()["data"]["video_id"]
    assert (await api.delete(f"/v3/videos/{video_id}")).status_code == 200
    clock.advance(timedelta(hours=1))  # as a new request its deadline would be refused
    again = await create(api, greenroom=ours)
    assert (again.status_code, again.content) == (200, first.content)


async def test_only_an_accepted_request_binds_its_key(api: httpx.AsyncClient, served: Context) -> None:
    assert (await create(api, voice_id="nobodys")).status_code == 404
    assert (await create(api, resolution="9000p")).status_code == 400
    accepted = await create(api)
    assert (accepted.status_code, "idempotent-replayed" in accepted.headers) == (200, False)
    assert await jobs(served) == 1


async def test_without_a_key_every_request_is_a_video_of_its_own(
    api: httpx.AsyncClient, served: Context
) -> None:
    answers = [await api.post("/v3/videos", json=VIDEO) for _ in range(2)]
    assert answers[0].json() != answers[1].json()
    assert await jobs(served) == 2


async def test_keys_belong_to_their_tenant(api: httpx.AsyncClient, served: Context, account: Account) -> None:
    await create(api)
    async with caller(served, account, "other") as other:
        answer = await create(other, script="Of another tenant.")
    assert (answer.status_code, await jobs(served)) == (200, 2)


async def test_a_key_means_something_else_in_another_operation(api: httpx.AsyncClient) -> None:
    await create(api)
    look = await api.post(
        "/v3/avatars", json={"type": "photo", "name": "Sarah", "file": PORTRAIT}, headers=KEY
    )
    assert (look.status_code, "idempotent-replayed" in look.headers) == (200, False)


async def test_an_ill_formed_key_is_refused_and_nothing_is_stored(
    api: httpx.AsyncClient, served: Context
) -> None:
    for wrong in (b"", b"a b", "ü".encode(), b"x" * 256, b"semi;colon"):
        answer = await api.post("/v3/videos", json=VIDEO, headers=[(b"Idempotency-Key", wrong)])
        assert error_of(answer) == (400, "invalid_parameter", "Idempotency-Key"), wrong
    two = await api.post(
        "/v3/videos", json=VIDEO, headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    )
    assert error_of(two) == (400, "invalid_parameter", "Idempotency-Key")
    assert await jobs(served) == 0


async def test_who_prefers_it_is_answered_202_and_the_place_to_look(api: httpx.AsyncClient) -> None:
    headers = KEY | {"Prefer": "handling=lenient, respond-async"}
    first = await api.post("/v3/videos", json=VIDEO, headers=headers)
    assert (first.status_code, first.headers["preference-applied"]) == (202, "respond-async")
    there = await api.get(first.headers["location"])
    assert there.json()["data"]["id"] == first.json()["data"]["video_id"]
    again = await create(api)
    assert (again.status_code, again.content) == (200, first.content)


async def test_the_kept_answer_is_encrypted(api: httpx.AsyncClient, served: Context) -> None:
    answer = await create(api)
    async with served.database.begin() as session:
        kept = (await session.scalars(select(IdempotencyKey))).one()
    assert answer.content not in kept.answer_encrypted
    assert served.secrets.decrypt(kept.answer_encrypted) == answer.content


async def test_a_repeat_whose_first_answer_cannot_be_read_names_the_cause_and_orders_nothing(
    api: httpx.AsyncClient, served: Context
) -> None:
    first = await create(api)
    lost = Secrets(["a key that SECRET_KEYS does not list any more"])
    async with served.database.begin() as session:
        await session.execute(update(IdempotencyKey).values(answer_encrypted=lost.encrypt(first.content)))
    answer = await create(api)
    assert error_of(answer) == (409, "conflict", "Idempotency-Key")
    message = answer.json()["error"]["message"]
    assert "SECRET_KEYS" in message
    assert first.json()["data"]["video_id"] in message
    assert await jobs(served) == 1


async def test_what_is_only_to_be_tried_is_refused_and_never_made(
    api: httpx.AsyncClient, served: Context, simulator: Simulator
) -> None:
    avatar = {"type": "photo", "name": "Sarah", "file": PORTRAIT}
    creates = (
        ("/v3/videos", VIDEO),
        ("/v3/videos/batches", {"videos": [VIDEO]}),
        ("/v3/avatars", avatar),
        ("/v3/voices/speech", {"text": "Hello.", "voice_id": VOICE}),
    )
    for path, body in creates:
        answer = await api.post(f"{path}?dry_run=true", json=body, headers=KEY)
        assert error_of(answer) == (400, "invalid_parameter", "dry_run"), path
    assert (await jobs(served), simulator.requests("POST")) == (0, [])
    assert (await api.post("/v3/videos?dry_run=false", json=VIDEO, headers=KEY)).status_code == 200
