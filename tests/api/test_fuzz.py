"""The OpenAPI document tells the truth, and no input that it allows or forbids is answered by a crash.

Each operation gets what its description covers and generated requests, right ones and wrong ones, over real HTTP.
"""

import copy
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.generation.hypothesis.builder import HypothesisTestConfig, HypothesisTestMode, create_test
from schemathesis.generation.meta import TestPhase
from schemathesis.specs.openapi.schemas import OpenApiSchema

from app.api.app import create_api
from app.context import Context
from app.database import Database
from app.secrets import Secrets
from app.simulator.app import Options, Simulator
from app.simulator.server import running
from tests.api.callers import LOOK, PHOTO, PORTRAIT, VIDEO, VOICE, caller, create_video, render
from tests.clocks import ManualClock
from tests.conftest import START, empty
from tests.factories import make_account
from tests.kept_database import kept
from tests.services import make_context, serving
from tests.template import migrated

load_all_checks()

pytestmark = pytest.mark.xdist_group("fuzz")  # one process makes the two services, not each of them

EXAMPLES = 10  # beside some hundred that cover each description
PORTIONS = {("/v3/videos", "post"): 3}
"""Thousands of requests cover the description of a video: a portion of them is made each time, another each time."""
CHECKED = [
    CHECKS.get_one(name)
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
        "unsupported_method",
        "missing_required_header",
        "ignored_auth",
    )
]


@dataclass(frozen=True)
class Service:
    """A service to be abused, one of everything in it: the ids by the name of the parameter that takes them."""

    url: str
    key: str
    ids: dict[str, str]
    on_postgresql: bool


