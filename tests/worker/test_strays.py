"""Files that a crash left without a row are removed in time; no other file ever is."""

import os
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
from sqlalchemy import select
from sqlmodel import col

from app.models import Asset, Tenant, Upload
from app.worker.prune import KEYS_KEPT, prune
from app.worker.strays import FILES_A_STEP, Sweep
from tests.api.callers import PHOTO, VOICE, caller, fetch, read_video
from tests.api.photos import picture, uploaded
from tests.worker.conftest import Bench

OLD = timedelta(days=1, seconds=1)
YOUNG = timedelta(hours=23)


async def lay(bench: Bench, key: str, age: timedelta = OLD) -> str:
    """A file in the storage, written so long ago."""

    async def bytes_of_it() -> AsyncIterator[bytes]:
        yield b"left behind"

    await bench.context.storage.put(key, bytes_of_it())
    written_long_ago(bench, key, age)
    return key


def written_long_ago(bench: Bench, key: str, age: timedelta = OLD) -> None:
    written = (bench.clock.now() - age).timestamp()
    os.utime(bench.context.storage.path(key), (written, written))


async def there(bench: Bench, key: str) -> bool:
    return await bench.context.storage.size(key) is not None


async def sweep_all(bench: Bench) -> None:
    sweep = Sweep(bench.context)
    while await sweep.step():
        pass


async def test_an_upload_whose_process_died_before_its_row_is_removed_after_a_day(bench: Bench) -> None:
    folder = f"assets/{bench.tenant.id}"
    stray = await lay(bench, f"{folder}/stray")
    perhaps_under_way = await lay(bench, f"{folder}/young", YOUNG)
    await sweep_all(bench)
    assert not await there(bench, stray)
    assert await there(bench, perhaps_under_way)
    bench.clock.advance(timedelta(hours=2))
    await sweep_all(bench)
    assert not await there(bench, perhaps_under_way)


async def test_an_upload_that_nobody_completed_is_given_up_with_its_bytes_once_no_key_names_it(
    bench: Bench,
) -> None:
    png = PHOTO.read_bytes()
    file = {"filename": "a.png", "content_type": "image/png", "size_bytes": len(png)}
    async with caller(bench.context, await bench.account(), "uploader") as api:

        async def announce(key: str) -> dict[str, Any]:
            once = {"Idempotency-Key": key}
            answer = await api.post("/v3/assets/direct-uploads", json=file, headers=once)
            return dict(answer.json()["data"])

        told = [await announce(key) for key in ("done", "forgotten")]
        for one in told:
            sent = await fetch(one["upload_url"], "PUT", content=png, **one["upload_headers"])
            assert sent.status_code == 200, sent.text
        done, forgotten = (f"/v3/assets/{one['asset_id']}" for one in told)
        assert (await api.post(f"{done}/complete")).status_code == 200
        keys = [found.key for found in await bench.context.storage.walk("assets").next(10)]
        for key in keys:
            written_long_ago(bench, key)
        bench.clock.advance(KEYS_KEPT)
        await sweep_all(bench)
        assert await announce("forgotten") == told[1]
        assert (await api.get(forgotten)).status_code == 409, "it may still be completed"
        assert all([await there(bench, key) for key in keys])
        bench.clock.advance(timedelta(hours=1, seconds=1))
        for key in keys:
            written_long_ago(bench, key)
        await sweep_all(bench)
        await prune(bench.context)
        assert (await announce("forgotten"))["asset_id"] != told[1]["asset_id"]
        assert (await api.post(f"{forgotten}/complete")).status_code == 404
        assert (await api.get(f"{done}/content")).content == png
        assert [await there(bench, key) for key in keys].count(True) == 1


async def test_the_file_of_an_asset_stays_whatever_its_age(bench: Bench) -> None:
    async with caller(bench.context, await bench.account(), "uploader") as api:
        answer = await api.post("/v3/assets", files={"file": PHOTO.read_bytes()})
        asset = answer.json()["data"]
        walk = bench.context.storage.walk("assets")
        (kept,) = [found.key for found in await walk.next(10)]
        written_long_ago(bench, kept, timedelta(days=400))
        await sweep_all(bench)
        assert (await fetch(asset["url"])).content == PHOTO.read_bytes()
        assert (await api.delete(f"/v3/assets/{asset['asset_id']}")).status_code == 200
        await sweep_all(bench)
        assert await there(bench, kept), "a job may still have to send it"


