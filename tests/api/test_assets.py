"""`/v3/assets`: files are taken in as they arrive, kept once, and shown to their tenant alone."""

import asyncio
import hashlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import func, select

from app.context import Context
from app.models import Account, Asset
from app.simulator.app import Simulator
from tests.api.callers import at_heygen, caller, error_of
from tests.api.photos import picture, upload, uploaded
from tests.clocks import ManualClock
from tests.services import TLS

MB = 1024 * 1024
SRT = b"1\n00:00:00,000 --> 00:00:02,000\nHello\n"
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(64)
MP4 = b"\x00\x00\x00\x18ftypisom" + bytes(64)


Files = Callable[[], list[Path]]


@pytest.fixture
def files(context: Context, tmp_path: Path) -> Files:
    """Every file in the storage, unfinished ones too."""
    return lambda: [path for path in (tmp_path / "files").rglob("*") if path.is_file()]


async def count(context: Context) -> int:
    async with context.database.begin() as session:
        return int(await session.scalar(select(func.count()).select_from(Asset)) or 0)


async def test_an_upload_answers_with_its_type_size_and_a_link_that_needs_no_key(
    api: httpx.AsyncClient,
) -> None:
    content = picture()
    answer = await upload(api, content)
    assert answer.status_code == 200
    asset = answer.json()["data"]
    assert set(asset) == {"asset_id", "url", "mime_type", "size_bytes"}
    assert (asset["mime_type"], asset["size_bytes"]) == ("image/png", len(content))
    async with httpx.AsyncClient(verify=TLS) as stranger:
        file = await stranger.get(asset["url"])
    assert (file.status_code, file.content) == (200, content)
    assert file.headers["content-type"] == "image/png"


async def test_the_bytes_tell_the_type_whatever_the_name_says(api: httpx.AsyncClient) -> None:
    kinds = {
        "image/jpeg": picture(kind="JPEG"),
        "application/x-subrip": SRT,
        "audio/wav": WAV,
        "video/mp4": MP4,
        "application/pdf": b"%PDF-1.7\n",
    }
    for mime, content in kinds.items():
        answer = await upload(api, content, "misleading.exe")
        assert answer.json()["data"]["mime_type"] == mime


async def test_other_types_are_refused_and_leave_nothing(
    api: httpx.AsyncClient, context: Context, files: Files
) -> None:
    for content in (b"just text", b"<html><script>", b"GIF89a" + bytes(100), bytes(10_000), b"PK\x03\x04"):
        assert error_of(await upload(api, content)) == (400, "invalid_parameter", "file")
    assert await count(context) == 0
    assert files() == []


def part(name: str, content: bytes, end: bytes = b"\r\n--x--\r\n") -> bytes:
    """A form's body with one part; the boundary is x."""
    return b"--x\r\nContent-Disposition: form-data; " + name.encode() + b"\r\n\r\n" + content + end


FORM = "multipart/form-data; boundary=x"
WITHOUT_A_FILE = {
    "nothing": (b"", None),
    "json": (b"{}", "application/json"),
    "no parts": (b"--x--\r\n", FORM),
    "empty": (b"", FORM),
    "no boundary": (b"anything", "multipart/form-data"),
    "another name": (part('name="photo"; filename="a.srt"', SRT), FORM),
    "an empty file": (part('name="file"; filename=""', b""), FORM),
    "cut off": (part('name="file"; filename="a.srt"', SRT, end=b""), FORM),
}


async def test_a_form_without_a_whole_file_is_refused_in_heygens_words(
    api: httpx.AsyncClient, files: Files
) -> None:
    for case, (body, content_type) in WITHOUT_A_FILE.items():
        headers = {"Content-Type": content_type} if content_type else {}
        answer = await api.post("/v3/assets", content=body, headers=headers)
        assert error_of(answer) == (400, "invalid_parameter", "file"), case
        expected = "File is required. Upload a file using multipart/form-data."
        assert answer.json()["error"]["message"] == expected, case
    assert files() == []


