"""Private voices that HeyGen itself does not tell from public ones, and those among so many that it is not asked."""

from collections.abc import AsyncIterator

import httpx
import pytest

from app.context import Context
from app.models import Account, GrantKind
from app.simulator.app import Simulator
from tests.api.callers import (
    VIDEO,
    at_heygen,
    caller,
    create_video,
    creates_at,
    error_of,
    read_video,
    render,
)
from tests.api.test_grants import grant
from tests.clocks import ManualClock

BATCHES, DESIGN, SPEECH = "/v3/videos/batches", "/v3/voices", "/v3/voices/speech"


@pytest.fixture
async def narrow(served: Context, account: Account) -> AsyncIterator[httpx.AsyncClient]:
    """A tenant that does not see the whole account."""
    async with caller(served, account, "narrow") as client:
        yield client


async def design(client: httpx.AsyncClient) -> str:
    """The id of a new voice; read singly it has neither a type nor a status."""
    voices = (await client.post(DESIGN, json={"prompt": "[[design_new]] Warm."})).json()["data"]["voices"]
    [voice_id] = [str(voice["voice_id"]) for voice in voices if voice["type"] == "private"]
    assert {"type", "status"}.isdisjoint((await client.get(f"{DESIGN}/{voice_id}")).json()["data"])
    return voice_id


async def test_a_designed_voice_is_its_tenants_alone(
    api: httpx.AsyncClient,
    narrow: httpx.AsyncClient,
    served: Context,
    account: Account,
    clock: ManualClock,
    simulator: Simulator,
) -> None:
    voice_id = await design(narrow)
    speech = {"text": "Good morning.", "voice_id": voice_id}
    async with caller(served, account, "third") as third:
        for stranger in (api, third):
            for answer in (
                await stranger.get(f"{DESIGN}/{voice_id}"),
                await stranger.delete(f"{DESIGN}/{voice_id}"),
                await stranger.post(SPEECH, json=speech),
                await stranger.post("/v3/videos", json=VIDEO | {"voice_id": voice_id}),
            ):
                assert error_of(answer)[:2] == (404, "voice_not_found"), answer.request.url
        await grant(served, "third", GrantKind.VOICE, voice_id)
        assert (await third.get(f"{DESIGN}/{voice_id}")).status_code == 200
    assert simulator.requests("POST", SPEECH) == []
    assert (await narrow.post(SPEECH, json=speech)).status_code == 200
    video_id = await create_video(narrow, voice_id=voice_id)
    await render(served, clock)
    assert (await read_video(narrow, video_id))["status"] == "completed"


async def test_the_worker_finds_out_that_a_designed_voice_is_anothers(
    api: httpx.AsyncClient,
    narrow: httpx.AsyncClient,
    served: Context,
    clock: ManualClock,
    simulator: Simulator,
    heygen_url: str,
) -> None:
    async with at_heygen(heygen_url) as direct:
        voice_id = await design(direct)
    simulator.set_scenario("outage")
    video_id = await create_video(narrow, voice_id=voice_id)
    await grant(served, "acme", GrantKind.VOICE, voice_id)
    assert error_of(await narrow.post("/v3/videos", json=VIDEO | {"voice_id": voice_id}))[0] == 404
    own = await create_video(api, voice_id=voice_id)
    simulator.clear_scenarios()
    await render(served, clock)
    refused = await read_video(narrow, video_id)
    assert (refused["status"], refused["failure_code"]) == ("failed", "voice_not_found")
    assert (await read_video(api, own))["status"] == "completed"
    assert creates_at(simulator) == 1


async def test_another_tenants_voice_is_found_among_more_than_heygen_is_asked_about(
    api: httpx.AsyncClient, narrow: httpx.AsyncClient, simulator: Simulator
) -> None:
    voice_id = await design(narrow)
    simulator.set_scenario("outage")  # nothing is known of the others
    videos = [VIDEO | {"voice_id": f"{n:032}"} for n in range(41)]
    last = VIDEO | {"voice_id": voice_id}
    assert (await api.post(BATCHES, json={"videos": videos})).status_code == 200
    refused = await api.post(BATCHES, json={"videos": [*videos, last]})
    assert error_of(refused) == (400, "voice_not_found", "videos.41.voice_id")
    assert (await narrow.post(BATCHES, json={"videos": [*videos, last]})).status_code == 200
