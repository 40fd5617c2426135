"""Files that a request brings, names or links to."""

from __future__ import annotations

import base64
import binascii
import uuid
from dataclasses import dataclass
from pathlib import Path

import httpx

from app.simulator.bodies import AssetInput
from app.simulator.errors import Refused, invalid, not_found
from app.simulator.media import SUFFIXES, mime_type
from app.simulator.store import Store
from app.simulator.trust import authorities

MEGABYTE = 1 << 20
UPLOAD_LIMIT = 32 * MEGABYTE
DOWNLOAD_LIMIT = 50 * MEGABYTE
DOWNLOAD_SECONDS = 10.0


@dataclass(frozen=True)
class File:
    """A file in the simulator's folder."""

    path: Path
    mime_type: str

    def content(self) -> bytes:
        """Its bytes."""
        return self.path.read_bytes()


class Sources:
    """Brings files into the simulator's folder."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.folder = store.folder / "assets"
        self.folder.mkdir(exist_ok=True)
        self._http: httpx.AsyncClient | None = None

    async def bring(self, source: AssetInput, param: str, allowed: frozenset[str]) -> File:
        """The file an AssetInput stands for. Raises Refused when there is none, or it is of no use here."""
        if source.asset_id is not None:
            return self.uploaded(source.asset_id, param, allowed)
        if source.url is not None:
            return await self.download(source.url, param, allowed)
        try:
            content = base64.b64decode(source.data or "", validate=True)
        except (binascii.Error, ValueError):
            raise invalid(f"{param}.data", f"'{param}.data' must be base64.") from None
        file = self.keep(content, param)
        if file.mime_type != source.media_type:
            raise invalid(param, f"Content type not match {source.media_type} != {file.mime_type}")
        return _allowed(file, param, allowed)

    def uploaded(self, asset_id: str, param: str, allowed: frozenset[str]) -> File:
        """The file of an asset. Raises Refused (404, 400)."""
        row = self._store.one("SELECT * FROM assets WHERE id = ? AND deleted = 0", asset_id)
        if row is None:
            raise not_found("asset", asset_id)
        return _allowed(File(Path(row["path"]), row["mime_type"]), param, allowed)

    async def download(self, url: str, param: str, allowed: frozenset[str]) -> File:
        """The file behind a link. Raises Refused (400 `download_failed`)."""
        try:
            content = await self._get(url)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            reason = type(error).__name__
            raise Refused(
                400, "download_failed", f"'{param}' could not be downloaded: {reason}.", param
            ) from None
        return _allowed(self.keep(content, param), param, allowed)

    def keep(self, content: bytes, param: str) -> File:
        """Store bytes of a type that HeyGen takes. Raises Refused (400)."""
        kind = mime_type(content)
        if kind is None:
            raise invalid(param, f"'{param}' is not a file of a supported type.")
        path = self.folder / f"{uuid.uuid4().hex}.{SUFFIXES[kind]}"
        path.write_bytes(content)
        return File(path, kind)

    async def close(self) -> None:
        """Let go of connections."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def _get(self, url: str) -> bytes:
        if self._http is None:
            self._http = httpx.AsyncClient(
                verify=authorities(), timeout=DOWNLOAD_SECONDS, trust_env=False, follow_redirects=True
            )
        content = bytearray()
        async with self._http.stream("GET", url) as response:
            response.raise_for_status()
            async for part in response.aiter_bytes():
                content += part
                if len(content) > DOWNLOAD_LIMIT:
                    raise httpx.HTTPError("too large")
        return bytes(content)


def _allowed(file: File, param: str, allowed: frozenset[str]) -> File:
    if file.mime_type not in allowed:
        names = ", ".join(sorted(SUFFIXES[kind] for kind in allowed))
        raise invalid(param, f"'{param}' must be one of these files: {names}.")
    return file
