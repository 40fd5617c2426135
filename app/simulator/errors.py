"""Refusals in HeyGen's envelope."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi.responses import JSONResponse, Response

DOCS = "https://developers.heygen.com/docs/error-codes#"


class Refused(Exception):
    """An answer other than 200; `param` names the field at fault, `html` says it comes from a gateway."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        param: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        html: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.headers = dict(headers or {})
        self.html = html

    def within(self, item: str) -> Refused:
        """The same of one item of a batch: the batch as a whole is refused."""
        param = item if self.param is None else f"{item}.{self.param}"
        return Refused(400, self.code, f"In '{item}': {self.message}", param)

    def response(self) -> Response:
        """The answer that says so."""
        if self.html:
            return gateway_page(self.status, self.message)
        error: dict[str, str | None] = {"code": self.code, "message": self.message}
        if self.status != 401:  # the recorded 401 has no `param`
            error["param"] = self.param
        error["doc_url"] = DOCS + self.code.replace("_", "-")
        return JSONResponse({"error": error}, self.status, headers=self.headers)


class Dropped(Exception):
    """The connection ends here, without an answer."""


def invalid(param: str | None, message: str) -> Refused:
    """400 for a field that breaks a rule."""
    return Refused(400, "invalid_parameter", message, param)


def unauthorized() -> Refused:
    """401, the same for a missing and a wrong key."""
    return Refused(401, "unauthorized", "Unauthorized")


def rate_limited(retry_after: float) -> Refused:
    """429; `retry_after` in seconds, sent as a whole number of at least one."""
    message = "Too many requests. Retry after the duration specified in the Retry-After header."
    return Refused(
        429, "rate_limit_exceeded", message, headers={"Retry-After": str(max(1, round(retry_after)))}
    )


def not_found(kind: str, wanted: str) -> Refused:
    """404 such as `video_not_found`."""
    return Refused(404, f"{kind}_not_found", f"{kind.replace('_', ' ').capitalize()} {wanted} not found")


def gateway_page(status: int, title: str) -> Response:
    """What a load balancer in front of HeyGen says: HTML, no envelope."""
    page = f"<html><head><title>{status} {title}</title></head><body><h1>{status} {title}</h1></body></html>"
    return Response(page, status, media_type="text/html")
