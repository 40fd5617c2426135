"""`GET /v3/videos` and `GET /v3/videos/statuses`: many videos at once."""

from typing import Any

import httpx
import pytest

from app.api.video_reads import SEARCHED_AT_ONCE
from app.context import Context
from app.models import Account, Job
from tests.api.callers import caller, create_video, error_of, render
from tests.clocks import ManualClock
from tests.statements import recording
from tests.worker.test_plans import OPEN, copy, numbered

CREATE = "/v3/videos"


async def titles(api: httpx.AsyncClient, **query: Any) -> list[str]:
    """Those of every page, in order."""
    found, token = [], None
    while True:
        answer = (await api.get(CREATE, params=query | ({"token": token} if token else {}))).json()
        found += [video["title"] for video in answer["data"]]
        if (token := answer["next_token"]) is None:
            return found


async def test_the_list_is_newest_first_and_paged_and_filtered(
    served: Context, account: Account, clock: ManualClock
) -> None:
    async with caller(served, account, "lister") as api:
        titles = ("100% Łódź", "No. 1 100%", "No. 2 100%", "No. 3 100%", "No. 4 100%")
        folders = ("", "f1", None, "f1", None)
        ids = [
            await create_video(api, title=title, folder_id=folder)
            for title, folder in zip(titles, folders, strict=True)
        ]

        async def listed(**query: Any) -> list[str]:
            answer = (await api.get(CREATE, params=query)).json()
            assert (answer["has_more"], answer["next_token"]) == (False, None)
            return [video["id"] for video in answer["data"]]

        newest = ids[::-1]
        assert await listed() == newest
        assert await listed(title="no. 3") == [ids[3]]
        assert await listed(title="0%") == newest
        assert await listed(title="0_") == []
        assert await listed(title="ŁÓD") == [ids[0]]
        assert await listed(folder_id="f1") == [ids[3], ids[1]]
        assert await listed(folder_id="") == [ids[4], ids[2], ids[0]]

        seen, token = [], None
        for expected in (2, 2, 1):
            query = {"limit": "2"} | ({"token": token} if token else {})
            page = (await api.get(CREATE, params=query)).json()
            assert len(page["data"]) == expected
            seen += [video["id"] for video in page["data"]]
            token = page["next_token"]
            assert page["has_more"] == (token is not None)
        assert (seen, token) == (newest, None)


@pytest.mark.parametrize(
    "count", [SEARCHED_AT_ONCE - 1, 2 * SEARCHED_AT_ONCE + 2]
)  # with the newest: a portion
async def test_a_search_misses_nothing_however_many_videos_it_reads_in_portions(
    count: int, served: Context, account: Account
) -> None:
    async with caller(served, account, "searcher") as api:
        assert await titles(api, title="50") == []
        newest = await create_video(api, title="50 years")
        older = OPEN | {"status": "queued", "title": numbered("t"), "folder_id": "attic"}
        async with served.database.begin() as session:
            await copy(session, Job, 1, count, **older)
        named = [f"t{10_000_000 + number}" for number in range(count, 0, -1)]
        with recording(served.database) as statements:
            found = await titles(api, title="50", limit=20)
        assert found == ["50 years", *(title for title in named if "50" in title)]
        portions = [it for it in statements if it.finds_rows and "min(" in it.sql]
        assert len(portions) > len(named) // SEARCHED_AT_ONCE, "others have their turn in between"
        assert await titles(api, title=named[-1]) == [named[-1]], "the very first"
        assert await titles(api, title="51 years") == []
        assert await titles(api, folder_id="attic", limit=100) == named
        assert newest == (await api.get(CREATE, params={"folder_id": ""})).json()["data"][0]["id"]


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_limits_and_cursors_are_checked(
    api: httpx.AsyncClient, served: Context, account: Account
) -> None:
    for limit in ("0", "-1", "101", "1000000000", "ten", "", "1.5", "١"):
        answer = await api.get(CREATE, params={"limit": limit})
        assert error_of(answer) == (400, "invalid_parameter", "limit"), limit
        assert answer.json()["error"]["message"] == "'limit' must be between 1 and 100."
    for _ in range(2):
        await create_video(api)
    token = (await api.get(CREATE, params={"limit": 1})).json()["next_token"]
    assert (await api.get(CREATE, params={"limit": 1, "token": token})).status_code == 200
    async with caller(served, account, "other", account_wide=True) as other:
        forged = ["x", "AAAA", token[:-2], ("B" if token[0] == "A" else "A") + token[1:], "ü"]
        answers = [await api.get(CREATE, params={"token": wrong}) for wrong in forged]
        answers.append(await other.get(CREATE, params={"token": token}))
    for answer in answers:
        assert error_of(answer) == (400, "invalid_parameter", "token")


async def test_statuses_answer_for_each_id_in_the_words_of_bulk_answers(
    served: Context, account: Account, api: httpx.AsyncClient, clock: ManualClock
) -> None:
    done = await create_video(api)
    await render(served, clock)
    canceled, deleted, queued = [await create_video(api) for _ in range(3)]
    await api.post(f"/v3/videos/{canceled}/cancel")
    await api.delete(f"/v3/videos/{deleted}")
    async with caller(served, account, "other") as other:
        foreign = await create_video(other)
    ids = [queued, done, "unknown", canceled, deleted, foreign]
    answer = (await api.get(f"/v3/videos/statuses?video_ids={','.join(ids)}&video_ids={queued}")).json()
    entries = [(entry["video_id"], entry["status"]) for entry in answer["data"]]
    words = ["queued", "completed", "not_found", "failed", "not_found", "not_found"]
    assert entries == list(zip(ids, words, strict=True))
    assert {(entry["batch_id"], entry["item_index"]) for entry in answer["data"]} == {(None, None)}
    assert answer["data"][3]["error"]["code"] == "canceled"
    for query in ("", "?video_ids=", "?video_ids=" + ",".join(str(n) for n in range(101))):
        refused = await api.get(f"/v3/videos/statuses{query}")
        assert error_of(refused) == (400, "invalid_parameter", "video_ids")
