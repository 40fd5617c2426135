"""What we put on the wire, and what we read from it."""

import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.heygen.client import HeyGen
from app.heygen.errors import AccountBlocked, Missing, NoAnswer, NotReady, RateLimited, Refused
from tests.heygen.conftest import Connect
from tests.heygen.faulty_server import FaultyServer, Request, answer, answers

LIMIT = timedelta(seconds=30)
CREATED = b'{"data": {"video_id": "v1", "status": "waiting"}}'


def says(value: Any, status: str = "200 OK", headers: str = "") -> FaultyServer:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return FaultyServer(answers(answer(status, body, f"Content-Type: application/json\r\n{headers}")))


async def only_request(server: FaultyServer) -> Request:
    (request,) = server.requests
    return request


async def test_a_create_sends_exactly_the_bytes_given_with_its_key(connect: Connect) -> None:
    body = b' {"b": 1,\n "a": "\xc3\xa9"} '
    async with says(CREATED) as server:
        created = await connect(server.url).create("/v3/videos", body, "job-1:a.b_c")
        request = await only_request(server)
    assert (created.id, created.group_id, created.status) == ("v1", None, "waiting")
    assert request.line == "POST /v3/videos HTTP/1.1"
    assert request.body == body
    assert request.headers["idempotency-key"] == "job-1:a.b_c"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-api-key"] == "the-key"
    assert request.headers["accept-encoding"] == "identity"


async def test_a_created_look_is_read_with_its_group(connect: Connect) -> None:
    data = {"avatar_item": {"id": "lk", "status": "processing"}, "avatar_group": {"id": "ag"}}
    async with says({"data": data}) as server:
        created = await connect(server.url).create("/v3/avatars", b"{}", "k")
    assert (created.id, created.group_id, created.status) == ("lk", "ag", "processing")


@pytest.mark.parametrize("key", ["", " ", "a b", "a\r\nx: y", "é", "x" * 256])
async def test_a_key_that_heygen_would_not_take_is_never_sent(connect: Connect, key: str) -> None:
    async with says(CREATED) as server:
        with pytest.raises(ValueError, match="key"):
            await connect(server.url).create("/v3/videos", b"{}", key)
        assert server.connections == 0


async def test_only_what_can_be_created_with_a_key_is_created(connect: Connect) -> None:
    with pytest.raises(ValueError, match="path"):
        await connect("http://127.0.0.1:9").create("/v3/elsewhere", b"{}", "k")


@pytest.mark.parametrize("api_key", ["", "with space", "line\nbreak", "clé"])
async def test_an_api_key_that_no_header_can_carry_is_refused_without_being_shown(
    http: httpx.AsyncClient, api_key: str
) -> None:
    with pytest.raises(ValueError, match="api_key") as caught:
        HeyGen(http, "https://api.heygen.com", api_key, create_timeout=LIMIT, read_timeout=LIMIT)
    assert not api_key or api_key not in str(caught.value)


