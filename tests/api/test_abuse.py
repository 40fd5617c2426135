"""Hostile requests on the wire: each is refused with the field and the rule it broke, and nothing of it is stored."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from app.context import Context
from app.models import Asset, Group, IdempotencyKey, Job, Look
from app.simulator.app import Simulator
from tests.api.callers import PORTRAIT, VIDEO, create_video, error_of, read_video
from tests.services import run_worker

AVATAR = {"type": "photo", "name": "Sarah", "file": PORTRAIT}
JSON = {"Content-Type": "application/json", "Idempotency-Key": "k1"}
DEEP = 100_000


def spelled(field: str, value: str) -> bytes:
    """A video whose `field` stands there as these very characters; of a field that comes twice the last counts."""
    return f'{json.dumps(VIDEO)[:-1]}, "{field}": {value}}}'.encode()


UNREADABLE: dict[str, tuple[bytes, str | None, str]] = {
    "deep lists": (b'{"a": ' + b"[" * DEEP, None, "nested at most 32 levels"),
    "deep objects": (b'{"a": ' * DEEP, None, "nested at most 32 levels"),
    "100,000 digits": (spelled("title", "9" * DEEP), None, "more than 4300 digits"),
    "NaN": (spelled("voice_settings", '{"speed": NaN}'), None, "NaN is no JSON number"),
    "infinity": (spelled("voice_settings", '{"speed": -Infinity}'), None, "-Infinity is no JSON number"),
    "1e400": (spelled("voice_settings", '{"speed": 1e400}'), None, "beyond the range of a double"),
    "NUL": (spelled("script", r'"a\u0000b"'), "script", "must not contain the character U+0000"),
    "half a pair": (spelled("title", r'"\ud800"'), "title", "half of a surrogate pair"),
    "NUL in a key": (spelled(r"\u0000", "1"), None, "must not contain the character U+0000"),
    "UTF-16": (json.dumps(VIDEO).encode("utf-16"), None, "must be UTF-8"),
    "UTF-8 with a mark": (b"\xef\xbb\xbf{}", None, "byte-order mark"),
    "half a character": (b'{"script": "\xc3"}', None, "must be UTF-8"),
    "a form": (b"script=Hello", None, "must be valid JSON"),
    "two objects": (b"{}{}", None, "must be valid JSON"),
    "no object": (b"[1]", None, "must be a JSON object"),
}


async def stored(context: Context) -> int:
    """The rows that a create could have left."""
    tables = (Job, Look, Group, Asset, IdempotencyKey)
    async with context.database.begin() as session:
        return sum([await session.scalar(select(func.count()).select_from(table)) or 0 for table in tables])


async def test_no_spelling_of_json_does_worse_than_a_refusal(
    api: httpx.AsyncClient, served: Context, simulator: Simulator
) -> None:
    for path in ("/v3/videos", "/v3/avatars"):
        for case, (body, param, rule) in UNREADABLE.items():
            answer = await api.post(path, content=body, headers=JSON)
            assert error_of(answer) == (400, "invalid_parameter", param), (path, case)
            assert rule in answer.json()["error"]["message"], (path, case)
    assert await stored(served) == 0
    assert simulator.ledger() == []


async def test_of_a_field_that_comes_twice_the_last_is_checked(
    api: httpx.AsyncClient, served: Context
) -> None:
    answer = await api.post("/v3/videos", content=spelled("script", "false"), headers=JSON)
    assert error_of(answer) == (400, "invalid_parameter", "script")
    assert await stored(served) == 0


FOREIGN = ("tenant_id", "account_id", "state", "remote_id", "heygen_id", "cost", "webhook-id", "__proto__")
IMPOSSIBLE: list[tuple[dict[str, Any], str, str]] = [
    *(({name: "x"}, name, "is not a known field.") for name in FOREIGN),
    ({"voice_settings": {"speed": 10**4000}}, "voice_settings.speed", "must be a number."),
    ({"voice_settings": {"speed": 10**30}}, "voice_settings.speed", "must be between 0.5 and 1.5."),
    ({"greenroom": {"priority": 10**30}}, "greenroom.priority", "must be between -10 and 10."),
    ({"greenroom": {"deadline": "0001-01-01T00:00:00+23:59"}}, "greenroom.deadline", "ISO 8601 instant"),
    ({"greenroom": {"deadline": "9999-12-31T23:59:59-23:59"}}, "greenroom.deadline", "must be"),
    ({"greenroom": {"deadline": 1e308}}, "greenroom.deadline", "ISO 8601 instant"),
    ({"avatar_id": ["x"]}, "avatar_id", "must be a string."),
    ({"avatar_id": "x" * 1_000_000}, "avatar_id", "at most 255 characters."),
    ({"script": True}, "script", "must be a string."),
    ({"script": "\u200b\u2060\ufeff \u00ad"}, "script", "must not be blank."),
    ({"script": "a" * 5_001}, "script", "at most 5000 characters."),
    ({"title": "a\r\n\x1b[31mlevel=error"}, "title", "control characters."),
    (
        {"callback_url": "https://example.com/\r\nX: y"},
        "callback_url",
        "must be an absolute http or https URL.",
    ),
    ({"callback_url": "https://" + "a" * 300 + ".example/"}, "callback_url", "not a valid name."),
    (
        {"callback_url": "https://example.com:99999/"},
        "callback_url",
        "must be an absolute http or https URL.",
    ),
]


async def test_values_that_cannot_be_meant_are_refused_by_name(
    api: httpx.AsyncClient, served: Context
) -> None:
    for changes, param, rule in IMPOSSIBLE:
        answer = await api.post("/v3/videos", content=json.dumps(VIDEO | changes), headers=JSON)
        assert error_of(answer) == (400, "invalid_parameter", param), param
        assert rule in answer.json()["error"]["message"], param
    many = await api.post("/v3/videos", json={f"k{number}": 1 for number in range(10_000)}, headers=JSON)
    assert many.status_code == 400
    assert len(many.content) < 10_000, "it is told of the first faults only"
    assert await stored(served) == 0


@pytest.mark.parametrize(
    "text",
    ["'; DROP TABLE jobs; --", "{{7*7}}", "<script>&amp;", "%00%n", "\u202etxt.exe", "e" + "\u0301" * 900],
)
async def test_text_is_only_text(api: httpx.AsyncClient, served: Context, text: str) -> None:
    video_id = await create_video(api, title=text, script=text * 2, callback_id=text)
    await run_worker(served)
    video = await read_video(api, video_id)
    assert (video["title"], video["status"]) == (text, "processing")
    found = await api.get("/v3/videos", params={"title": text[:5]})
    assert [one["id"] for one in found.json()["data"]] == [video_id]


BODY = json.dumps(VIDEO).encode()
SIZE = len(BODY)
BROKEN = {
    "a negative length": b"Content-Length: -1\r\n\r\n",
    "a length with a sign": b"Content-Length: +%d\r\n\r\n" % SIZE,
    "two lengths": b"Content-Length: 5\r\nContent-Length: %d\r\n\r\n" % SIZE,
    "two codings": b"Transfer-Encoding: gzip, chunked\r\n\r\n",
    "a chunk of no size": b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "NUL in a header": b"X-A: a\0b\r\nContent-Length: %d\r\n\r\n" % SIZE,
    "a blank in a name": b"X A: b\r\nContent-Length: %d\r\n\r\n" % SIZE,
    "a short length": b"Content-Length: 10\r\n\r\n",
    "a coded body": b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % SIZE,
}


async def test_a_request_that_is_no_proper_http_orders_nothing(served: Context, key: str) -> None:
    start = f"POST /v3/videos HTTP/1.1\r\nHost: x\r\nX-Api-Key: {key}\r\nContent-Type: application/json\r\n"
    for case, rest in BROKEN.items():
        answer = await spoken(served, f"{start}Connection: close\r\n".encode() + rest + BODY)
        assert answer.startswith(b"HTTP/1.1 400 "), case
    assert (await spoken(served, b"\x16\x03\x01\x02\x00\xff\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
    assert await stored(served) == 0


ODD = [
    ("TRACE", "/v3/videos", 405),
    ("CONNECT", "greenroom:443", 404),
    ("get", "/v3/videos", 405),
    ("OPTIONS", "*", 404),
    ("GET", "http://elsewhere.test/v3/videos", 404),
    ("GET", "/v3/videos/%ff%fe", 404),
    ("GET", "/v3/videos/%ed%a0%80", 404),
    ("GET", "/v3/videos/" + "a" * 50_000, 404),
    ("DELETE", "/v3/videos/%00", 404),
    ("GET", "/v3/assets/%00/content?exp=%00&sig=%ff", 404),
    *(
        ("GET", f"/v3/{path}=%00", 400)
        for path in ("videos?token", "avatars?token", "avatars/looks?group_id")
    ),
    *(("GET", f"/v3/{path}=%00", 400) for path in ("voices?language", "videos/statuses?video_ids")),
]


async def test_odd_methods_and_targets_get_an_envelope(served: Context, key: str) -> None:
    for method, target, status in ODD:
        head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nX-Api-Key: {key}\r\nConnection: close\r\n\r\n"
        first, _, body = (await spoken(served, head.encode())).partition(b"\r\n\r\n")
        assert int(first.split()[1]) == status, (method, target[:60])
        assert json.loads(body)["error"]["message"], (method, target[:60])


async def test_headers_meant_for_a_proxy_change_nothing(api: httpx.AsyncClient, served: Context) -> None:
    video_id = await create_video(api)
    hostile = {
        "Host": "elsewhere.test",
        "X-Forwarded-Host": "elsewhere.test",
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Proto": "gopher",
        "X-Original-URL": "/v3/users/me",
        "X-HTTP-Method-Override": "DELETE",
        "Origin": "https://elsewhere.test",
        "Accept": "text/html",
    }
    for path in (f"/v3/videos/{video_id}", "/v3/videos"):
        plain, odd = await api.get(path), await api.get(path, headers=hostile)
        assert (odd.status_code, odd.json()) == (200, plain.json())
        assert not [name for name in odd.headers if name.startswith("access-control-")]
    uploaded = await api.post("/v3/assets", files={"file": ("a.pdf", b"%PDF-1.7\n")}, headers=hostile)
    assert uploaded.json()["data"]["url"].startswith(served.links.api_url)


async def spoken(served: Context, request: bytes) -> bytes:
    """What is answered to these very bytes until the connection is closed."""
    host, port = served.links.api_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v3/videos/{}"),
        ("DELETE", "/v3/videos/{}"),
        ("POST", "/v3/videos/{}/cancel"),
        ("GET", "/v3/videos/{}/content"),
        ("GET", "/v3/avatars/{}"),
        ("GET", "/v3/avatars/looks/{}"),
        ("GET", "/v3/voices/{}"),
        ("GET", "/v3/assets/{}"),
        ("DELETE", "/v3/assets/{}"),
        ("GET", "/v3/assets/{}/content"),
    ],
)
async def test_an_unknown_id_is_repeated_only_as_far_as_ids_go(
    api: httpx.AsyncClient, method: str, path: str
) -> None:
    short, long = [
        await api.request(method, path.format(given)) for given in ("f" * 32, "f" * 64 + "0" * 20_000)
    ]
    for answer in (short, long):
        assert answer.status_code in {403, 404}, answer.text
    assert len(long.json()["error"]["message"]) < 100
    assert "0" not in long.json()["error"]["message"]


async def test_an_unknown_id_of_usual_length_is_repeated_whole(api: httpx.AsyncClient) -> None:
    for given, said in (("a" * 64, "a" * 64), ("a" * 65, "a" * 64 + "…")):
        answer = await api.get(f"/v3/videos/{given}")
        assert answer.json()["error"]["message"] == f"Video {said} not found"
