"""The consent to a digital twin: the call that asks for it, and the page where a person decides."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from app.simulator.answers import Step
from app.simulator.avatar_bodies import ConsentRequest
from app.simulator.bodies import read
from app.simulator.errors import invalid
from app.simulator.gate import call_of
from app.simulator.media import VIDEOS
from app.simulator.routes.pages import WorldDep

PAGE = "/simulator/consents"

router = APIRouter()


@router.post("/v3/avatars/{group_id}/consent")
async def ask_consent(group_id: str, request: Request, world: WorldDep) -> Response:
    """Begin to ask for consent; footage of it decides at once."""
    call = call_of(request, world)

    async def prepare() -> Step:
        body = read(ConsentRequest, call.json())
        world.looks.own_group(group_id)
        if body.consent_video is not None:
            await world.sources.bring(body.consent_video, "consent_video", VIDEOS)

        def commit() -> Response:
            url = None
            if world.consents.status(group_id) is not None:  # a group without twins needs none
                world.consents.reroute(group_id, body.reroute_url)
                if body.consent_video is not None:
                    world.decide(group_id, approved=True)
                else:
                    url = f"{world.called_as}{PAGE}/{group_id}"
            group = world.looks.group_view(world.looks.group(group_id), world.now(), world.called_as)
            return JSONResponse({"data": {"avatar_group": group, "url": url}})

        return Step(commit)

    return await world.answers.once(call, prepare)


@router.get(PAGE + "/{group_id}")
async def show_page(group_id: str, world: WorldDep) -> Response:
    """What the person sees. Raises Refused (404)."""
    world.looks.group(group_id)
    return HTMLResponse(world.consents.page(group_id))


@router.post(PAGE + "/{group_id}")
async def decide(group_id: str, request: Request, world: WorldDep) -> Response:
    """What the person decides: `decision` is approved or declined."""
    form: dict[str, Any] = parse_qs((await request.body()).decode("latin-1"))
    decision = form.get("decision", [""])[0]
    if decision not in {"approved", "declined"}:
        raise invalid("decision", "'decision' must be one of: approved, declined.")
    leads_to = world.decide(group_id, approved=decision == "approved")
    if leads_to is not None:
        return RedirectResponse(leads_to, 303)
    return HTMLResponse(world.consents.page(group_id))
