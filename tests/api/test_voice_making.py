"""Cloning, designing and speaking: paid once for each key, and a tenant's voices are its own."""

import base64
import io
import wave
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from app import governor
from app.context import Context
from app.models import Account, Grant, GrantKind, Tenant
from app.simulator.app import Simulator
from app.tenancy import find_tenant
from tests.api.callers import (
    VIDEO,
    VOICE,
    at_heygen,
    caller,
    create_video,
    error_of,
    fetch,
    read_video,
    render,
)
from tests.api.photos import picture, uploaded
from tests.clocks import ManualClock
from tests.services import serving

CLONE, SPEECH, DESIGN = "/v3/voices/clone", "/v3/voices/speech", "/v3/voices"
SAY = {"text": "Good morning.", "voice_id": VOICE}


def recording(seconds: float = 1.0) -> bytes:
    """A WAV file of silence."""
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(int(seconds * 16_000)))
    return content.getvalue()


WAV = recording()
INLINE = {"type": "base64", "media_type": "audio/wav", "data": base64.b64encode(WAV).decode()}


@pytest.fixture
async def narrow(served: Context, account: Account) -> AsyncIterator[httpx.AsyncClient]:
    """A tenant that does not see the whole account."""
    async with caller(served, account, "narrow") as client:
        yield client


async def clone(api: httpx.AsyncClient, name: str = "Mine") -> str:
    """The id of a new clone."""
    answer = await api.post(CLONE, json={"voice_name": name, "audio": INLINE})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["voice_clone_id"])


async def private(api: httpx.AsyncClient) -> list[str]:
    page = (await api.get("/v3/voices?type=private")).json()
    return [voice["voice_id"] for voice in page["data"]]


def spoken(simulator: Simulator) -> int:
    """How often speech was billed."""
    return [row.kind for row in simulator.ledger()].count("speech")


async def test_a_clone_is_followed_spoken_with_and_deleted_by_its_tenant_and_nobody_else(
    api: httpx.AsyncClient,
    narrow: httpx.AsyncClient,
    served: Context,
    account: Account,
    clock: ManualClock,
    heygen_url: str,
) -> None:
    async with at_heygen(heygen_url) as direct:
        accounts_own = await clone(direct, "The account's")
    voice_id = await clone(narrow)
    assert (await narrow.get(f"/v3/voices/{voice_id}")).json()["data"]["status"] == "processing"
    unready = await narrow.post(SPEECH, json=SAY | {"voice_id": voice_id})
    assert error_of(unready) == (400, "voice_unavailable", "voice_id")
    clock.advance(timedelta(minutes=1))
    assert (await narrow.get(f"/v3/voices/{voice_id}")).json()["data"]["status"] == "complete"
    assert await private(narrow) == [voice_id]
    assert (await narrow.post(SPEECH, json=SAY | {"voice_id": voice_id})).status_code == 200
    video_id = await create_video(narrow, voice_id=voice_id)
    await render(served, clock)
    assert (await read_video(narrow, video_id))["status"] == "completed"
    # Another tenant does not see it, whether or not it sees the account; the account's own it may see.
    assert await private(api) == [accounts_own]
    async with caller(served, account, "third") as third:
        assert await private(third) == []
        for stranger in (api, third):
            for answer in (
                await stranger.get(f"/v3/voices/{voice_id}"),
                await stranger.delete(f"/v3/voices/{voice_id}"),
                await stranger.post(SPEECH, json=SAY | {"voice_id": voice_id}),
                await stranger.post("/v3/videos", json=VIDEO | {"voice_id": voice_id}),
            ):
                assert error_of(answer)[:2] == (404, "voice_not_found"), answer.request.url
    assert error_of(await narrow.get(f"/v3/voices/{accounts_own}"))[:2] == (404, "voice_not_found")
    assert error_of(await narrow.delete(f"/v3/voices/{accounts_own}"))[:2] == (404, "voice_not_found")
    deleted = await narrow.delete(f"/v3/voices/{voice_id}")
    assert (deleted.status_code, deleted.json()) == (200, {"data": {"voice_id": voice_id}})
    assert await private(narrow) == []
    for answer in (await narrow.get(f"/v3/voices/{voice_id}"), await narrow.delete(f"/v3/voices/{voice_id}")):
        assert error_of(answer) == (404, "voice_not_found", None)
    assert (await api.delete(f"/v3/voices/{accounts_own}")).status_code == 200
    assert await private(api) == []
    assert error_of(await api.delete(f"/v3/voices/{VOICE}"))[:2] == (403, "forbidden")
    assert error_of(await narrow.delete(f"/v3/voices/{VOICE}"))[:2] == (404, "voice_not_found")


