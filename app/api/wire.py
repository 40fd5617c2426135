"""What is between the socket and the application: requests that are no HTTP, and heads that never end."""

from __future__ import annotations

import asyncio
import sys
from http import HTTPStatus

import structlog
import uuid_utils
from starlette.responses import JSONResponse
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.errors import ApiError, HeadTooLarge, InvalidParameter, envelope

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

LINGER_SECONDS = 2.0  # a client that is cut off while it still writes sees a reset, not the answer


class Wire(H11Protocol):
    """uvicorn's own protocol, but every error is our envelope, and a head has to arrive in time."""

    head_seconds = (
        30.0  # from the connection, or from the answer before, to the end of the next request's head
    )

    _refused = False
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # what TCP has
        """Begin to wait for a head."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, unless the connection only lingers for the client to read why it ends."""
        if not self._refused:
            super().data_received(data)

    def on_response_complete(self) -> None:
        """Wait for the next head; uvicorn's own limit ends as soon as one byte of it has come."""
        super().on_response_complete()
        if not self.transport.is_closing():
            self._await_head()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 -- uvicorn's words, and its name
        """Answer what h11 could not read; called while its error is handled."""
        hint = getattr(sys.exc_info()[1], "error_status_hint", HTTPStatus.BAD_REQUEST)
        if hint == HeadTooLarge.status:
            self._refuse(HeadTooLarge())
        else:
            self._refuse(InvalidParameter("This is not a valid HTTP/1.1 request."))

    def _refuse(self, error: ApiError) -> None:
        self._refused = True
        begun = self.cycle is not None and not self.cycle.response_complete and self.cycle.response_started
        if self.cycle is not None:
            self.cycle.disconnected = True  # whoever still works on this connection can say nothing more
            self.cycle.message_event.set()
        if begun:
            self.transport.close()
            return
        request_id = uuid_utils.uuid7().hex
        log.info("request_unreadable", request_id=request_id, status=error.status)
        self.transport.write(_answer(error, request_id))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self._stop_waiting()
        self._timer = self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _await_head(self) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(self.head_seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        # While a request is answered, its body is waited for by whoever reads it.
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


def _answer(error: ApiError, request_id: str) -> bytes:
    """A whole answer as bytes: its request has no scope that an application could answer to."""
    headers = {"Connection": "close", "X-Request-Id": request_id}
    answer = JSONResponse(envelope(error, request_id), error.status, headers)
    lines = [f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}".encode()]
    lines += [name + b": " + value for name, value in answer.raw_headers]
    return b"\r\n".join([*lines, b"", bytes(answer.body)])
