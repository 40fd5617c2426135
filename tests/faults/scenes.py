"""What callers want of the service while faults strike it: one scene for each way a job can go."""

import hashlib
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
from uuid_utils.compat import uuid7

from app.api.paid_calls import gone_after
from app.models import Asset, Tenant
from app.tenancy import create_key, create_tenant
from tests.api.callers import PHOTO
from tests.factories import LOOK, VOICE, make_account, make_endpoint, queue_job, queue_look
from tests.faults import sources
from tests.faults.injection import Shot
from tests.faults.records import SPEAK, Ask, Secret
from tests.faults.stage import SLOTS, Stage
from tests.services import TLS

SCENES = (
    "speech",
    "plain",
    "look",
    "canceled",
    "deleted",
    "dropped",
    "doubtful",
    "found",
    "lost",
    "late",
    "batch",
)
VIDEO = {"type": "avatar", "avatar_id": LOOK, "voice_id": VOICE, "script": "Hello."}
SPEECH = {"text": "Hello.", "voice_id": VOICE}
SCRIPTS = {
    "doubtful": "[[drop_after_accept]] Hello.",  # billed, and the answer is lost
    # Billed, called back about, and only then the answer is lost.
    "found": "[[callback_before_answer]] [[drop_after_accept]] Hello.",
    "lost": "[[unavailable_before_accept: 99]] Hello.",  # never billed, and never a clear answer
}
NEEDED = {
    "paid.held": "speech",
    "paid.called": "speech",
    "withdraw.stored": "canceled",
    "submit.uploaded": "look",
    "submit.prepared": "look",
    "unsure.claimed": "doubtful",
    "unsure.intended": "doubtful",
    "unsure.sent": "doubtful",
    "unsure.recorded": "doubtful",
    "unsure.searched": "lost",
    "unsure.accepted": "found",
    "tidy.claimed": "deleted",
    "tidy.asked": "late",
    "tidy.deleted": "deleted",
    "tidy.recorded": "deleted",
    "sweep.read": "late",
    "sweep.recorded": "late",
}
"""The scene that reaches a point, where a plain video does not."""
ENDS = {
    "plain": {"completed"},
    "look": {"completed"},
    "doubtful": {"completed"},
    "found": {"completed"},
    "canceled": {"canceled", "completed"},  # a fault may keep the caller until it is done
    "deleted": {"canceled", "completed"},
    "dropped": {"canceled", "completed"},  # a look that is deleted
    "lost": {"failed"},
    "late": {"failed", "completed"},
    "batch": {"completed"},
}
"""How the job of a scene may end, whatever strikes: nothing strikes so long that a deadline is an excuse."""
WITHDRAWN = ("canceled", "deleted", "dropped")
"""The scenes that a caller ends: each of them alone reaches `withdraw.stored`."""
BATCH_MOMENTS = (("accept.stored", 1), ("poll.asked", 2), ("poll.recorded", 1), ("deliver.posted", 3))
"""Points, and the time at which each is a batch's: stored, one item ended, both ended, its end told to the endpoint."""


def scenes_of(points: Iterable[str]) -> tuple[str, ...]:
    """The fewest scenes that reach these points."""
    needed = {NEEDED.get(point, "plain") for point in points}
    return tuple(scene for scene in SCENES if scene in needed)


async def play(
    stage: Stage, shots: Sequence[Shot], scenes: Sequence[str] = SCENES, slots: int = SLOTS
) -> list[str]:
    """One run from empty tables to rest; the promises it broke. What met nothing so far gets a second wave."""
    await stage.clear()
    stage.slots = slots
    account = await make_account(stage.database, stage.clock.now(), concurrency=slots)
    async with stage.database.begin() as session:
        now = stage.clock.now()
        tenant, secret = await create_tenant(
            session, "acme", account.id, account_wide=True, secrets=stage.secrets, now=now
        )
        key = await create_key(session, tenant.id, "tests", now)
    stage.told_secrets = [Secret(stage.hook_url, secret)]
    if "batch" in scenes:
        _, secret = await make_endpoint(stage.database, stage.secrets, tenant, now, url=stage.endpoint_url)
        stage.told_secrets.append(Secret(stage.endpoint_url, secret))
    await stage.start(account, shots)
    async with httpx.AsyncClient(
        base_url=stage.front_url, headers={"x-api-key": key}, verify=TLS, timeout=30
    ) as api:
        began = [await _wave(stage, Caller(stage, tenant, api), scenes)]
        if stage.unmet:
            began.append(await _wave(stage, Caller(stage, tenant, api), scenes))
    return await stage.judge() + await _ends(stage, began)


async def _ends(stage: Stage, began: Sequence[dict[str, list[str]]]) -> list[str]:
    """The jobs that ended otherwise than their scenes may."""
    statuses = {job.id: job.status for job in (await sources.read_tables(stage.database)).jobs}
    jobs = [
        (scene, statuses.get(job_id, "lost"))
        for wave in began
        for scene, ids in wave.items()
        for job_id in ids
    ]
    return [
        f"job ended otherwise: {scene} is {status}" for scene, status in jobs if status not in ENDS[scene]
    ]


