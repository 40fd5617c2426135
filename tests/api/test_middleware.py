"""What stands around every route: ids, log lines, paths, limits, and the one way out for errors."""

from collections.abc import AsyncIterator

import httpx
import pytest
import structlog
from starlette.types import Message
from structlog.testing import capture_logs

from tests.api.edge import build_app, error_of, scope_of, served

UNKNOWN = "There is no such path that Greenroom knows of, here or at HeyGen."


@pytest.fixture
async def api() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(build_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://greenroom") as client:
        yield client


@pytest.fixture
async def real() -> AsyncIterator[httpx.AsyncClient]:
    async with (
        served(build_app()) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client,
    ):
        yield client


# --- request ids and log lines -------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["abc", "A-b_c.d:9", "x" * 128])
async def test_a_sane_request_id_is_kept(api: httpx.AsyncClient, given: str) -> None:
    answer = await api.get("/v3/videos/v1", headers={"X-Request-Id": given})
    assert answer.headers["x-request-id"] == given
    assert answer.json()["request_id"] == given


@pytest.mark.parametrize("given", [None, "", "x" * 129, "a b", "a\nb", "é", 'a"b', "<script>"])
async def test_any_other_request_gets_an_id_of_ours(api: httpx.AsyncClient, given: str | None) -> None:
    headers = [] if given is None else [(b"X-Request-Id", given.encode())]
    ids = [(await api.get("/v3/videos/v1", headers=headers)).headers["x-request-id"] for _ in range(2)]
    assert ids[0] != ids[1]
    assert all(len(one) == 32 and int(one, 16) for one in ids)


async def test_each_request_leaves_one_line_without_its_query_or_its_token(api: httpx.AsyncClient) -> None:
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        await api.post(
            "/callbacks/heygen/hidden-token?hidden=query",
            content=b"hidden-body",
            headers={"X-Request-Id": "r1"},
        )
    line = dict(lines[0])
    assert isinstance(line.pop("duration_ms"), float)
    assert line == {
        "event": "request",
        "log_level": "info",
        "request_id": "r1",
        "method": "POST",
        "path": "/callbacks/heygen/{token}",
        "status": 200,
    }
    assert len(lines) == 1


@pytest.mark.parametrize(
    ("method", "path", "logged", "status"),
    [
        ("GET", "/v3/videos/v1", "/v3/videos/{video_id}", 200),
        ("DELETE", "/v3/videos/v1", "/v3/videos/{video_id}", 405),
        ("GET", "/v3/hidden", "unmatched", 404),
        ("GET", "/v3/videos/a%2Fb", "unmatched", 404),
        ("GET", "/fail/missing", "/fail/missing", 404),
        ("GET", "/fail/crash", "/fail/crash", 500),
    ],
)
async def test_the_line_names_the_route_and_not_the_path(
    api: httpx.AsyncClient, method: str, path: str, logged: str, status: int
) -> None:
    with capture_logs() as lines:
        await api.request(method, path)
    assert [(line["path"], line["status"]) for line in lines if line["event"] == "request"] == [
        (logged, status)
    ]


async def test_lines_of_a_request_carry_its_id_and_later_ones_do_not(api: httpx.AsyncClient) -> None:
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        await api.get("/v3/videos/v1", headers={"X-Request-Id": "r1"})
        structlog.get_logger().info("outside")
    assert [(line["event"], line.get("request_id")) for line in lines] == [
        ("inside", "r1"),
        ("request", "r1"),
        ("outside", None),
    ]


# --- errors --------------------------------------------------------------------------------------------------------


async def test_an_error_of_ours_leaves_in_the_envelope(api: httpx.AsyncClient) -> None:
    answer = await api.get("/fail/missing")
    assert answer.status_code == 404
    assert error_of(answer)["code"] == "video_not_found"
    assert error_of(answer)["message"] == "Video v1 not found"


async def test_the_headers_of_an_error_leave_with_it(api: httpx.AsyncClient) -> None:
    answer = await api.get("/fail/busy")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
    assert error_of(answer)["retryable"] is True


async def test_a_crash_is_a_500_that_tells_nothing_but_its_id(api: httpx.AsyncClient) -> None:
    with capture_logs() as lines:
        answer = await api.get("/fail/crash")
    assert answer.status_code == 500
    assert error_of(answer)["code"] == "internal_error"
    crash = next(line for line in lines if line["event"] == "request_crashed")
    assert (crash["error"], crash["log_level"]) == ("ValueError", "error")
    assert "in crash" in crash["stack"]
    assert "KeyError" in crash["stack"]
    assert "hidden value" not in answer.text
    assert "hidden value" not in str(lines)


async def test_a_crash_in_the_middle_of_an_answer_cuts_it_off(real: httpx.AsyncClient) -> None:
    with capture_logs() as lines, pytest.raises(httpx.RemoteProtocolError):
        await real.get("/fail/halfway")
    assert [line["event"] for line in lines] == ["request_crashed", "request"]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "invalid_parameter"),
        (401, "unauthorized"),
        (403, "forbidden"),
        (409, "conflict"),
        (413, "payload_too_large"),
        (418, "invalid_parameter"),
        (429, "rate_limit_exceeded"),
        (500, "internal_error"),
        (502, "internal_error"),
        (503, "service_unavailable"),
    ],
)
async def test_the_frameworks_errors_become_ours(api: httpx.AsyncClient, status: int, code: str) -> None:
    answer = await api.get(f"/fail/framework/{status}")
    assert answer.status_code == {418: 400, 502: 500}.get(status, status)
    assert (error_of(answer)["code"], error_of(answer)["message"]) == (code, "Told by the framework.")
    assert answer.headers["x-hint"] == "h"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/v3/nothing", UNKNOWN),
        ("/v3/templates2", UNKNOWN),
        ("/v3", UNKNOWN),
        ("/v3/videos/", UNKNOWN),
        ("/v3/videos/../avatars", UNKNOWN),
        ("/v3/templates/t1", "Greenroom does not serve this HeyGen path"),
        ("/v3x", "There is nothing at this path."),
        ("/", "There is nothing at this path."),
    ],
)
async def test_an_unknown_path_is_a_404_and_never_a_redirect(
    real: httpx.AsyncClient, path: str, message: str
) -> None:
    answer = await real.get(path, extensions={"target": path.encode()})  # as it stands, dots too
    assert answer.status_code == 404
    assert (error_of(answer)["code"], error_of(answer)["message"]) == ("not_found", message)


