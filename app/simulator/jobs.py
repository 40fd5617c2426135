"""Accepting a job: the one place where something is billed, and where a create goes wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from fastapi.responses import JSONResponse, Response

from app.simulator.answers import Call, Step
from app.simulator.errors import Dropped, Refused, gateway_page, rate_limited
from app.simulator.world import World

AFTER_ACCEPT = ("gateway_timeout_after_accept", "drop_after_accept", "bad_json")


@dataclass(frozen=True)
class Job:
    """A video or a look that is ready to be made."""

    title: str | None
    cost: float
    save: Callable[[], str]
    """Writes its rows; answers its id."""
    answer: Callable[[str], dict[str, Any]]
    """The `data` of the answer for this id."""
    begin: Callable[[str], Awaitable[None]] | None = None
    """Runs after the commit."""


async def accept(world: World, call: Call, draft: Callable[[dict[str, Any]], Awaitable[Job]]) -> Response:
    """Make and bill a job once for its key. Raises Refused and Dropped."""

    async def prepare() -> Step:
        data = call.json()
        await obstruct(world, call)
        return _step(world, call, await draft(data))

    return await world.answers.once(call, prepare)


async def obstruct(world: World, call: Call) -> None:
    """What may happen before anything is made."""
    text, facts = call.text(), {"kind": call.kind, "method": call.method, "path": call.path}
    if limit := world.faults.strike("rate_limited", text, call.sha, **facts):
        raise rate_limited(limit["seconds"])
    if away := world.faults.strike("unavailable_before_accept", text, call.sha, kind=call.kind):
        raise Refused(503, "service_unavailable", "Service unavailable.", html=bool(away["html"]))
    if world.faults.strike("insufficient_credit", text, kind=call.kind):
        raise Refused(402, "insufficient_credit", "Insufficient credit.")
    if slow := world.faults.strike("slow_create", text, kind=call.kind):
        await world.faults.hold(slow["seconds"])


def _step(world: World, call: Call, job: Job) -> Step:
    struck: str | None = None
    made = ""

    def commit() -> Response:
        nonlocal struck, made
        now = world.now()  # not the time of arrival: a slow create begins to render when it is accepted
        in_flight = world.record.in_flight(now)
        if in_flight >= world.options.concurrency:
            raise rate_limited(min(30.0, world.render_seconds))
        made = job.save()
        world.record.bill(call, made, job.title, job.cost, now)
        world.record.note_in_flight(in_flight + 1)
        text = call.text()
        struck = next(
            (name for name in AFTER_ACCEPT if world.faults.strike(name, text, kind=call.kind)), None
        )
        if struck == "gateway_timeout_after_accept" and world.keeps_errors(call):
            return gateway_page(504, "Gateway Time-out")
        return JSONResponse({"data": job.answer(made)})

    async def finish(answer: Response) -> Response:
        if job.begin is not None:
            await job.begin(made)
        if struck == "drop_after_accept":
            raise Dropped
        if struck == "gateway_timeout_after_accept":
            return gateway_page(504, "Gateway Time-out")
        return Response('{"data": {"vid', media_type="application/json") if struck == "bad_json" else answer

    return Step(commit, finish)
