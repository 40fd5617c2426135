"""Files that HeyGen alone may know, named by who sees the whole account: looked up before anything is stored."""

from typing import Any

import httpx
import pytest

from app.context import Context
from app.models import Account, Asset, Batch, Job
from app.simulator.app import Simulator
from tests.api.callers import LOOK, VIDEO, VOICE, at_heygen, caller, error_of
from tests.api.photos import picture, uploaded
from tests.api.test_avatars import rows

NOWHERE = "0" * 32
FILE = {"type": "asset_id", "asset_id": NOWHERE}
SILENT = {key: value for key, value in VIDEO.items() if key not in {"script", "voice_id"}}
SPOKEN = {"voice_id": VOICE, "script": "Hello there."}
VIDEOS: list[tuple[dict[str, Any], str]] = [
    (SILENT | {"audio_asset_id": NOWHERE}, "audio_asset_id"),
    (VIDEO | {"background": {"type": "image", "asset_id": NOWHERE}}, "background.asset_id"),
    (VIDEO | {"watermark": {"image": FILE}}, "watermark.image.asset_id"),
    ({"type": "image", "image": FILE} | SPOKEN, "image.asset_id"),
    ({"type": "avatar", "image_asset_id": NOWHERE} | SPOKEN, "image_asset_id"),
    (
        {"type": "cinematic_avatar", "avatar_id": [LOOK], "prompt": "Hi.", "references": [FILE]},
        "references.0.asset_id",
    ),
    ({"type": "studio", "scenes": [{"type": "video", "source": FILE}]}, "scenes.0.source.asset_id"),
    (
        {"type": "studio", "scenes": [{"type": "image", "source": FILE, "duration": 2}]},
        "scenes.0.source.asset_id",
    ),
]
AVATARS: list[tuple[dict[str, Any], str]] = [
    ({"type": "photo", "file": FILE}, "file.asset_id"),
    ({"type": "digital_twin", "file": FILE}, "file.asset_id"),
    ({"type": "prompt", "prompt": "A pilot.", "reference_images": [FILE]}, "reference_images.0.asset_id"),
]
MISSING = (404, "asset_not_found")


def looked_up(simulator: Simulator) -> list[str]:
    """The assets that HeyGen was asked about."""
    return [request.path.removeprefix("/v3/assets/") for request in simulator.requests("GET", "/v3/assets/")]


@pytest.mark.parametrize("wide", [True, False])
async def test_a_file_that_nobody_has_is_named_wherever_it_stands_and_nothing_is_stored(
    api: httpx.AsyncClient, served: Context, account: Account, simulator: Simulator, wide: bool
) -> None:
    async with caller(served, account, "other", account_wide=wide) as other:
        for body, param in VIDEOS:
            assert error_of(await other.post("/v3/videos", json=body)) == (*MISSING, param)
        for body, param in AVATARS:
            answer = await other.post("/v3/avatars", json=body | {"name": "Sarah"})
            assert error_of(answer) == (*MISSING, param)
            assert answer.json()["error"]["message"] == f"Asset {NOWHERE} not found"
        answer = await other.post("/v3/videos/batches", json={"videos": [body for body, _ in VIDEOS]})
        assert answer.status_code == 400
        assert [(it["path"], it["code"]) for it in answer.json()["error"]["errors"]] == [
            (f"videos.{index}.{param}", "asset_not_found") for index, (_, param) in enumerate(VIDEOS)
        ]
    assert await rows(served, Job, Batch, Asset) == [0, 0, 0]
    assert looked_up(simulator) == ([NOWHERE] if wide else []), "asked once for all of them, or not at all"


async def test_a_file_of_heygens_is_passed_on_and_one_of_ours_is_not_asked_about(
    api: httpx.AsyncClient, heygen_url: str, simulator: Simulator
) -> None:
    async with at_heygen(heygen_url) as direct:
        theirs = await uploaded(direct)
    ours = await uploaded(api, picture(color="red"))
    for asset_id in (theirs, ours):
        named = VIDEO | {"background": {"type": "image", "asset_id": asset_id}}
        assert (await api.post("/v3/videos", json=named)).status_code == 200
    images = [FILE | {"asset_id": it} for it in (theirs, ours)]
    prompt = {"type": "prompt", "name": "Ann", "prompt": "A pilot.", "reference_images": images}
    assert (await api.post("/v3/avatars", json=prompt)).status_code == 200
    missing = [*images[:1], FILE, FILE | {"asset_id": "1" * 32}]
    answer = await api.post("/v3/avatars", json=prompt | {"reference_images": missing})
    assert error_of(answer) == (*MISSING, "reference_images.1.asset_id")
    assert sorted(looked_up(simulator)) == sorted([theirs, NOWHERE, "1" * 32])


@pytest.mark.parametrize("trouble", ["outage", "unauthorized"])
async def test_what_heygen_cannot_tell_now_keeps_no_order_out(
    api: httpx.AsyncClient, simulator: Simulator, trouble: str
) -> None:
    simulator.set_scenario(trouble)
    for number, (body, _) in enumerate(VIDEOS):
        # From the second on the account's gate may be shut: not asked at all is no answer either.
        assert (await api.post("/v3/videos", json=body)).status_code == 200, number
    for body, _ in AVATARS:
        answer = await api.post("/v3/avatars", json=body | {"name": "Sarah"})
        assert answer.status_code == 200, answer.text