BROKEN = {
    "garbage": b"no boundary at all",
    "a huge header": b"--x\r\n" + b"X" * 100_000 + b": y\r\n\r\n--x--\r\n",
    "a thousand parts": b"\r\n".join(part(f'name="{n}"', b"", end=b"") for n in range(1000)),
    "two files": part('name="file"; filename="a"', SRT, b"\r\n") + part('name="file"; filename="b"', SRT),
}


async def test_a_broken_form_is_refused(api: httpx.AsyncClient, context: Context, files: Files) -> None:
    for case, body in BROKEN.items():
        answer = await api.post("/v3/assets", content=body, headers={"Content-Type": FORM})
        assert error_of(answer)[:2] == (400, "invalid_parameter"), case
    assert await count(context) == 0
    assert files() == []


NAMES = {
    "../../etc/passwd": "passwd",
    "C:\\photos\\me.png": "me.png",
    "": "file",
    "...": "file",
    "名前 — é.png": "名前 — é.png",
    "x" * 1000 + ".png": "x" * 251 + ".png",
    "a\u202egnp.exe": "agnp.exe",
    'a\\"b.png': 'a"b.png',
}


async def test_odd_file_names_do_no_harm(api: httpx.AsyncClient) -> None:
    for number, (given, kept) in enumerate(NAMES.items()):
        content = SRT + str(number).encode()
        body = part(f'name="file"; filename="{given}"', content)
        answer = await api.post("/v3/assets", content=body, headers={"Content-Type": FORM})
        assert answer.status_code == 200, answer.text
        asset = (await api.get(f"/v3/assets/{answer.json()['data']['asset_id']}")).json()["data"]
        assert asset["name"] == kept


async def test_other_parts_of_the_form_are_skipped(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v3/assets", data={"folder": "x" * 5000}, files={"file": ("a.srt", SRT)})
    assert answer.json()["data"]["size_bytes"] == len(SRT)


async def test_a_file_beyond_the_limit_of_its_type_is_refused_visibly_and_not_kept(
    api: httpx.AsyncClient, files: Files
) -> None:
    answer = await upload(api, picture() + bytes(32 * MB))
    assert error_of(answer) == (413, "payload_too_large", "file")
    assert files() == []
    audio = await upload(api, WAV + bytes(33 * MB), "long.wav")
    assert audio.status_code == 200


async def test_the_same_bytes_are_the_same_asset(api: httpx.AsyncClient, files: Files) -> None:
    first = await uploaded(api)
    again = await upload(api, picture(), "another name.png")
    assert again.json()["data"]["asset_id"] == first
    assert len(files()) == 1


async def test_twenty_simultaneous_uploads_of_the_same_bytes_are_one_asset(
    api: httpx.AsyncClient, context: Context, files: Files
) -> None:
    content = picture(2000, 2000)
    answers = await asyncio.gather(*(upload(api, content, f"{n}.png") for n in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["data"]["asset_id"] for answer in answers}) == 1
    assert await count(context) == 1
    [file] = files()
    assert hashlib.sha256(file.read_bytes()).digest() == hashlib.sha256(content).digest()


async def test_another_tenant_has_an_asset_of_its_own_and_sees_no_other(
    api: httpx.AsyncClient, served: Context, account: Account
) -> None:
    asset_id = await uploaded(api)
    async with (
        caller(served, account, "other") as other,
        caller(served, account, "wide", account_wide=True) as wide,
    ):
        assert await uploaded(other) != asset_id
        for stranger in (other, wide):
            for path in (f"/v3/assets/{asset_id}", f"/v3/assets/{asset_id}/content"):
                assert error_of(await stranger.get(path)) == (404, "asset_not_found", None)
            deleted = await stranger.delete(f"/v3/assets/{asset_id}")
            assert error_of(deleted) == (404, "asset_not_found", None)
    assert (await api.get(f"/v3/assets/{asset_id}")).status_code == 200


async def test_an_asset_reads_as_at_heygen(api: httpx.AsyncClient, clock: ManualClock) -> None:
    asset_id = await uploaded(api)
    asset = (await api.get(f"/v3/assets/{asset_id}")).json()["data"]
    assert asset["id"] == asset_id
    assert (asset["name"], asset["owner"], asset["type"]) == ("portrait.png", "acme", "image")
    assert asset["uploaded_at"] == int(clock.now().timestamp())
    assert isinstance(asset["space_id"], str)
    assert asset["folder_id"] is None
    assert (await api.get(asset["url"], headers={"x-api-key": ""})).status_code == 200


async def test_a_deleted_asset_is_gone_and_its_bytes_can_be_uploaded_anew(
    api: httpx.AsyncClient, clock: ManualClock
) -> None:
    asset_id = await uploaded(api)
    url = (await api.get(f"/v3/assets/{asset_id}")).json()["data"]["url"]
    deleted = await api.delete(f"/v3/assets/{asset_id}")
    assert (deleted.status_code, deleted.json()) == (200, {"data": {"id": asset_id}})
    for path in (f"/v3/assets/{asset_id}", f"/v3/assets/{asset_id}/content", url):
        assert error_of(await api.get(path)) == (404, "asset_not_found", None)
    assert await uploaded(api) != asset_id
    # A client that lost the answer asks again; much later the asset was never there.
    assert (await api.delete(f"/v3/assets/{asset_id}")).status_code == 200
    clock.advance(timedelta(hours=25))
    assert error_of(await api.delete(f"/v3/assets/{asset_id}")) == (404, "asset_not_found", None)


async def test_an_unknown_asset_is_asked_of_heygen_for_who_sees_the_account(
    api: httpx.AsyncClient, served: Context, account: Account, heygen_url: str, simulator: Simulator
) -> None:
    async with at_heygen(heygen_url) as direct:
        theirs = (await upload(direct, picture())).json()["data"]["asset_id"]
    assert (await api.get(f"/v3/assets/{theirs}")).json()["data"]["id"] == theirs
    assert error_of(await api.get("/v3/assets/nowhere")) == (404, "asset_not_found", None)
    asked = len(simulator.requests("GET", "/v3/assets"))
    async with caller(served, account, "other") as other:
        assert error_of(await other.get(f"/v3/assets/{theirs}")) == (404, "asset_not_found", None)
    assert len(simulator.requests("GET", "/v3/assets")) == asked


async def test_the_link_serves_ranges_and_ends(api: httpx.AsyncClient, clock: ManualClock) -> None:
    content = picture()
    url = (await upload(api, content)).json()["data"]["url"]
    part = await api.get(url, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, content[10:20])
    head = await api.head(url)
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(content)))
    clock.advance(timedelta(days=9))
    assert error_of(await api.get(url)) == (403, "forbidden", None)


