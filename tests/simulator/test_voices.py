"""Voices that are made: designs, clones, and speech with them."""

from __future__ import annotations

import io
import wave

from app.simulator.app import Simulator
from tests.simulator.conftest import Api, Clock
from tests.simulator.scenes import shows


def recording() -> bytes:
    """A second of silence."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16_000)
        sound.writeframes(bytes(32_000))
    return file.getvalue()


async def clone(api: Api, name: str) -> str:
    audio = {"type": "asset_id", "asset_id": await api.upload(recording())}
    answer = await api.call("POST", "/v3/voices/clone", json={"voice_name": name, "audio": audio})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["voice_clone_id"])


@shows("clone_fails")
async def test_a_clone_that_fails_says_why_and_speaks_never(
    api: Api, simulator: Simulator, clock: Clock
) -> None:
    simulator.set_scenario("clone_fails", times=1, message="Only noise.")
    failed, made = await clone(api, "Ada"), await clone(api, "Bruno")
    assert (await api.data(f"/v3/voices/{failed}"))["status"] == "processing"
    clock.advance(60)
    voice = await api.data(f"/v3/voices/{failed}")
    assert (voice["status"], voice["failure_message"]) == ("failed", "Only noise.")
    assert (await api.data(f"/v3/voices/{made}"))["status"] == "complete"
    words = {"text": "Hello.", "voice_id": failed}
    assert (await api.call("POST", "/v3/voices/speech", json=words)).status_code == 400
    assert (await api.call("POST", "/v3/voices/speech", json=words | {"voice_id": made})).status_code == 200


@shows("design_new")
async def test_a_design_finds_voices_and_may_make_one(api: Api) -> None:
    designed = await api.call("POST", "/v3/voices", json={"prompt": "Warm."})
    assert {voice["type"] for voice in designed.json()["data"]["voices"]} == {"public"}
    designed = await api.call("POST", "/v3/voices", json={"prompt": "[[design_new]] Warm."})
    kinds = [voice["type"] for voice in designed.json()["data"]["voices"]]
    assert (len(kinds), kinds.count("private")) == (3, 1)