async def test_a_granted_voice_is_seen_and_used_but_not_deleted(
    api: httpx.AsyncClient,
    narrow: httpx.AsyncClient,
    served: Context,
    clock: ManualClock,
    simulator: Simulator,
) -> None:
    voice_id = await clone(api)
    clock.advance(timedelta(minutes=1))
    assert error_of(await narrow.get(f"/v3/voices/{voice_id}"))[0] == 404
    async with served.database.begin() as session:
        tenant: Tenant | None = await find_tenant(session, "narrow")
        assert tenant is not None
        session.add(
            Grant(
                tenant_id=tenant.id,
                account_id=tenant.account_id,
                kind=GrantKind.VOICE,
                heygen_id=voice_id,
                created_at=clock.now(),
            )
        )
    assert await private(narrow) == [voice_id]
    simulator.set_scenario("outage")  # the worker asks, as HeyGen cannot be asked now
    clock.advance(timedelta(minutes=10))
    video_id = await create_video(narrow, voice_id=voice_id)
    simulator.clear_scenarios()
    await render(served, clock)
    assert (await read_video(narrow, video_id))["status"] == "completed"
    assert error_of(await narrow.delete(f"/v3/voices/{voice_id}"))[:2] == (403, "forbidden")
    assert await private(api) == [voice_id]


async def test_another_tenants_clone_is_refused_behind_more_voices_than_heygen_is_asked_about(
    api: httpx.AsyncClient, narrow: httpx.AsyncClient, simulator: Simulator
) -> None:
    others = [f"{number:032x}" for number in range(40)]
    spoken = VIDEO | {"title": None, "voice_id": await clone(narrow)}
    scenes = [
        {"type": "avatar_video", "input": spoken | {"voice_id": it}} for it in [*others, spoken["voice_id"]]
    ]
    simulator.set_scenario("outage")
    answer = await api.post("/v3/videos", json={"type": "studio", "scenes": scenes})
    assert error_of(answer) == (404, "voice_not_found", "scenes.40.input.voice_id")
    answer = await api.post("/v3/videos", json={"type": "studio", "scenes": scenes[:40]})
    assert answer.status_code == 200, answer.text


async def test_a_recording_of_ours_goes_up_once_however_it_is_named(
    api: httpx.AsyncClient, narrow: httpx.AsyncClient, simulator: Simulator
) -> None:
    asset_id = await uploaded(narrow, WAV)
    named = {"voice_name": "Mine", "audio": {"type": "asset_id", "asset_id": asset_id}}
    for body in (named, named | {"audio": INLINE}):
        assert (await narrow.post(CLONE, json=body)).status_code == 200
    assert len(simulator.requests("POST", "/v3/assets")) == 1
    assert len(simulator.requests("POST", CLONE)) == 2
    assert error_of(await api.post(CLONE, json=named)) == (404, "asset_not_found", "audio.asset_id")


async def test_a_recording_that_heygen_deleted_goes_up_again_under_the_same_key(
    narrow: httpx.AsyncClient, simulator: Simulator, heygen_url: str, clock: ManualClock
) -> None:
    body, headers = {"voice_name": "Mine", "audio": INLINE}, {"Idempotency-Key": "k1"}
    simulator.set_scenario("unknown_code", times=1, method="POST", path=CLONE)
    assert (await narrow.post(CLONE, json=body, headers=headers)).status_code == 403
    async with at_heygen(heygen_url) as direct:
        username = (await direct.get("/v3/users/me")).json()["data"]["username"]
        [copy] = (await direct.get(f"/v3/assets?username={username}")).json()["data"]
        await direct.delete(f"/v3/assets/{copy['id']}")
    clock.advance(timedelta(minutes=3))
    missing = await narrow.post(CLONE, json=body, headers=headers)
    assert error_of(missing)[:2] == (409, "resource_not_ready")
    assert (await narrow.post(CLONE, json=body, headers=headers)).status_code == 200