async def test_an_altered_link_opens_nothing(api: httpx.AsyncClient) -> None:
    url = (await upload(api, picture())).json()["data"]["url"]
    other = await uploaded(api, picture(color="red"))
    assert error_of(await api.get(url[:-1] + ("0" if url[-1] != "0" else "1")))[0] == 403
    moved = urlsplit(url)._replace(path=f"/v3/assets/{other}/content").geturl()
    assert error_of(await api.get(moved))[0] == 403
    async with httpx.AsyncClient(verify=TLS) as stranger:
        bare = await stranger.get(url.partition("?")[0])
    assert error_of(bare)[:2] == (401, "unauthorized")


async def test_a_key_reads_the_content_of_its_own(api: httpx.AsyncClient) -> None:
    asset_id = await uploaded(api)
    assert (await api.get(f"/v3/assets/{asset_id}/content")).content == picture()


async def test_an_idempotency_key_stands_for_one_file(api: httpx.AsyncClient, files: Files) -> None:
    key = {"Idempotency-Key": "k1"}
    first = await upload(api, picture(), **key)
    again = await upload(api, picture(), **key)
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"
    other = await upload(api, picture(color="red"), **key)
    assert error_of(other) == (422, "idempotency_key_reused", "Idempotency-Key")
    assert len(files()) == 1


async def test_without_a_key_nothing_is_read_or_stored(served: Context, files: Files) -> None:
    async with httpx.AsyncClient(base_url=served.links.api_url, verify=TLS) as stranger:
        answer = await upload(stranger, picture())
    assert error_of(answer)[:2] == (401, "unauthorized")
    assert files() == []
