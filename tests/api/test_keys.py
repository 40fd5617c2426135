"""Keys and rate limits, as callers meet them."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from app.context import Context
from app.models import Account
from app.secrets import new_api_key
from app.tenancy import revoke_key
from tests.api.callers import PORTRAIT, VIDEO, caller, error_of
from tests.clocks import ManualClock
from tests.services import run_worker, serving

ME = "/v3/users/me"
UNKNOWN = new_api_key().key


@pytest.fixture
def keyless(api: httpx.AsyncClient) -> httpx.AsyncClient:
    """The same service, without the key."""
    del api.headers["x-api-key"]
    return api


@pytest.mark.parametrize("header", ["x-api-key", "X-API-KEY"])
async def test_the_key_header_is_taken_in_any_case(keyless: httpx.AsyncClient, key: str, header: str) -> None:
    assert (await keyless.get(ME, headers={header: key})).status_code == 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER "])
async def test_a_key_may_come_as_bearer_token(keyless: httpx.AsyncClient, key: str, scheme: str) -> None:
    assert (await keyless.get(ME, headers={"Authorization": f"{scheme} {key}"})).status_code == 200


async def test_another_scheme_belongs_to_a_proxy_and_does_not_disturb(
    keyless: httpx.AsyncClient, key: str
) -> None:
    headers = {"Authorization": "Basic cHJveHk6cHJveHk=", "x-api-key": key}
    assert (await keyless.get(ME, headers=headers)).status_code == 200
    both = {"Authorization": f"Bearer {key}", "x-api-key": key}
    assert (await keyless.get(ME, headers=both)).status_code == 200


async def test_whatever_is_no_key_is_unauthorized_with_one_and_the_same_answer(
    keyless: httpx.AsyncClient, key: str
) -> None:
    attempts: list[list[tuple[str, str]]] = [
        [],
        [("x-api-key", "")],
        [("x-api-key", UNKNOWN)],
        [("x-api-key", "x" * 8_000)],
        [("x-api-key", "gr_' OR 1=1 --")],
        [("x-api-key", f"{key} {key}")],
        [("x-api-key", key), ("x-api-key", UNKNOWN)],
        [("x-api-key", key), ("authorization", f"Bearer {UNKNOWN}")],
        [("authorization", "Bearer")],
        [("authorization", f"Bearer Bearer {key}")],
        [("authorization", key)],
        [("authorization", f"Basic {key}")],
    ]
    seen = set()
    for headers in attempts:
        answer = await keyless.get(ME, headers=headers)
        assert error_of(answer) == (401, "unauthorized", None), headers
        assert answer.headers["www-authenticate"] == "Bearer"
        seen.add(answer.text.replace(answer.headers["x-request-id"], ""))
    assert error_of(await keyless.get(ME, params={"api_key": key, "x-api-key": key}))[0] == 401
    assert len(seen) == 1
    assert "Unauthorized: send a key in the header x-api-key, or as Authorization: Bearer." in seen.pop()


async def test_a_key_that_is_no_ascii_is_unauthorized(keyless: httpx.AsyncClient) -> None:
    answer = await keyless.get(ME, headers=[(b"x-api-key", "gr_ключ".encode())])
    assert error_of(answer) == (401, "unauthorized", None)


async def test_a_revoked_key_is_dead_within_five_seconds(
    api: httpx.AsyncClient, served: Context, key: str, clock: ManualClock
) -> None:
    assert (await api.get(ME)).status_code == 200
    async with served.database.begin() as session:
        await revoke_key(session, key.split("_")[1], clock.now())
    clock.advance(timedelta(seconds=5))
    assert error_of(await api.get(ME)) == (401, "unauthorized", None)


async def test_creates_and_reads_have_limits_of_their_own_for_each_key(
    context: Context, account: Account
) -> None:
    terms = replace(context.terms, creates_a_minute=4, reads_a_minute=18)  # 2 in 30 s, 3 in 10 s
    async with (
        serving(replace(context, terms=terms)) as served,
        caller(served, account, "busy") as busy,
        caller(served, account, "quiet") as quiet,
    ):
        creates = await asyncio.gather(*(busy.post("/v3/videos", json=VIDEO) for _ in range(5)))
        reads = await asyncio.gather(*(busy.get("/v3/videos") for _ in range(5)))
        untouched = await quiet.get("/v3/videos")
        stored = (await quiet.get("/readyz")).status_code, (await busy.get("/healthz")).status_code

    assert Counter(answer.status_code for answer in creates) == {200: 2, 429: 3}
    assert Counter(answer.status_code for answer in reads) == {200: 3, 429: 2}
    assert (untouched.status_code, untouched.headers["ratelimit-remaining"]) == (200, "2")
    assert stored == (200, 200)
    for answers, limit, longest in ((creates, "2", 30), (reads, "3", 10)):
        for answer in answers:
            assert answer.headers["ratelimit-limit"] == limit
            assert 1 <= int(answer.headers["ratelimit-reset"]) <= longest
        for refused in (answer for answer in answers if answer.status_code == 429):
            assert error_of(refused) == (429, "rate_limit_exceeded", None)
            assert 1 <= int(refused.headers["retry-after"]) <= longest
            assert refused.headers["ratelimit-remaining"] == "0"
    accepted = next(answer for answer in reads if answer.status_code == 200)
    assert len(accepted.json()["data"]) == 2, "a refused create stores nothing"


async def test_videos_that_wait_for_an_avatar_fill_the_queue_too(
    context: Context, account: Account, clock: ManualClock
) -> None:
    narrow = replace(context, terms=replace(context.terms, queue_limit=5))
    look = {"type": "photo", "name": "Sarah", "file": PORTRAIT}
    async with (
        serving(narrow) as served,
        caller(served, account, "busy") as busy,
        caller(served, account, "quiet") as quiet,
    ):
        made = (await busy.post("/v3/avatars", json=look)).json()["data"]["avatar_item"]["id"]
        statuses = []
        for _ in range(3):
            answers = [await busy.post("/v3/videos", json=VIDEO | {"avatar_id": made}) for _ in range(2)]
            statuses += [answer.status_code for answer in answers]
            clock.advance(timedelta(seconds=5))
        others = await quiet.post("/v3/videos", json=VIDEO)
    assert statuses == [200] * 4 + [429] * 2, "the avatar itself is the fifth"
    assert others.status_code == 200


async def test_a_full_queue_turns_new_work_away_until_some_has_left(
    context: Context, account: Account, clock: ManualClock
) -> None:
    terms = replace(context.terms, queue_limit=3)
    keyed = {"Idempotency-Key": "first"}
    async with (
        serving(replace(context, terms=terms)) as served,
        caller(served, account, "busy") as busy,
        caller(served, account, "quiet") as quiet,
    ):
        first = await busy.post("/v3/videos", json=VIDEO, headers=keyed)
        more = [(await busy.post("/v3/videos", json=VIDEO)).status_code for _ in range(2)]
        patient = VIDEO | {"title": "Patient"}
        refusals = [await busy.post("/v3/videos", json=patient) for _ in range(2)]
        repeated = await busy.post("/v3/videos", json=VIDEO, headers=keyed)
        others = await quiet.post("/v3/videos", json=VIDEO)
        queued = (await busy.get("/v3/videos")).json()["data"]
        await run_worker(served)
        clock.advance(timedelta(seconds=5))
        later = await busy.post("/v3/videos", json=patient)
        made = (await busy.get("/v3/videos?title=Patient")).json()["data"]

    assert more == [200, 200]
    for refused in refusals:
        assert error_of(refused) == (429, "rate_limit_exceeded", None)
        assert refused.headers["retry-after"] == "30"
    assert len(queued) == 3
    assert [video["id"] for video in made] == [later.json()["data"]["video_id"]]
    assert repeated.content == first.content
    assert others.status_code == later.status_code == 200