async def _wave(stage: Stage, caller: "Caller", scenes: Sequence[str]) -> dict[str, list[str]]:
    """Every scene once, to its end; the jobs' ids."""
    ids = {scene: await caller.begin(scene) for scene in scenes}
    await stage.work()
    if "canceled" in ids:
        await caller.insist("POST", f"/v3/videos/{ids['canceled'][0]}/cancel")
    if "deleted" in ids:
        await caller.insist("DELETE", f"/v3/videos/{ids['deleted'][0]}")
    if "dropped" in ids:
        await caller.insist("DELETE", f"/v3/avatars/looks/{ids['dropped'][0]}")
    await stage.settle()
    return ids


class Caller:
    """Asks as a careful client does: under a key, again until it is answered."""

    def __init__(self, stage: Stage, tenant: Tenant, api: httpx.AsyncClient) -> None:
        self._stage = stage
        self._tenant = tenant
        self._api = api

    async def begin(self, scene: str) -> list[str]:
        """Ask for what the scene is about; the jobs' ids."""
        if scene == "speech":
            return await self._speech()
        if scene == "look":
            look_id = await self._look()
            return await self._ask("/v3/videos", VIDEO | {"avatar_id": look_id})
        if scene == "dropped":
            return [await self._look()]
        if scene == "late":
            return await self._late()
        told = {"callback_url": self._stage.hook_url}
        if scene == "batch":
            return await self._ask("/v3/videos/batches", {"videos": [VIDEO, VIDEO]} | told)
        more = told if scene in {"plain", "canceled"} else {}
        return await self._ask("/v3/videos", VIDEO | {"script": SCRIPTS.get(scene, "Hello.")} | more)

    async def insist(self, method: str, path: str, **values: Any) -> httpx.Response:
        """Ask until there is an answer."""
        while (answer := await self._api.request(method, path, **values)).status_code >= 500:
            await self._stage.survive()
        await self._stage.survive()
        # A fault may have taken so long that there is nothing left to cancel.
        assert answer.status_code in {200, 409}, answer.text
        return answer

    async def _ask(self, path: str, body: dict[str, Any]) -> list[str]:
        key = uuid7().hex
        content = json.dumps(body | {"callback_id": key}).encode()
        sha256 = hashlib.sha256(content).hexdigest()
        ask = Ask(self._tenant.id, f"POST {path}", key, sha256, "unknown", callback_id=key)
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        while True:
            answer = await self._api.post(path, content=content, headers=headers)
            await self._stage.survive()
            if answer.status_code < 500:
                break
            self._stage.asks.append(ask)
        assert answer.status_code == 200, answer.text
        made = answer.json()["data"]
        items = tuple(str(item["video_id"]) for item in made.get("items", []))
        made_id = str(made.get("batch_id") or made["video_id"])
        self._stage.asks.append(replace(ask, outcome="accepted", job_id=made_id, items=items))
        return list(items) or [made_id]

    async def _speech(self) -> list[str]:
        """Speech, asked for until it is had or its key is used up; no job stands for it."""
        key = uuid7().hex
        ask = Ask(self._tenant.id, SPEAK, key, "one for all", "unknown")
        self._stage.asks.append(ask)
        while True:
            answer = await self._api.post("/v3/voices/speech", json=SPEECH, headers={"Idempotency-Key": key})
            await self._stage.survive()
            if answer.status_code == 200:
                self._stage.asks.append(replace(ask, outcome="accepted", job_id="speech"))
                break
            if answer.status_code == 409:
                if answer.json()["error"]["code"] == "outcome_unknown":
                    break
                # Whoever was at it has died.
                self._stage.clock.advance(gone_after(self._stage.context))
        return []

    async def _look(self) -> str:
        """A look of a photo that HeyGen has not got yet."""
        stage, now, asset_id = self._stage, self._stage.clock.now(), uuid7().hex
        content = PHOTO.read_bytes()

        async def pieces() -> AsyncIterator[bytes]:
            yield content

        await stage.context.storage.put(f"assets/{asset_id}", pieces())
        asset = Asset(
            id=asset_id,
            tenant_id=self._tenant.id,
            sha256=uuid7().hex,
            mime="image/png",
            size=len(content),
            filename="portrait.png",
            storage_key=f"assets/{asset_id}",
            created_at=now,
        )
        async with stage.database.begin() as session:
            session.add(asset)
        body = {"type": "photo", "name": "Sarah", "file": {"type": "asset_id", "asset_id": asset_id}}
        asked = {"assets": [[["file", "asset_id"], asset_id]]}
        job = await queue_look(
            stage.database,
            stage.secrets,
            self._tenant,
            now,
            body=body,
            asked=asked,
            callback_url=stage.hook_url,
        )
        return job.id

    async def _late(self) -> list[str]:
        """A video whose deadline comes while HeyGen has it."""
        stage, now = self._stage, self._stage.clock.now()
        deadline_at = now + timedelta(seconds=6)
        job = await queue_job(stage.database, stage.secrets, self._tenant, now, deadline_at=deadline_at)
        return [job.id]
