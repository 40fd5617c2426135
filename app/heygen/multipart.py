"""A multipart body with one file, sent as it is read and with its length known beforehand; pure but for the content."""

import re
from collections.abc import AsyncIterator

Content = AsyncIterator[bytes] | bytes

_MIME = re.compile(r"[A-Za-z0-9!#$&^_.+\-]+/[A-Za-z0-9!#$&^_.+\-]+")


class FileForm:
    """The form with its only part, `file`, of exactly `size` bytes; `boundary` must not occur in the content."""

    def __init__(self, boundary: str, *, filename: str, mime: str, size: int) -> None:
        self._head = _head(boundary, filename, mime)
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._size = size
        self.headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(self._head) + size + len(self._tail)),
        }

    async def body(self, content: Content) -> AsyncIterator[bytes]:
        """The body in pieces; raises ValueError before the end when the content is longer or shorter than `size`."""
        yield self._head
        sent = 0
        async for chunk in _chunks(content):
            sent += len(chunk)
            if sent > self._size:
                raise ValueError(f"size: the content is longer than the {self._size} bytes announced")
            yield chunk
        if sent < self._size:
            raise ValueError(f"size: {self._size} bytes were announced, the content has {sent}")
        yield self._tail


def _head(boundary: str, filename: str, mime: str) -> bytes:
    """The part's header, the name escaped as HTML's own form submission does (HTML standard, §4.10.21.8)."""
    name = re.sub(r"[\x00-\x1f\x7f\"]", lambda found: f"%{ord(found[0]):02X}", filename)
    kind = mime if _MIME.fullmatch(mime) else "application/octet-stream"  # HeyGen looks at the bytes anyway
    disposition = f'Content-Disposition: form-data; name="file"; filename="{name}"'
    return f"--{boundary}\r\n{disposition}\r\nContent-Type: {kind}\r\n\r\n".encode("utf-8", "replace")


async def _chunks(content: Content) -> AsyncIterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    async for chunk in content:
        yield chunk
