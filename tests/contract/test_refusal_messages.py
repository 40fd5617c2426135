"""What the simulator and our API say when they refuse or fail keeps the contract, whatever the status."""

import asyncio
from dataclasses import replace

import httpx

from app.context import Context
from app.models import Account
from app.simulator.app import Simulator
from tests.api.callers import PORTRAIT, VIDEO, caller
from tests.contract.exchanges import Exchanges
from tests.services import serving

LOOK = {"type": "photo", "name": "Sarah", "file": PORTRAIT}
CREATE = "/v3/videos"
HOOKS = "/v3/webhooks/endpoints"
NOBODY = "0" * 32
# HeyGen knows no such refusal: it replays its first answer to a key whatever the body.
OURS_ALONE = "POST /v3/videos: 422: POST /v3/videos: status 422 is not declared"
THINGS = ("assets", "avatars", "avatars/looks", "voices", "videos")


async def refuse_endpoints(client: httpx.AsyncClient) -> None:
    """Ask for what no webhook endpoint may be, and for one that is not there."""
    for wrong in ({}, {"url": "nowhere"}, {"url": "https://example.com", "events": ["any"]}):
        await client.post(HOOKS, json=wrong)
    await client.patch(f"{HOOKS}/{NOBODY}", json={"url": "https://example.com"})
    await client.delete(f"{HOOKS}/{NOBODY}")
    await client.post(f"{HOOKS}/{NOBODY}/rotate-secret")
    await client.get(f"{HOOKS}?limit=0")
    await client.get("/v3/webhooks/events?event_type=any")


async def refuse_uploads_and_voices(client: httpx.AsyncClient) -> None:
    """Announce what cannot be, name files and voices that are not there, and ask for voices of nothing."""
    for path in ("direct-uploads", "direct-uploads/batches", "complete/batches"):
        await client.post(f"/v3/assets/{path}", json={})
    await client.post("/v3/assets/complete/batches", json={"batch_id": NOBODY})
    await client.post(f"/v3/assets/{NOBODY}/complete")
    await client.get(f"/v3/assets/batches/{NOBODY}")
    await client.get("/v3/assets/statuses")
    for path in ("voices", "voices/clone", "voices/speech"):
        await client.post(f"/v3/{path}", json={})
    await client.post("/v3/voices/speech", json={"text": "Hi.", "voice_id": NOBODY})
    await client.delete(f"/v3/voices/{NOBODY}")


async def test_every_refusal_of_the_simulator_keeps_the_contract(
    heygen_url: str, simulator: Simulator, exchanges: Exchanges
) -> None:
    async with httpx.AsyncClient(base_url=heygen_url, headers={"x-api-key": "any"}, timeout=30) as heygen:
        heygen.event_hooks["response"].append(exchanges.keep)
        for thing in THINGS:
            await heygen.get(f"/v3/{thing}/{NOBODY}")
        for thing in THINGS[1:]:
            await heygen.get(f"/v3/{thing}?limit=0")
        await heygen.delete(f"{CREATE}/{NOBODY}")
        await refuse_endpoints(heygen)
        await refuse_uploads_and_voices(heygen)
        await heygen.get(f"{CREATE}/batches/{NOBODY}")
        await heygen.post(f"{CREATE}/batches", json={"videos": [VIDEO, {}]})
        await heygen.get("/v3/users/me", headers={"x-api-key": ""})
        made = (await heygen.post("/v3/avatars", json=LOOK)).json()["data"]["avatar_item"]["id"]
        await heygen.post(CREATE, json=VIDEO | {"avatar_id": made})  # 409, it is in training
        simulator.set_scenario("insufficient_credit", times=1)
        await heygen.post(CREATE, json=VIDEO)
        simulator.set_scenario("rate_limited", times=1)
        await heygen.post(CREATE, json=VIDEO)
        simulator.set_scenario("unavailable_before_accept", times=1)
        await heygen.post(CREATE, json=VIDEO)
    assert exchanges.faults == []
    assert exchanges.statuses == {200, 400, 401, 402, 404, 409, 429, 503}


async def test_every_refusal_of_our_api_keeps_the_contract(
    context: Context, account: Account, simulator: Simulator, exchanges: Exchanges
) -> None:
    narrow = replace(context, terms=replace(context.terms, queue_limit=1))
    async with (
        serving(narrow) as served,
        caller(served, account, "judged", account_wide=True) as api,
    ):
        api.event_hooks["response"].append(exchanges.keep)
        for thing in THINGS:
            await api.get(f"/v3/{thing}/{NOBODY}")
        for thing in THINGS[1:]:
            await api.get(f"/v3/{thing}?limit=0")
        await asyncio.gather(api.delete(f"{CREATE}/{NOBODY}"), api.delete(f"/v3/assets/{NOBODY}"))
        await refuse_endpoints(api)
        await refuse_uploads_and_voices(api)
        await api.get("/v3/videos/statuses?video_ids=")
        await api.get(f"{CREATE}/batches/{NOBODY}")
        await api.post(f"{CREATE}/batches", json={"videos": [VIDEO, {}]})
        await api.post("/v3/assets", files={"file": ("a.txt", b"just text")})
        await api.post("/v3/avatars", json=LOOK | {"name": ""})
        await api.post(HOOKS, json={"url": "x" * 300_000})
        await api.post(CREATE, json=VIDEO, headers={"Idempotency-Key": "used"})
        await api.post(CREATE, json=VIDEO | {"title": "Another"}, headers={"Idempotency-Key": "used"})
        await api.post(CREATE, json=VIDEO)  # the queue is full
        await api.get(CREATE, headers={"x-api-key": "nobody's"})
        simulator.set_scenario("outage")
        for thing in THINGS[1:]:
            await api.get(f"/v3/{thing}/unknown")
    assert set(exchanges.faults) <= {OURS_ALONE}
    assert exchanges.statuses == {200, 400, 401, 404, 413, 422, 429, 503}