@pytest.mark.parametrize("base_url", ["", "api.heygen.com", "ftp://api.heygen.com"])
async def test_a_base_url_must_be_an_address(http: httpx.AsyncClient, base_url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        HeyGen(http, base_url, "k", create_timeout=LIMIT, read_timeout=LIMIT)


Call = Callable[[HeyGen, str], Awaitable[object]]
BY_ID: list[tuple[str, Call]] = [
    ("GET /v3/videos/", lambda heygen, heygen_id: heygen.get_video(heygen_id)),
    ("DELETE /v3/videos/", lambda heygen, heygen_id: heygen.delete_video(heygen_id)),
    ("GET /v3/avatars/looks/", lambda heygen, heygen_id: heygen.get_look(heygen_id)),
    ("DELETE /v3/avatars/looks/", lambda heygen, heygen_id: heygen.delete_look(heygen_id)),
    ("GET /v3/avatars/", lambda heygen, heygen_id: heygen.get_group(heygen_id)),
    ("GET /v3/voices/", lambda heygen, heygen_id: heygen.get_voice(heygen_id)),
    ("GET /v3/assets/", lambda heygen, heygen_id: heygen.get_asset(heygen_id)),
]


@pytest.mark.parametrize(("route", "call"), BY_ID)
@pytest.mark.parametrize(
    ("heygen_id", "encoded"),
    [
        ("abc123", "abc123"),
        ("../users/me", "..%2Fusers%2Fme"),
        ("a/b", "a%2Fb"),
        ("%2e%2e", "%252e%252e"),
        ("a?b=c#d", "a%3Fb%3Dc%23d"),
        ("a\r\nX: y", "a%0D%0AX%3A%20y"),
        ("é\ud800\x00", "%C3%A9%3F%00"),
    ],
)
async def test_an_id_stays_one_segment_of_the_path(
    connect: Connect, route: str, call: Call, heygen_id: str, encoded: str
) -> None:
    async with says({"data": {"id": "x"}}) as server:
        await call(connect(server.url), heygen_id)
        assert (await only_request(server)).line == f"{route}{encoded} HTTP/1.1"


@pytest.mark.parametrize("heygen_id", ["", ".", "..", "x" * 256])
async def test_an_id_that_would_name_another_path_is_missing_without_asking(
    connect: Connect, heygen_id: str
) -> None:
    async with says({"data": {"id": "x"}}) as server:
        with pytest.raises(Missing):
            await connect(server.url).get_video(heygen_id)
        assert server.connections == 0


@pytest.mark.parametrize("call", [call for route, call in BY_ID if route.startswith("DELETE")])
async def test_deleting_what_is_gone_is_done(connect: Connect, call: Call) -> None:
    async with says({"error": {"code": "video_not_found"}}, "404 Not Found") as server:
        await call(connect(server.url), "x")
        assert len(server.requests) == 1


@pytest.mark.parametrize("call", [call for route, call in BY_ID if route.startswith("DELETE")])
async def test_a_delete_that_is_refused_is_not_done(connect: Connect, call: Call) -> None:
    async with says({"error": {"code": "forbidden"}}, "403 Forbidden") as server:
        with pytest.raises(Refused):
            await call(connect(server.url), "x")


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (
            "400 Bad Request",
            {"error": {"code": "Invalid_Parameter", "message": "m", "param": "p"}},
            Refused,
            "invalid_parameter",
        ),
        ("401 Unauthorized", {}, AccountBlocked, "unauthorized"),
        (
            "402 Payment Required",
            {"error": {"code": "INSUFFICIENT_CREDIT"}},
            AccountBlocked,
            "insufficient_credit",
        ),
        ("404 Not Found", {"error": "gone"}, Missing, "gone"),
        ("409 Conflict", {"error": {"code": "resource_not_ready"}}, NotReady, "resource_not_ready"),
        ("429 Too Many Requests", b"<html>slow down</html>", RateLimited, "rate_limit_exceeded"),
    ],
)
@pytest.mark.parametrize("method", ["create", "read"])
async def test_a_refusal_says_what_to_do_next(
    connect: Connect, status: str, body: Any, kind: type[Refused], code: str, method: str
) -> None:
    async with says(body, status, "Retry-After: 7\r\n") as server:
        heygen = connect(server.url)
        with pytest.raises(Refused) as caught:
            await (heygen.create("/v3/videos", b"{}", "k") if method == "create" else heygen.get_video("v"))
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.reason) == (code, code)
    assert caught.value.http_status == int(status[:3])
    assert caught.value.retry_after == timedelta(seconds=7)


async def test_a_date_in_retry_after_counts_from_heygens_own_clock(connect: Connect) -> None:
    headers = "Date: Fri, 01 Jan 2100 00:00:00 GMT\r\nRetry-After: Fri, 01 Jan 2100 00:01:30 GMT\r\n"
    async with says({}, "429 Slow Down", headers) as server:
        with pytest.raises(RateLimited) as caught:
            await connect(server.url).users_me()
    assert caught.value.retry_after == timedelta(seconds=90)


async def test_a_redirect_never_takes_the_key_along(connect: Connect) -> None:
    async with says({"data": {"id": "x"}}) as other:
        async with says({}, "307 Temporary Redirect", f"Location: {other.url}/v3/videos/x\r\n") as server:
            with pytest.raises(Exception, match="unreadable"):
                await connect(server.url).get_video("x")
        assert other.connections == 0


@pytest.mark.parametrize("status", ["302 Found", "304 Not Modified"])
async def test_a_delete_that_is_sent_elsewhere_is_not_done(connect: Connect, status: str) -> None:
    async with FaultyServer(answers(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())) as server:
        with pytest.raises(NoAnswer):
            await connect(server.url).delete_video("x")