WRONG: list[tuple[str, dict[str, Any], str]] = [
    (SPEECH, {"voice_id": VOICE}, "text"),
    (SPEECH, SAY | {"text": " "}, "text"),
    (SPEECH, SAY | {"text": "x" * 5001}, "text"),
    (SPEECH, {"text": "Hi."}, "voice_id"),
    (SPEECH, SAY | {"speed": 0.4}, "speed"),
    (SPEECH, SAY | {"speed": 2.1}, "speed"),
    (SPEECH, SAY | {"pitch": 1}, "pitch"),
    (DESIGN, {}, "prompt"),
    (DESIGN, {"prompt": "x" * 1001}, "prompt"),
    (DESIGN, {"prompt": "Warm.", "seed": -1}, "seed"),
    (CLONE, {"audio": INLINE}, "voice_name"),
    (CLONE, {"audio": INLINE, "voice_name": "x" * 101}, "voice_name"),
    (CLONE, {"voice_name": "Mine"}, "audio"),
    (CLONE, {"voice_name": "Mine", "audio": {"type": "file"}}, "audio.type"),
    (CLONE, {"voice_name": "Mine", "audio": INLINE | {"data": "?"}}, "audio.data"),
    (CLONE, {"voice_name": "Mine", "audio": INLINE | {"media_type": "audio/mpeg"}}, "audio.data"),
    (
        CLONE,
        {
            "voice_name": "Mine",
            "audio": {
                "type": "base64",
                "media_type": "image/png",
                "data": base64.b64encode(picture()).decode(),
            },
        },
        "audio.media_type",
    ),
]


async def test_what_is_wrong_is_named_and_costs_nothing(
    api: httpx.AsyncClient, narrow: httpx.AsyncClient, simulator: Simulator
) -> None:
    for path, body, param in WRONG:
        assert error_of(await api.post(path, json=body)) == (400, "invalid_parameter", param), (path, param)
    photo = await uploaded(narrow)
    source = {"type": "asset_id", "asset_id": photo}
    answer = await narrow.post(CLONE, json={"voice_name": "Mine", "audio": source})
    assert error_of(answer) == (400, "invalid_parameter", "audio.asset_id")
    for who in (narrow, api):
        source = {"type": "asset_id", "asset_id": "nope"}
        answer = await who.post(CLONE, json={"voice_name": "Mine", "audio": source})
        assert error_of(answer) == (404, "asset_not_found", "audio.asset_id")
    missing = await narrow.post(SPEECH, json=SAY | {"voice_id": "f" * 32})
    assert error_of(missing) == (404, "voice_not_found", "voice_id")
    assert len(simulator.requests("POST")) == 1, "who sees the account may mean a recording of HeyGen's own"


async def test_speech_answers_a_playable_file_and_is_paid_once_for_its_key(
    narrow: httpx.AsyncClient, served: Context, simulator: Simulator
) -> None:
    first = await narrow.post(SPEECH, json=SAY, headers={"Idempotency-Key": "k1"})
    assert first.status_code == 200, first.text
    sound = await fetch(first.json()["data"]["audio_url"])
    with wave.open(io.BytesIO(sound.content)) as file:
        assert file.getnframes() / file.getframerate() == pytest.approx(
            first.json()["data"]["duration"], 0.01
        )
    again = await narrow.post(SPEECH, json=SAY | {"speed": None}, headers={"Idempotency-Key": "k1"})
    assert (again.content, again.headers["Idempotent-Replayed"]) == (first.content, "true")
    assert "location" not in first.headers, "nothing is read there"
    other = await narrow.post(SPEECH, json=SAY | {"speed": 2}, headers={"Idempotency-Key": "k1"})
    assert error_of(other) == (422, "idempotency_key_reused", "Idempotency-Key")
    assert spoken(simulator) == 1
    # HeyGen hears one key of ours for one of the caller's, and another for each request without.
    for _ in range(2):
        await narrow.post(SPEECH, json=SAY)
    keys = [row.idempotency_key for row in simulator.requests("POST", SPEECH)]
    assert len(set(keys)) == len(keys) == 3
    async with served.database.begin() as session:
        assert await find_tenant(session, "narrow") is not None


async def test_the_accounts_gate_and_pauses_hold_what_is_paid(
    narrow: httpx.AsyncClient, served: Context, account: Account, simulator: Simulator, clock: ManualClock
) -> None:
    simulator.set_scenario("rate_limited", times=1, seconds=600)
    refused = await narrow.post(SPEECH, json=SAY)
    assert error_of(refused)[:2] == (503, "service_unavailable")
    assert refused.headers["retry-after"] == "30"
    assert error_of(await narrow.post(SPEECH, json=SAY))[0] == 503, "the gate is shut"
    assert len(simulator.requests("POST", SPEECH)) == 1
    clock.advance(timedelta(minutes=11))
    async with served.database.begin() as session:
        await governor.pause(session, account.id, "by hand", clock.now(), None)
    assert error_of(await narrow.post(SPEECH, json=SAY))[0] == 503
    assert (await narrow.get(f"/v3/voices/{VOICE}")).status_code == 200, "reads go on"
    async with served.database.begin() as session:
        await governor.resume(session, account.id)
    simulator.set_scenario("insufficient_credit", times=1)
    assert error_of(await narrow.post(SPEECH, json=SAY))[0] == 503
    async with served.database.begin() as session:
        paused = await session.get_one(Account, account.id)
    assert paused.paused_reason == "insufficient_credit"