async def test_the_file_of_a_deleted_asset_waits_for_the_last_job_that_may_send_it_and_goes_then(
    bench: Bench, api: httpx.AsyncClient
) -> None:
    async with caller(bench.context, await bench.account(), "narrow") as narrow:
        sent, kept = await uploaded(narrow), await uploaded(narrow, picture(color="red"))
        direct = await uploaded_directly(narrow, picture(color="green"))
        keys = [found.key for found in await bench.context.storage.walk("assets").next(10)]
        deadline = (bench.clock.now() + timedelta(days=7)).isoformat()
        video = {
            "type": "image",
            "image": {"type": "asset_id", "asset_id": sent},
            "script": "Hello.",
            "voice_id": VOICE,
            "greenroom": {"deadline": deadline},
        }
        ordered = await narrow.post("/v3/videos", json=video)
        assert ordered.status_code == 200, ordered.text
        for asset_id in (sent, direct):
            assert (await narrow.delete(f"/v3/assets/{asset_id}")).status_code == 200
        bench.clock.advance(timedelta(days=6, hours=23))  # nobody worked
        await sweep_old(bench, keys)
        assert [await there(bench, key) for key in keys] == [True] * 3
        await bench.settle()
        made = await read_video(narrow, ordered.json()["data"]["video_id"])
        assert (made["status"], (await fetch(made["video_url"])).status_code) == ("completed", 200)
        bench.clock.advance(timedelta(days=1, hours=2))
        await sweep_old(bench, keys)
        assert [key.split("/")[2] for key in keys if await there(bench, key)] == [kept]
        assert (await narrow.get(f"/v3/assets/{kept}/content")).content == picture(color="red")
        assert (await narrow.post(f"/v3/assets/{direct}/complete")).status_code == 404
    async with bench.context.database.begin() as session:
        columns = (col(Asset.filename), col(Upload.filename))
        names = {name for column in columns for name in await session.scalars(select(column))}
    assert names == {"", "portrait.png"}, "a name goes with its file"
    listed = (await api.get("/v3/assets?username=acme")).json()["data"]
    assert listed == [], "HeyGen's copy of a deleted file is nobody else's"


async def sweep_old(bench: Bench, keys: list[str]) -> None:
    """Sweep where all these files are old."""
    for key in keys:
        written_long_ago(bench, key)
    await sweep_all(bench)


async def uploaded_directly(api: httpx.AsyncClient, png: bytes) -> str:
    """The id of a file that was announced, sent to its link, and complete."""
    file = {"filename": "private.png", "content_type": "image/png", "size_bytes": len(png)}
    told = (await api.post("/v3/assets/direct-uploads", json=file)).json()["data"]
    sent = await fetch(told["upload_url"], "PUT", content=png, **told["upload_headers"])
    assert sent.status_code == 200, sent.text
    done = await api.post(f"/v3/assets/{told['asset_id']}/complete")
    assert done.status_code == 200, done.text
    return str(told["asset_id"])


async def test_a_copy_that_an_archiver_could_not_record_is_removed_and_the_recorded_one_stays(
    bench: Bench,
) -> None:
    await bench.queue()
    await bench.settle()
    job = await bench.job()
    copies = [found.key for found in await bench.context.storage.walk("videos").next(10)]
    assert copies
    for key in copies:
        written_long_ago(bench, key, timedelta(days=400))
    stray = await lay(bench, f"videos/{job.id}/video-99")
    await sweep_all(bench)
    assert not await there(bench, stray)
    assert [await there(bench, key) for key in copies] == [True] * len(copies)


async def test_the_copies_of_a_deleted_video_go_with_the_next_walk_and_no_others(
    bench: Bench, api: httpx.AsyncClient
) -> None:
    deleted, kept = await bench.queue(2)
    await bench.settle()
    copies = [found.key for found in await bench.context.storage.walk("videos").next(10)]
    for key in copies:
        written_long_ago(bench, key)
    assert (await api.delete(f"/v3/videos/{deleted.id}")).status_code == 200
    await sweep_all(bench)
    left = [found.key for found in await bench.context.storage.walk("videos").next(10)]
    assert left
    assert sorted(left) == sorted(key for key in copies if key.split("/")[1] == kept.id)
    assert (await api.get(f"/v3/videos/{kept.id}/content")).status_code == 200


async def test_files_of_another_database_and_of_no_form_of_ours_stay(bench: Bench, tenant: Tenant) -> None:
    strangers = [
        await lay(bench, key)
        for key in (
            "assets/another-tenant/a1",
            "videos/another-job/video-1",
            "assets/loose",
            f"assets/{tenant.id}-more/a/b/c",
            f"exports/{tenant.id}/a1",
        )
    ]
    await sweep_all(bench)
    assert [await there(bench, key) for key in strangers] == [True] * len(strangers)


async def test_a_step_looks_at_so_many_files_and_the_next_one_goes_on_from_there(bench: Bench) -> None:
    strays = [await lay(bench, f"assets/{bench.tenant.id}/{number}") for number in range(FILES_A_STEP + 5)]
    sweep = Sweep(bench.context)
    left = []
    for _ in range(2):
        assert await sweep.step()
        left.append(sum([await there(bench, key) for key in strays]))
    assert left == [5, 0]