async def test_no_other_credentials_ride_along(connect: Connect, authorities: ssl.SSLContext) -> None:
    async with (
        says({"data": {"id": "x"}}) as server,
        httpx.AsyncClient(auth=("user", "password"), verify=authorities, trust_env=False) as http,
    ):
        await connect(server.url, http=http).get_video("x")
        assert "authorization" not in (await only_request(server)).headers


async def test_the_account_is_read_from_its_wallet(connect: Connect) -> None:
    data = {"username": "u", "email": None, "first_name": "A", "wallet": {"remaining_balance": 12.5}}
    async with says({"data": data}) as server:
        account = await connect(server.url).users_me()
    assert (account.username, account.email, account.first_name, account.balance) == ("u", None, "A", 12.5)
    assert account.simulated is False
    assert account.raw == data


async def test_the_simulator_makes_itself_known(connect: Connect) -> None:
    async with says(
        {"data": {"username": "u", "wallet": None}}, headers="x-greenroom-simulator: 1\r\n"
    ) as server:
        account = await connect(server.url).users_me()
    assert account.simulated is True
    assert account.balance is None


async def test_many_statuses_are_asked_in_one_call(connect: Connect) -> None:
    entries = [
        {"video_id": "a", "status": "completed"},
        {"video_id": "b", "status": "not_found", "error": None},
        {"video_id": "c", "status": None},
        {"status": "completed"},
        "rubbish",
    ]
    async with says({"data": entries}) as server:
        found = await connect(server.url).video_statuses(["a", "b", "c", "d"])
        assert (await only_request(server)).line == "GET /v3/videos/statuses?video_ids=a%2Cb%2Cc%2Cd HTTP/1.1"
    assert found == {"a": "completed", "b": "not_found", "c": ""}


async def test_no_ids_need_no_call_and_too_many_are_a_mistake(connect: Connect) -> None:
    async with says({"data": []}) as server:
        assert await connect(server.url).video_statuses([]) == {}
        with pytest.raises(ValueError, match="heygen_ids"):
            await connect(server.url).video_statuses(["x"] * 101)
        assert server.connections == 0


async def test_batches_are_read_as_heygen_tells_them(connect: Connect) -> None:
    entries = [{"video_id": "a", "status": "queued", "batch_id": "b"}, "rubbish"]
    async with says({"data": entries}) as server:
        assert await connect(server.url).batch_statuses(["b", "c"]) == entries[:1]
        assert (await only_request(server)).line == "GET /v3/videos/statuses?batch_ids=b%2Cc HTTP/1.1"
    async with says({"data": {"batch_id": "b"}}) as server:
        assert await connect(server.url).get_batch("b", limit=5, token="t") == {"batch_id": "b"}
        assert (await only_request(server)).line == "GET /v3/videos/batches/b?limit=5&token=t HTTP/1.1"


async def test_lists_send_the_filters_that_are_set(connect: Connect) -> None:
    async with says({"data": [{"id": "a"}], "has_more": True, "next_token": "t2"}) as server:
        heygen = connect(server.url)
        page = await heygen.list_videos(title="[gr:ab] & x", token="t1")
        await heygen.list_looks(ownership="private", group_id="g")
        await heygen.list_groups(ownership="public")
        await heygen.list_voices(type="private", language="English")
        lines = [request.line.split(" ")[1] for request in server.requests]
    assert page.items == ({"id": "a"},)
    assert page.next_token == "t2"
    assert [httpx.URL(line).path for line in lines] == [
        "/v3/videos",
        "/v3/avatars/looks",
        "/v3/avatars",
        "/v3/voices",
    ]
    assert [dict(httpx.URL(line).params) for line in lines] == [
        {"title": "[gr:ab] & x", "limit": "100", "token": "t1"},
        {"group_id": "g", "ownership": "private", "limit": "50"},
        {"ownership": "public", "limit": "50"},
        {"type": "private", "language": "English"},
    ]


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


UPLOADED = {"data": {"asset_id": "as1", "url": "https://x/y", "mime_type": "image/png", "size_bytes": 6}}


