"""The network of a simulated world: what goes over it may be refused, late, or lost on either way."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random

import httpx

from app.context import Pace
from app.simulator.app import Simulator
from app.webhooks.destination import GuardedClient
from tests.faults.records import Webhook
from tests.faults.turns import Turns
from tests.no_transaction import refuse

CREATE_FAULTS = ("refused", "request_lost", "answer_lost", "late")
CREATES = {"/v3/videos", "/v3/avatars"}
CREATE_SECONDS, READ_SECONDS = Pace().create_timeout.total_seconds(), 30.0
RECEIVER_SECONDS = 15.0


@dataclass
class Weather:
    """How the network is; the shares are of all creates, or of all other calls."""

    random: Random
    shares: Mapping[str, float]  # of refused, request_lost, answer_lost and late creates; of read_lost others
    away: bool = False  # nothing reaches HeyGen

    def of_create(self) -> str | None:
        """What befalls one create."""
        if self.away:
            return self.random.choice(("refused", "request_lost"))
        shares = [self.shares.get(name, 0.0) for name in CREATE_FAULTS]
        return self.random.choices([*CREATE_FAULTS, None], [*shares, max(0.0, 1 - sum(shares))])[0]

    def loses_read(self) -> bool:
        """Whether one other call is lost."""
        return self.away or self.random.random() < self.shares.get("read_lost", 0.0)


class HeyGenWire(httpx.AsyncBaseTransport):
    """From a replica to simulators, by host. A create that was written arrives even where its sender is gone by then."""

    def __init__(self, simulators: Mapping[str, Simulator], turns: Turns, weather: Weather) -> None:
        self._inner = {host: httpx.ASGITransport(it.app) for host, it in simulators.items()}
        self._turns = turns
        self._weather = weather
        self._turn = asyncio.Lock()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        refuse(request.url)
        if request.method == "POST" and request.url.path in CREATES:
            return await self._create(request)
        if self._weather.loses_read():
            raise httpx.ReadError("lost", request=request)
        await self._turns.stand("wire.asked")
        return await self._exchange(request)

    async def _create(self, request: httpx.Request) -> httpx.Response:
        fault = self._weather.of_create()
        if fault == "refused":
            raise httpx.ConnectError("refused", request=request)
        await request.aread()
        if self._turns.patient:
            answer = None if fault == "request_lost" else await self._exchange(request)
        else:
            answer = await self._sent(request, fault)
        if answer is None or fault == "answer_lost":
            raise httpx.ReadError("lost", request=request)
        return answer

    async def _sent(self, request: httpx.Request, fault: str | None) -> httpx.Response | None:
        """What comes back within the time a create may take, be it nothing; raises ReadTimeout."""
        arriving = self._turns.start("network", self._arrive(request, fault))
        patience = self._turns.start("network", self._turns.wait("wire.patience", CREATE_SECONDS))
        try:
            await asyncio.wait({arriving, patience}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            patience.cancel()
        if not arriving.done():
            raise httpx.ReadTimeout("too late", request=request)
        answer: httpx.Response | None = arriving.result()
        await self._turns.stand("wire.answered")
        return answer

    async def _arrive(self, request: httpx.Request, fault: str | None) -> httpx.Response | None:
        """What HeyGen answers; None where the connection breaks."""
        if fault == "late":
            await self._turns.wait("wire.late", self._weather.random.uniform(0, CREATE_SECONDS * 1.1))
        else:
            await self._turns.wait("wire.sent", 0)
        if fault == "request_lost":
            return None
        try:
            return await self._exchange(request)
        except httpx.ReadError:
            return None

    async def _exchange(self, request: httpx.Request) -> httpx.Response:
        async with self._turn:
            self._turns.exchanging += 1
            try:
                answer = await self._inner[request.url.host].handle_async_request(request)
                content = await answer.aread()
                # Files are read in threads: whoever else is awake comes to rest first, however long that took.
                while self._turns.awake() > 1 and not self._turns.patient:  # noqa: ASYNC110 -- there is no event for that
                    await asyncio.sleep(0)
            except ConnectionResetError:
                raise httpx.ReadError("dropped", request=request) from None
            finally:
                self._turns.exchanging -= 1
        stream = httpx.ByteStream(content)
        return httpx.Response(answer.status_code, headers=answer.headers, stream=stream, request=request)


@dataclass
class Receivers(httpx.AsyncBaseTransport):
    """The endpoints of all callers, by URL; each is up, down, slow, broken or gone."""

    turns: Turns
    states: dict[str, str] = field(default_factory=dict)
    got: list[Webhook] = field(default_factory=list)
    told_gone: set[str] = field(default_factory=set)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        refuse(request.url)
        await self.turns.stand("wire.webhook")
        url, state = str(request.url), self.states.get(str(request.url), "up")
        if state == "down":
            raise httpx.ConnectError("down", request=request)
        status = {"up": 200, "broken": 500, "gone": 410}.get(state)
        if status == 410:
            self.told_gone.add(url)
        body = await request.aread()
        self.got.append(Webhook.got(url, request.headers, body, status))
        if status is None:
            await self.turns.wait("wire.slow", RECEIVER_SECONDS)
            raise httpx.ReadTimeout("slow", request=request)
        return httpx.Response(status, stream=httpx.ByteStream(b""), request=request)


@dataclass
class CallbackWire(httpx.AsyncBaseTransport):
    """From the simulator to whichever replica answers."""

    front: Callable[[], httpx.AsyncBaseTransport | None]
    random: Random
    lost: float = 0.0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        front = self.front()
        if front is None:
            raise httpx.ConnectError("nobody answers", request=request)
        async with self.turn:
            answer = await front.handle_async_request(request)
            await answer.aread()
        if self.random.random() < self.lost:
            raise httpx.ReadError("lost", request=request)
        return answer


def guarded(transport: httpx.AsyncBaseTransport) -> GuardedClient:
    """The client for where callers say, over this wire."""
    client = GuardedClient(transport=transport, trust_env=False, timeout=None)
    client.allow_private = True
    return client
