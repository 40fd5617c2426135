"""Every route there is: none without a key but those named here, none that shows one tenant's things to another."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
from sqlalchemy import select

from app.api.app import create_api
from app.context import Context
from app.models import Account, Group
from tests.api.callers import (
    PHOTO,
    PORTRAIT,
    VIDEO,
    caller,
    create_video,
    error_of,
    read_video,
    render,
)
from tests.clocks import ManualClock
from tests.services import TLS

PUBLIC = frozenset(
    {
        ("GET", "/openapi.json"),
        ("HEAD", "/openapi.json"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        *((method, "/callbacks/heygen") for method in ("POST", "GET", "HEAD", "OPTIONS")),
        ("POST", "/callbacks/heygen/{token}"),
        ("GET", "/callbacks/heygen/{token}"),
        ("HEAD", "/callbacks/heygen/{token}"),
        ("OPTIONS", "/callbacks/heygen/{token}"),
    }
)

NOBODYS = frozenset({"voice_id"})
"""Parameters that name nothing a tenant owns."""

# What a route needs before it looks at its id.
BODIES: dict[tuple[str, str], Any] = {
    ("PATCH", "/v3/avatars/looks/{look_id}"): {"name": "Tom"},
    ("POST", "/v3/avatars/{group_id}/consent"): {},
    ("PATCH", "/v3/webhooks/endpoints/{endpoint_id}"): {"url": "https://hooks.example.com/"},
}


def routes() -> Iterator[tuple[str, str]]:
    for route in create_api().routes:
        contexts: Any = getattr(route, "effective_route_contexts", None)
        one: Any
        for one in contexts() if contexts is not None else [route]:
            for method in sorted(one.methods):
                yield method, str(one.path)


ROUTES = frozenset(routes())


def test_the_public_routes_are_these_and_all_routes_are_found() -> None:
    assert PUBLIC <= ROUTES
    assert ("POST", "/v3/videos") in ROUTES
    assert len(ROUTES) > 25


async def test_every_other_route_wants_a_key(served: Context) -> None:
    async with httpx.AsyncClient(base_url=served.links.api_url, verify=TLS) as stranger:
        for method, path in sorted(ROUTES - PUBLIC):
            answer = await stranger.request(method, re.sub(r"\{\w+\}", "x", path))
            assert answer.status_code == 401, (method, path)
            if method != "HEAD":
                assert error_of(answer) == (401, "unauthorized", None), (method, path)


async def owned_ids(api: httpx.AsyncClient, served: Context, clock: ManualClock) -> dict[str, list[str]]:
    """Ids of everything a tenant can own, ours and HeyGen's, by the name of the parameter that takes them."""
    upload = await api.post("/v3/assets", files={"file": ("portrait.png", PHOTO.read_bytes())})
    body = {"type": "photo", "name": "Sarah", "file": PORTRAIT}
    made = (await api.post("/v3/avatars", json=body)).json()["data"]["avatar_item"]
    video_id = await create_video(api)
    batch = (await api.post("/v3/videos/batches", json={"videos": [VIDEO]})).json()["data"]
    endpoint = await api.post("/v3/webhooks/endpoints", json={"url": "https://hooks.example.com/"})
    for _ in range(2):
        await render(served, clock)
    look = (await api.get(f"/v3/avatars/looks/{made['id']}")).json()["data"]
    assert look["status"] == "completed"
    video = await read_video(api, video_id)
    assert video["status"] == "completed"
    async with served.database.begin() as session:
        group = (await session.scalars(select(Group))).one()
    announced = {"filename": "a.png", "content_type": "image/png", "size_bytes": 1}
    promised = (await api.post("/v3/assets/direct-uploads/batches", json={"files": [announced]})).json()[
        "data"
    ]
    return {
        "asset_id": [upload.json()["data"]["asset_id"], promised["items"][0]["asset_id"]],
        "upload_batch_id": [promised["batch_id"]],
        "look_id": [look["id"], look["greenroom"]["heygen_avatar_id"]],
        "group_id": [group.id, group.heygen_group_id or ""],
        "video_id": [video_id, video["greenroom"]["heygen_video_id"]],
        "batch_id": [batch["batch_id"]],
        "endpoint_id": [endpoint.json()["data"]["endpoint_id"]],
    }


