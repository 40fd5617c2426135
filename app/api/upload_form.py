"""A multipart form with one file, handed on while it arrives: nothing of it is held in memory or written twice."""

from __future__ import annotations

from collections.abc import AsyncIterator

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from app.errors import InvalidParameter

PART = "file"
MAX_PARTS = 20


class UploadForm:
    """The form in a request's body; its part `file` is the file, other parts are skipped.

    What the part says of its type is not read: the bytes tell.
    """

    def __init__(self, request: Request) -> None:
        """Raises InvalidParameter for anything but `multipart/form-data` with a boundary."""
        self.filename = ""
        self._stream = request.stream()
        self._parser = MultipartParser(
            _boundary(request.headers.get("content-type")),
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_end,
                "on_part_data": self._data,
                "on_part_end": self._end,
            },
        )
        self._parts = self._files = 0
        self._inside = self._complete = False
        self._name = self._value = self._disposition = b""
        self._pieces: list[bytes] = []

    async def chunks(self) -> AsyncIterator[bytes]:
        """The file's bytes; raises InvalidParameter for a broken form, and for one without exactly one whole file."""
        try:
            async for received in self._stream:
                self._parser.write(received)
                for piece in self._pieces:
                    yield piece
                self._pieces.clear()
            self._parser.finalize()
        except FormParserError as error:
            raise InvalidParameter("The form is not valid multipart/form-data.") from error
        if not self._complete:
            raise file_required()

    async def drain(self) -> None:
        """Read what is left: a client that is cut off while it writes sees a reset, not our answer."""
        async for _ in self._stream:
            pass

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise InvalidParameter(f"The form must have at most {MAX_PARTS} parts.")
        self._disposition = b""

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name = self._value = b""

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._inside = options.get(b"name") == PART.encode()
        if not self._inside:
            return
        self._files += 1
        if self._files > 1:
            raise InvalidParameter("'file' must be given once: one file an upload.", param=PART)
        self.filename = _text(options.get(b"filename", b""))

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._inside:
            self._pieces.append(data[start:end])

    def _end(self) -> None:
        self._complete = self._complete or self._inside
        self._inside = False


def file_required() -> InvalidParameter:
    """HeyGen's words for an upload without a file."""
    return InvalidParameter("File is required. Upload a file using multipart/form-data.", param=PART)


def _boundary(content_type: str | None) -> bytes:
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 0 < len(boundary) <= 70:  # RFC 2046 §5.1.1
        raise file_required()
    return boundary


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