DOCUMENT = copy.deepcopy(create_api().openapi())
# The thousands of requests that cover the description of a video are made for a video alone: its batch has this one.
DOCUMENT["components"]["schemas"]["BatchBody"]["properties"]["videos"]["items"] = {"enum": [VIDEO]}
OPERATIONS = [(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods]


def described(mode: str, paths: Mapping[str, Any]) -> OpenApiSchema:
    """So much of our own document; `mode` says whether requests that it forbids are generated, too."""
    generation = {"mode": mode, "database": "none"}
    config = SchemathesisConfig.from_dict({"generation": generation})
    return schemathesis.openapi.from_dict(DOCUMENT | {"paths": paths}, config=config)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Served from a thread of its own: requests are made by code that blocks."""
    folder = tmp_path_factory.mktemp("fuzz")
    if request.param == "sqlite":
        file = folder / "greenroom.db"
        file.write_bytes(migrated())
        url = f"sqlite:///{file}"
    else:
        url = request.getfixturevalue("postgresql")
    secrets: Secrets = request.getfixturevalue("secrets")
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(furnished(url, secrets, folder)) as service,
    ):
        yield service


@asynccontextmanager
async def furnished(database_url: str, secrets: Secrets, folder: Path) -> AsyncIterator[Service]:
    """A service with one tenant, who has one of everything."""
    clock, database = ManualClock(START), database_at(database_url)
    simulator = Simulator(Options(folder=folder / "heygen", now=clock.now, background=False))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        await empty(database)
        stack.push_async_callback(simulator.close)
        account = await make_account(database, clock.now())
        accounts = {account.id: await stack.enter_async_context(running(simulator))}
        context = await stack.enter_async_context(
            make_context(database, clock, secrets, accounts, folder / "files")
        )
        served = await stack.enter_async_context(serving(context))
        api = await stack.enter_async_context(caller(served, account, "fuzzed", account_wide=True))
        yield Service(
            served.links.api_url,
            api.headers["x-api-key"],
            await furnish(api, served, clock),
            not database.is_sqlite,
        )


def database_at(url: str) -> Database:
    """Of its own on PostgreSQL, whose connections belong to the event loop that they were opened in."""
    return kept(url, inline=True) if url.startswith("sqlite") else Database(url)


async def furnish(api: httpx.AsyncClient, served: Context, clock: ManualClock) -> dict[str, str]:
    """One of everything."""
    upload = await api.post("/v3/assets", files={"file": ("portrait.png", PHOTO.read_bytes())})
    photo = {"type": "photo", "name": "Sarah", "file": PORTRAIT}
    made = (await api.post("/v3/avatars", json=photo)).json()["data"]
    video_id = await create_video(api)
    batch = (await api.post("/v3/videos/batches", json={"videos": [VIDEO]})).json()["data"]
    endpoint = await api.post("/v3/webhooks/endpoints", json={"url": "https://hooks.example.com/"})
    await render(served, clock)
    return {
        "asset_id": upload.json()["data"]["asset_id"],
        "look_id": made["avatar_item"]["id"],
        "group_id": made["avatar_group"]["id"],
        "video_id": video_id,
        "batch_id": batch["batch_id"],
        "voice_id": VOICE,
        "endpoint_id": endpoint.json()["data"]["endpoint_id"],
    }


# Any GET is answered 200 there: HeyGen tries an address before it uses it.
UNTOLD = {path: {"unsupported_method"} for path in ("/callbacks/heygen", "/callbacks/heygen/{token}")}


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_the_document_tells_the_truth(
    path: str, method: str, service: Service, request: pytest.FixtureRequest
) -> None:
    numbers = count(getattr(request.config.option, "randomly_seed", 0))
    checks = [check for check in CHECKED if check.__name__ not in UNTOLD.get(path, ())]

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def holds(case: Any) -> None:
        if case.meta.phase.name == TestPhase.COVERAGE and next(numbers) % PORTIONS.get((path, method), 1):
            return
        if case.meta.generation.mode.is_positive:
            point_at_what_exists(case, service)
        case.call_and_validate(base_url=service.url, headers={"x-api-key": service.key}, checks=checks)

    mode, modes = "all", set(HypothesisTestMode)
    # What is forbidden is refused before any table is asked, and one database is enough for what covers a description.
    if service.on_postgresql:
        mode = "positive"
        modes.remove(HypothesisTestMode.COVERAGE)
    schema = described(mode, {path: {method: DOCUMENT["paths"][path][method]}})
    # By hand: the plug-in makes the requests that cover everything wherever tests are listed, which takes long.
    config = HypothesisTestConfig(project=schema.config, modes=list(modes))
    create_test(operation=schema[path][method], test_func=holds, config=config)()


STEPS = 6
IN_ORDER = [
    CHECKS.get_one(name)
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "response_schema_conformance",
        "use_after_free",
        "ensure_resource_availability",
    )
]


def test_what_one_operation_makes_others_find_and_what_one_deletes_is_gone(service: Service) -> None:
    """Operations in any order, each with what those before it answered."""
    done: Counter[tuple[str, int]] = Counter()

    class Sequence(described("positive", DOCUMENT["paths"]).as_state_machine()):  # type: ignore[misc]
        def before_call(self, case: Any) -> None:
            point_at_what_exists(case, service)
            case.headers = {"x-api-key": service.key}

        def get_call_kwargs(self, case: Any) -> dict[str, Any]:  # noqa: ARG002 -- called by this name
            return {"base_url": service.url}

        def validate_response(self, response: Any, case: Any, **_: Any) -> None:
            done[case.operation.label, response.status_code] += 1
            case.validate_response(response, checks=IN_ORDER)

    Sequence.run(
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            derandomize=True,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
    )
    deleted = [label for label, status in done if label.startswith("DELETE") and status == 200]
    assert deleted, "nothing that was made was deleted: the sequences show nothing"


def point_at_what_exists(case: Any, service: Service) -> None:
    """In every second request: ids that are generated name nothing, and what lies behind them is not reached."""
    for name, given in (case.path_parameters or {}).items():
        if len(str(given)) % 2 and name in service.ids:
            case.path_parameters[name] = service.ids[name]
    body = case.body if isinstance(case.body, dict) else {}
    if body.get("type") == "avatar":
        case.body |= {"avatar_id": LOOK, "voice_id": VOICE}
    for name in ("file", "image"):
        if isinstance(body.get(name), dict) and "asset_id" in body[name]:
            body[name]["asset_id"] = service.ids["asset_id"]
