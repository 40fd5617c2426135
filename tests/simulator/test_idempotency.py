"""`Idempotency-Key` as HeyGen keeps it."""

from __future__ import annotations

import asyncio

import pytest

from app.simulator.app import Simulator
from tests.simulator.conftest import Api, Clock, picture


async def test_the_first_answer_is_replayed_even_for_another_body(api: Api, simulator: Simulator) -> None:
    first = await api.create_video("One.", key="k")
    again = await api.create_video("Quite another thing.", key="k")
    assert again.content == first.content
    assert len(simulator.ledger()) == 1


async def test_without_a_key_every_request_is_another_render(api: Api, simulator: Simulator) -> None:
    assert await api.video() != await api.video()
    assert len(simulator.ledger()) == 2


async def test_a_key_is_forgotten_after_24_hours(api: Api, simulator: Simulator, clock: Clock) -> None:
    first = await api.video(key="k")
    clock.advance(24 * 3600 - 1)
    assert await api.video(key="k") == first
    clock.advance(1)
    assert await api.video(key="k") != first
    assert len(simulator.ledger()) == 2


async def test_a_key_means_something_else_on_another_path(api: Api, simulator: Simulator) -> None:
    await api.video(key="k")
    await api.look(key="k")
    uploads = [
        await api.call("POST", "/v3/assets", "k", files={"file": ("a", picture(width))}) for width in (10, 20)
    ]
    assert uploads[0].json() == uploads[1].json()
    assert [row.kind for row in simulator.ledger()] == ["video", "look"]


async def test_simultaneous_requests_of_one_key_make_one_render(api: Api, simulator: Simulator) -> None:
    answers = await asyncio.gather(*(api.create_video(key="k") for _ in range(20)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len({answer.content for answer in answers if answer.status_code == 200}) == 1
    assert len(simulator.ledger()) == 1


@pytest.mark.parametrize("key", ["", "a b", "a/b", "ä".encode().decode("latin-1"), "x" * 256])
async def test_a_blank_or_ill_formed_key_is_refused(api: Api, simulator: Simulator, key: str) -> None:
    refused = await api.call(
        "POST", "/v3/videos", headers={b"Idempotency-Key": key.encode("latin-1")}, json={}
    )
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "Idempotency-Key")
    assert simulator.ledger() == []


async def test_the_longest_key_is_accepted(api: Api) -> None:
    assert (await api.create_video(key="aZ9_-:." * 36 + "abc")).status_code == 200


async def test_a_refusal_for_want_of_places_does_not_use_up_a_key(
    api: Api, simulator: Simulator, clock: Clock
) -> None:
    for _ in range(10):
        await api.video()
    assert (await api.create_video(key="k")).status_code == 429
    clock.advance(8)
    assert (await api.create_video(key="k")).status_code == 200
    assert len(simulator.ledger()) == 11
