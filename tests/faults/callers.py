"""Callers who want their videos: they repeat what got no clear answer, and write down what they were told."""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from itertools import count
from random import Random
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from tests.api.callers import PORTRAIT, VIDEO
from tests.faults.records import SPEAK, Ask, Secret, Webhook, rotated
from tests.services import Receiver

AT_ONCE, SPEAKERS = 6, 3
MOST_OPEN = 40  # accepted and not yet told of by webhook: more would only wait
PATIENCE = 0.02  # seconds between two tries
ROUND = 40  # of so many asks one is for a look, one for a new secret
# At which of them the endpoint is turned: what is owed in between waits for it.
TURNS = {4: "disabled", 12: "enabled"}
BATCH_EVERY = 10
ENDPOINTS = "/v3/webhooks/endpoints"
SPEECH_PAUSE = 0.2  # seconds
SPEECH = {"text": "Hello.", "voice_id": VIDEO["voice_id"]}


class Callers:
    """Six callers of one tenant, and three who want speech, busy until they are stopped or have what they want.

    Each names `hook`, whose webhooks the secret signs; they register one endpoint before anything else.
    """

    def __init__(
        self,
        api: httpx.AsyncClient,
        tenant_id: str,
        hook: Secret,
        random: Random,
        now: Callable[[], datetime],
    ) -> None:
        self.secrets = [hook]
        self.asks: list[Ask] = []
        self.outcomes: Counter[str] = Counter()
        self.faulty = 0.03  # the share of webhooks that is answered 500
        self._api = api
        self._tenant_id = tenant_id
        self._hook = hook.url
        self._registered = f"{hook.url}/registered"
        self._endpoint = ""
        self._now = now
        self._random = random
        self._tasks: list[asyncio.Task[None]] = []
        self._made = 0
        self._wanted = 0
        self._accepted: list[str] = []
        self._told: set[str] = set()
        self._looked_at = 0
        self._stopping = False
        self._speeches = count(1)
        self._unclear: list[Ask] = []

    @property
    def accepted(self) -> int:
        """How many things were promised."""
        return len(self._accepted)

    @property
    def spoken(self) -> Counter[str]:
        """How the calls for speech ended: had, or their keys used up."""
        return Counter(ask.outcome for ask in self.asks if ask.operation == SPEAK)

    def start(self, receiver: Receiver, wanted: int = 1_000_000) -> None:
        """Begin to ask for that many things."""
        self._wanted = wanted
        rolls = range(200_000)
        receiver.statuses[:] = [500 if self._random.random() < self.faulty else 200 for _ in rolls]
        self._tasks = [asyncio.create_task(self._live(receiver))]

    async def done(self) -> None:
        """Wait until everything wanted was promised."""
        await asyncio.gather(*self._tasks)

    async def stop(self) -> None:
        """Ask for nothing new; what is under way is repeated until it is answered clearly."""
        self._stopping = True
        await asyncio.gather(*self._tasks)

    async def give_up(self) -> None:
        """Ask no more, whatever is still open."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def webhooks(self, receiver: Receiver) -> list[Webhook]:
        """What the receiver got; it answered in the order in which they came."""
        return [
            Webhook.got(
                urljoin(self._hook, path),
                headers,
                body,
                receiver.answered[number] if number < len(receiver.answered) else None,
            )
            for number, (path, (headers, body)) in enumerate(
                zip(receiver.paths, receiver.requests, strict=True)
            )
        ]

    async def _live(self, receiver: Receiver) -> None:
        await self._create(0)
        async with asyncio.TaskGroup() as tasks:
            speaking = [tasks.create_task(self._speak()) for _ in range(SPEAKERS)]
            async with asyncio.TaskGroup() as wanting:
                for _ in range(AT_ONCE):
                    wanting.create_task(self._want(receiver))
            for task in speaking:
                task.cancel()
        await self._turn("enabled")

    async def _speak(self) -> None:
        """Ask for speech, one at a time: a new one, or one that got no clear answer, until its key is used up."""
        unclear = self._unclear
        while True:
            again = unclear and self._random.random() < 0.5
            ask = unclear.pop(self._random.randrange(len(unclear))) if again else self._speech()
            # Whoever was at it may have died: that is known once its time is over.
            outcome, told = await self._ask(SPEAK.removeprefix("POST "), SPEECH, str(ask.key))
            if outcome == "unknown" or told.get("code") == "request_in_progress":
                unclear.append(ask)
            else:
                self.asks.append(replace(ask, outcome=outcome, job_id="speech"))
            await asyncio.sleep(SPEECH_PAUSE)

    def _speech(self) -> Ask:
        ask = Ask(self._tenant_id, SPEAK, f"speech-{next(self._speeches)}", _sha256(SPEECH), "unknown")
        self.asks.append(ask)
        return ask

    async def _want(self, receiver: Receiver) -> None:
        while not self._stopping and self._made < self._wanted:
            if self.accepted - self._told_of(receiver) >= MOST_OPEN:
                await asyncio.sleep(PATIENCE)
                continue
            self._made += 1
            number = self._made
            if status := TURNS.get(number % ROUND):
                await self._turn(status)
            made = await self._create(number)
            if made is not None:
                self._accepted.append(made)
                if self._random.random() < 0.1:
                    await self._delete(self._random.choice(self._accepted))

    def _told_of(self, receiver: Receiver) -> int:
        """How many of them a webhook has come for."""
        new, self._looked_at = slice(self._looked_at, None), len(receiver.requests)
        hook = urlsplit(self._hook).path
        pairs = zip(receiver.paths[new], receiver.requests[new], strict=True)
        self._told.update(headers["webhook-id"] for path, (headers, _) in pairs if path == hook)
        return len(self._told)

    async def _create(self, number: int) -> str | None:
        """Ask until there is a clear answer; None where it is a refusal, or nothing will be told to the hook."""
        key = f"ask-{number}"
        path, body = self._wish(number)
        sha = _sha256(body)
        while True:
            outcome, told = await self._ask(path, body, key)
            self.outcomes[outcome] += 1
            made = told.get("video_id") or told.get("batch_id") or told.get("endpoint_id")
            made = made or told.get("avatar_item", {}).get("id")
            items = tuple(item["video_id"] for item in told.get("items", ()))
            self.asks.append(
                Ask(self._tenant_id, f"POST {path}", key, sha, outcome, made, body.get("callback_id"), items)
            )
            if "secret" in told:
                self.secrets = rotated(self.secrets, self._registered, told["secret"], self._now())
                self._endpoint = f"{ENDPOINTS}/{made}"
            if outcome != "unknown":
                return made if "callback_url" in body else None
            await asyncio.sleep(PATIENCE)

    def _wish(self, number: int) -> tuple[str, dict[str, Any]]:
        if number == 0:
            return ENDPOINTS, {"url": self._registered}
        if number % ROUND == 3:
            return f"{self._endpoint}/rotate-secret", {}
        if number % ROUND == 1:
            return "/v3/avatars", {"type": "photo", "name": f"Look {number}", "file": PORTRAIT} | {
                "greenroom": {"reuse": False}
            }
        named = {"title": f"Video {number}", "callback_id": f"ask-{number}", "callback_url": self._hook}
        if number % BATCH_EVERY == 2:
            return "/v3/videos/batches", {"videos": [VIDEO, VIDEO]} | named
        return "/v3/videos", VIDEO | named

    async def _ask(self, path: str, body: Mapping[str, Any], key: str) -> tuple[str, dict[str, Any]]:
        """The outcome, and what was answered: the data where it was accepted, the error where it was refused."""
        try:
            answer = await self._api.post(path, json=body, headers={"Idempotency-Key": key})
        except httpx.HTTPError:
            return "unknown", {}
        if answer.status_code >= 500 or answer.status_code == 429:
            return "unknown", {}
        if answer.status_code != 200:
            return "refused", dict(answer.json()["error"])
        return "accepted", dict(answer.json()["data"])

    async def _turn(self, status: str) -> None:
        """Have the endpoint enabled or disabled."""
        while True:
            with suppress(httpx.HTTPError):
                if (await self._api.patch(self._endpoint, json={"status": status})).is_success:
                    return
            await asyncio.sleep(PATIENCE)

    async def _delete(self, job_id: str) -> None:
        # Once: whether it is gone then is nobody's promise, as nothing was answered.
        with suppress(httpx.HTTPError):
            await self._api.delete(f"/v3/videos/{job_id}")


def _sha256(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