async def test_the_ids_of_another_tenant_answer_exactly_as_unknown_ones(
    served: Context, account: Account, clock: ManualClock
) -> None:
    async with (
        caller(served, account, "owner") as owner,
        caller(served, account, "narrow") as narrow,
        caller(served, account, "wide", account_wide=True) as wide,
    ):
        owned = await owned_ids(owner, served, clock)
        for method, path in sorted(ROUTES - PUBLIC):
            names = re.findall(r"\{(\w+)\}", path)
            if not names or names[0] in NOBODYS:
                continue
            (name,) = names
            body = BODIES.get((method, path))
            for stranger in (narrow, wide):
                unknown = await ask(stranger, method, path, "f" * 32, body)
                assert unknown[0] == 404, (method, path)
                for foreign_id in owned[name]:
                    answer = await ask(stranger, method, path, foreign_id, body)
                    assert answer == unknown, (method, path, foreign_id)
        # The same ids do work for their owner, or nothing was tested.
        for name, path in (
            ("asset_id", "/v3/assets/statuses?asset_ids="),
            ("upload_batch_id", "/v3/assets/batches/"),
            ("look_id", "/v3/avatars/looks/"),
            ("group_id", "/v3/avatars/"),
            ("video_id", "/v3/videos/"),
            ("batch_id", "/v3/videos/batches/"),
            ("endpoint_id", "/v3/webhooks/endpoints/"),
        ):
            for own_id in owned[name]:
                assert (await owner.get(path + own_id)).status_code == 200, (path, own_id)


async def ask(client: httpx.AsyncClient, method: str, path: str, given_id: str, body: Any) -> tuple[int, str]:
    """Status and body of the answer, without what must differ."""
    answer = await client.request(method, re.sub(r"\{\w+\}", given_id, path), json=body)
    told = answer.text.replace(answer.headers["x-request-id"], "<request>").replace(given_id, "<id>")
    return answer.status_code, told


async def test_odd_addresses_get_an_envelope_and_never_a_redirect(api: httpx.AsyncClient) -> None:
    video_id = await create_video(api)
    for path in (
        "/v3/videos/",
        f"/v3/videos/{video_id}/",
        f"/v3/videos/{video_id}%2Fcancel",
        "/v3/videos/a%2F..%2Fb",
        "/v3/videos/%2E%2E",
        "/v3/videos/a%00b",
        "/v3/templates",
        "/docs",
        "/",
    ):
        answer = await api.get(path)
        status, code, _ = error_of(answer)
        assert (status, code.endswith("not_found")) == (404, True), path
    base = str(api.base_url).rstrip("/")
    for path in (f"//v3/videos/{video_id}", "/v3//videos", f"/v3/videos/{video_id}"):
        assert (await api.get(base + path)).status_code == 200, path
    assert error_of(await api.put("/v3/videos"))[:2] == (405, "method_not_allowed")
    for method, path, allow in (
        ("DELETE", "/v3/videos", "GET, POST"),
        ("POST", "/v3/videos/x", "GET, DELETE"),
        ("PUT", "/v3/webhooks/endpoints/x", "GET, PATCH, DELETE"),
        ("PUT", "/v3/assets/x/content", "GET, HEAD"),
        ("PUT", "/callbacks/heygen/x", "GET, HEAD, POST, OPTIONS"),
    ):
        answer = await api.request(method, path)
        assert (answer.status_code, answer.headers["Allow"]) == (405, allow), path
    assert error_of(await api.get("/v3/videos?title=%00")) == (400, "invalid_parameter", "title")
    assert error_of(await api.get("/v3/videos?%00=x")) == (400, "invalid_parameter", None)
    assert error_of(await api.get("/v3/videos?title=a&title=")) == (400, "invalid_parameter", "title")
    assert (await api.get(f"/v3/videos/statuses?video_ids={video_id}&video_ids=x,y")).json()["data"][2:]
    assert (await read_video(api, video_id))["greenroom"]["phase"] == "queued"
