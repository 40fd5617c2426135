"""The document of operations tells what callers get."""

import re

import httpx
import pytest

from app.api import answer_schemas, health_schemas
from app.api.openapi import BODIES
from tests.api.callers import error_of
from tests.api.test_routes import ROUTES
from tests.client_checks import CHECKS, Check
from tests.contract.contract import heygens, ours
from tests.operations import DOCUMENT, OPERATIONS, REFUSED, document
from tests.test_invariants import functions

NAMES = [it.name for it in OPERATIONS]


def shape(name: str) -> str:
    """An operation without the names of its parameters, which documents may call as they like."""
    return re.sub(r"\{\w+\}", "{}", name)


OFFERED = {shape(it.name) for it in OPERATIONS if it.verdict != REFUSED}

# What HeyGen does not have.
OUR_OWN = {
    "POST /v3/videos/{}/cancel",
    "GET /v3/videos/{}/content",
    "HEAD /v3/videos/{}/content",
    "GET /v3/assets/{}/content",
    "HEAD /v3/assets/{}/content",
    "PUT /v3/assets/{}/upload",
    "GET /v3/avatars/looks/{}/content",
    "HEAD /v3/avatars/looks/{}/content",
    "GET /v3/webhooks/endpoints/{}",
}


def test_the_document_is_as_the_list_says() -> None:
    assert DOCUMENT.read_text() == document(), "run: python -m tests.operations"


def test_each_operation_is_listed_once() -> None:
    assert len(set(map(shape, NAMES))) == len(NAMES)


def test_what_is_offered_is_what_the_routes_serve() -> None:
    routes = {shape(f"{method} {path}") for method, path in ROUTES if path.startswith("/v3/")}
    refused = {shape(it.name) for it in OPERATIONS if it.verdict == REFUSED}
    assert routes - OUR_OWN - refused == OFFERED


def test_what_is_offered_is_what_the_contract_describes() -> None:
    described = {shape(str(operation)) for operation in ours().operations()}
    assert described == OFFERED


async def test_what_is_refused_is_refused_in_words(api: httpx.AsyncClient) -> None:
    for it in OPERATIONS:
        if it.verdict == REFUSED:
            answer = await api.request(it.method, re.sub(r"\{\w+\}", "x", it.path))
            assert error_of(answer)[:2] == (404, "not_found"), it.name
            assert answer.json()["error"]["message"] == "Greenroom does not serve this HeyGen path", it.name


def test_heygens_own_description_has_no_operation_that_is_not_listed() -> None:
    theirs = heygens()
    if theirs is None:
        pytest.skip("HEYGEN_OPENAPI names no file")
    described = {shape(str(it)) for it in theirs.operations() if it.template.startswith("/v3/")}
    assert described <= set(map(shape, NAMES))


@pytest.mark.parametrize("check", CHECKS, ids=lambda it: str(it.number))
def test_each_demand_of_a_client_has_tests_that_there_are(check: Check) -> None:
    assert check.tests
    for test in check.tests:
        file, _, name = test.partition("::")
        assert name in functions(file), f"{test} is not there"


def test_no_answer_has_the_name_of_a_request() -> None:
    bodies = {body.__name__ for body in BODIES}
    answers = {
        name
        for name, model in {**vars(answer_schemas), **vars(health_schemas)}.items()
        if isinstance(model, type)
    }
    assert not bodies & answers, "one would stand for the other in the document"