async def test_calls_that_fail_stop_nobodys_videos(
    narrow: httpx.AsyncClient, served: Context, account: Account, simulator: Simulator
) -> None:
    simulator.set_scenario("unavailable_before_accept", times=20)
    answers = [await narrow.post(DESIGN, json={"prompt": f"Warm {n}."}) for n in range(20)]
    assert {answer.status_code for answer in answers} == {504}
    async with served.database.begin() as session:
        assert (await session.get_one(Account, account.id)).paused_at is None


async def test_a_design_shows_public_voices_and_the_tenants_own_alone(
    api: httpx.AsyncClient, narrow: httpx.AsyncClient, clock: ManualClock
) -> None:
    theirs, own = await clone(api, "Theirs"), await clone(narrow)
    clock.advance(timedelta(minutes=1))
    answer = await narrow.post(DESIGN, json={"prompt": "Warm and low.", "gender": "female"})
    assert answer.status_code == 200, answer.text
    found = [voice["voice_id"] for voice in answer.json()["data"]["voices"]]
    assert own in found
    assert theirs not in found, "HeyGen found it, too"
    assert await private(narrow) == [own]
    made = (await narrow.post(DESIGN, json={"prompt": "[[design_new]] Warm."})).json()["data"]["voices"]
    new = next(voice["voice_id"] for voice in made if voice["type"] == "private" and voice["voice_id"] != own)
    assert set(await private(narrow)) == {own, new}
    assert await private(api) == [theirs]
    assert (await narrow.post(SPEECH, json=SAY | {"voice_id": new})).status_code == 200
    later = await narrow.post(DESIGN, json={"prompt": "Warm and low.", "seed": 2**31})
    assert later.json()["data"] == {"voices": [], "seed": 2**31}, "there is no end to them"
    refused = await narrow.post(DESIGN, json={"prompt": "Warm.", "gender": "other"})
    assert error_of(refused) == (400, "invalid_parameter", "gender")


async def test_a_designed_voice_that_heygen_knows_a_moment_later_is_still_its_tenants(
    api: httpx.AsyncClient, narrow: httpx.AsyncClient, clock: ManualClock, simulator: Simulator
) -> None:
    theirs = await clone(api, "Theirs")
    clock.advance(timedelta(minutes=1))
    simulator.set_scenario(
        "unknown_code", method="GET", path="/v3/voices/", status=404.0, code="voice_not_found"
    )
    key = {"Idempotency-Key": "k1"}
    body = {"prompt": "[[design_new]] Warm."}
    designed = await narrow.post(DESIGN, json=body, headers=key)
    simulator.clear_scenarios()
    new = [voice["voice_id"] for voice in designed.json()["data"]["voices"] if voice["type"] == "private"]
    assert len(new) == 1
    assert theirs not in new, "another tenant's clone is known for its own"
    assert await private(narrow) == new
    clock.advance(timedelta(minutes=1))
    assert (await narrow.post(SPEECH, json=SAY | {"voice_id": new[0]})).status_code == 200
    assert (await narrow.post(DESIGN, json=body, headers=key)).content == designed.content


async def test_while_heygen_cannot_be_asked_no_design_gives_away_what_the_account_cloned(
    narrow: httpx.AsyncClient, clock: ManualClock, simulator: Simulator, heygen_url: str
) -> None:
    async with at_heygen(heygen_url) as direct:
        accounts_own = await clone(direct, "The account's")
    clock.advance(timedelta(minutes=1))
    simulator.set_scenario("outage", method="GET", path="/v3/voices/")
    with capture_logs() as lines:
        designed = await narrow.post(DESIGN, json={"prompt": "[[design_new]] Warm."})
    simulator.clear_scenarios()
    assert accounts_own not in [voice["voice_id"] for voice in designed.json()["data"]["voices"]]
    assert await private(narrow) == []
    told = {line["voice_id"] for line in lines if line["event"] == "design_not_attributed"}
    assert accounts_own in told
    assert len(told) == 2, "the operator can grant the other one"


async def test_new_fields_of_heygens_are_passed_on_where_the_operator_says_so(
    context: Context, account: Account, simulator: Simulator
) -> None:
    forwarding = replace(context, terms=replace(context.terms, forward_fields=frozenset({"pitch"})))
    async with serving(forwarding) as served, caller(served, account, "forwarding") as api:
        refused = await api.post(SPEECH, json=SAY | {"pitch": 1})
    assert error_of(refused) == (400, "invalid_parameter", "pitch")
    assert len(simulator.requests("POST", SPEECH)) == 1, "it was HeyGen that refused it"
