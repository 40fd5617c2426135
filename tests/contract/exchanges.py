"""What goes over the wire, judged by the contract: ours, and HeyGen's own where it is named."""

import json
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.contract.contract import heygens, ours
from tests.services import TLS


@dataclass
class Exchanges:
    """Requests and their answers as they went over the wire, judged one by one.

    A refused request may well be wrong; its answer may not.
    """

    seen: set[str] = field(default_factory=set)
    statuses: set[int] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)

    async def keep(self, response: httpx.Response) -> None:
        """Judge an exchange; to be a hook of a client."""
        self.judge(response.request, response.status_code, json.loads(await response.aread()))

    def judge(self, request: httpx.Request, status: int, answer: Any) -> None:
        """Keep what is wrong with it."""
        method, path = request.method, request.url.raw_path.decode()
        body: Any = {"file": b""}
        if "multipart" not in request.headers.get("content-type", ""):
            body = json.loads(request.content) if request.content else None
        for contract in filter(None, (ours(), heygens())):
            operation = contract.operation(method, path)
            found = contract.response_faults(method, path, status, answer)
            if status < 400:
                found += contract.request_faults(method, path, body)
            self.faults += [f"{operation}: {status}: {fault}" for fault in found]
        self.seen.add(str(ours().operation(method, path)))
        self.statuses.add(status)


class Overhearing(httpx.AsyncHTTPTransport):
    """Keeps what passes, and passes it on as a stream that was not read yet."""

    def __init__(self, exchanges: Exchanges) -> None:
        super().__init__(verify=TLS)
        self._exchanges = exchanges

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        response.request = request
        content = await response.aread()
        self._exchanges.judge(request, response.status_code, json.loads(content))
        return httpx.Response(
            response.status_code, headers=response.headers, stream=httpx.ByteStream(content)
        )