async def test_a_method_that_is_not_served_is_a_405_that_names_those_that_are(api: httpx.AsyncClient) -> None:
    answer = await api.delete("/v3/videos/v1")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert error_of(answer)["code"] == "method_not_allowed"
    assert error_of(answer)["message"] == "DELETE is not served on this path."


async def test_head_gets_the_status_and_headers_of_an_error_without_its_body(real: httpx.AsyncClient) -> None:
    for path, status in (("/v3/nothing", 404), ("/v3/videos/v1", 405)):
        answer = await real.head(path)
        assert (answer.status_code, answer.content) == (status, b"")
        assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("0", "'limit' must be at least 1."),
        ("101", "'limit' must be at most 100."),
        ("x", "'limit' must be an integer."),
        ("9" * 5000, "'limit' must be a smaller integer."),
    ],
)
async def test_a_bad_query_is_a_400_in_heygens_words(
    api: httpx.AsyncClient, limit: str, message: str
) -> None:
    answer = await api.get("/v3/videos", params={"limit": limit})
    assert answer.status_code == 400
    error = error_of(answer)
    assert (error["code"], error["param"], error["message"]) == ("invalid_parameter", "limit", message)


async def test_a_client_that_hangs_up_is_no_error() -> None:
    async def hung_up() -> Message:
        return {"type": "http.disconnect"}

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    with capture_logs() as lines:
        await build_app()(scope_of("POST", "/v3/videos"), hung_up, send)
    assert sent == []
    assert [(line["event"], line["status"]) for line in lines] == [("request", 499)]


# --- paths ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["//v3/videos/v1", "/v3//videos/v1", "///v3///videos//v1"])
async def test_several_slashes_count_as_one(real: httpx.AsyncClient, path: str) -> None:
    answer = await real.get(f"{real.base_url}".rstrip("/") + path)
    assert (answer.status_code, answer.json()["id"]) == (200, "v1")


@pytest.mark.parametrize("path", ["/v3/videos/a%2Fcancel", "/v3/videos/a%2fcancel", "/v3%2Fvideos/a/cancel"])
async def test_an_encoded_slash_leads_to_no_other_route(real: httpx.AsyncClient, path: str) -> None:
    answer = await real.post(path)
    assert answer.status_code == 404
    assert error_of(answer)["code"] == "not_found"