@pytest.mark.parametrize("streamed", [True, False])
async def test_an_upload_is_one_part_named_file_of_known_length(connect: Connect, streamed: bool) -> None:
    content = pieces(b"abc", b"", b"def") if streamed else b"abcdef"
    async with says(UPLOADED) as server:
        asset_id = await connect(server.url).upload_asset(
            content, filename='é "quoted"\r\n.png', mime="image/png", size=6, key="k-1"
        )
        request = await only_request(server)
    assert asset_id == "as1"
    assert request.line == "POST /v3/assets HTTP/1.1"
    assert request.headers["idempotency-key"] == "k-1"
    assert int(request.headers["content-length"]) == len(request.body)
    assert "transfer-encoding" not in request.headers
    kind, boundary = request.headers["content-type"].split("; boundary=")
    assert kind == "multipart/form-data"
    assert (
        request.body
        == (
            f"--{boundary}\r\n"
            'Content-Disposition: form-data; name="file"; filename="é %22quoted%22%0D%0A.png"\r\n'
            "Content-Type: image/png\r\n\r\nabcdef\r\n"
            f"--{boundary}--\r\n"
        ).encode()
    )


async def test_a_mime_type_cannot_carry_a_header(connect: Connect) -> None:
    async with says(UPLOADED) as server:
        await connect(server.url).upload_asset(b"x", filename="f", mime="a/b\r\nX: y", size=1, key="k")
        assert b"Content-Type: application/octet-stream\r\n\r\nx\r\n" in (await only_request(server)).body


@pytest.mark.parametrize("size", [5, 7])
async def test_an_upload_of_another_size_than_announced_is_never_completed(
    connect: Connect, size: int
) -> None:
    async with says(UPLOADED) as server:
        with pytest.raises(ValueError, match="size"):
            await connect(server.url).upload_asset(
                pieces(b"abc", b"def"), filename="f", mime="image/png", size=size, key="k"
            )
        assert server.requests == []


async def test_a_fault_of_the_content_is_not_taken_for_one_of_heygen(connect: Connect) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"abc"
        raise TimeoutError("storage")

    async with says(UPLOADED) as server:
        with pytest.raises(TimeoutError, match="storage"):
            await connect(server.url).upload_asset(broken(), filename="f", mime="image/png", size=6, key="k")


async def test_every_answer_is_observed_under_its_route(http: httpx.AsyncClient) -> None:
    seen: list[tuple[str, int]] = []

    def observe(operation: str, response: httpx.Response, payload: object) -> None:
        assert payload == {}
        seen.append((operation, response.status_code))

    async with says({}, "404 Not Found") as server:
        heygen = HeyGen(
            http, f"{server.url}/", "k", create_timeout=LIMIT, read_timeout=LIMIT, observe=observe
        )
        with pytest.raises(Missing):
            await heygen.get_video("secret-id")
        with pytest.raises(Missing):
            await heygen.create("/v3/avatars", b"{}", "k")
        assert server.requests[0].line == "GET /v3/videos/secret-id HTTP/1.1"
    assert seen == [("GET /v3/videos/{id}", 404), ("POST /v3/avatars", 404)]


async def test_an_endpoint_is_registered_and_its_secret_shown_to_nobody_else(connect: Connect) -> None:
    made = {"endpoint_id": "ep_1", "url": "https://a.example/h", "events": None, "secret": "whsec_c2VjcmV0"}
    async with says({"data": made}) as server:
        endpoint = await connect(server.url).create_endpoint(
            "https://a.example/h", ["batch.finished"], key="k"
        )
        request = await only_request(server)
    assert (endpoint.id, endpoint.events, endpoint.secret) == ("ep_1", None, "whsec_c2VjcmV0")
    assert "whsec" not in repr(endpoint)
    assert request.line == "POST /v3/webhooks/endpoints HTTP/1.1"
    assert json.loads(request.body) == {"url": "https://a.example/h", "events": ["batch.finished"]}
    assert request.headers["idempotency-key"] == "k"


async def test_endpoints_are_listed_to_the_last_page_but_not_in_a_circle(connect: Connect) -> None:
    item = {"endpoint_id": "ep_1", "url": "u", "events": ["a"], "status": "enabled", "secret": None}
    async with says({"data": [item, {"url": "?"}], "has_more": True, "next_token": "t"}) as server:
        found = await connect(server.url).list_endpoints()
        lines = [request.line.split(" ")[1] for request in server.requests]
    assert (found[0].id, found[0].events, found[0].secret) == ("ep_1", ("a",), None)
    assert lines[:2] == ["/v3/webhooks/endpoints?limit=100", "/v3/webhooks/endpoints?limit=100&token=t"]
    assert len(lines) == len(found) == 10
