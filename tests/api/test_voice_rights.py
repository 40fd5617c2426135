"""Whose a private voice is: who had it made, whatever it looks like at HeyGen."""

import httpx

from app.context import Context
from app.models import Account
from tests.api.callers import VIDEO, caller, error_of
from tests.api.test_voice_making import DESIGN, SAY, SPEECH, private


async def test_a_voice_that_was_designed_is_its_tenants_alone(
    api: httpx.AsyncClient, served: Context, account: Account
) -> None:
    async with caller(served, account, "narrow") as narrow, caller(served, account, "third") as third:
        found = (await narrow.post(DESIGN, json={"prompt": "[[design_new]] Warm."})).json()["data"]["voices"]
        [voice_id] = [voice["voice_id"] for voice in found if voice["type"] == "private"]
        for stranger in (api, third):
            assert await private(stranger) == []
            for answer in (
                await stranger.get(f"/v3/voices/{voice_id}"),
                await stranger.post(SPEECH, json=SAY | {"voice_id": voice_id}),
                await stranger.post("/v3/videos", json=VIDEO | {"voice_id": voice_id}),
                await stranger.delete(f"/v3/voices/{voice_id}"),
            ):
                assert error_of(answer)[:2] == (404, "voice_not_found"), answer.request.url
        assert await private(narrow) == [voice_id]
        assert (await narrow.get(f"/v3/voices/{voice_id}")).status_code == 200
        assert (await narrow.post("/v3/videos", json=VIDEO | {"voice_id": voice_id})).status_code == 200
        assert (await narrow.delete(f"/v3/voices/{voice_id}")).status_code == 200
