"""Who may have a file: whoever holds a signed link to it, or the key of the tenant whose it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from app.api.dependencies import ContextDep, get_caller
from app.errors import Forbidden
from app.links import verify


@dataclass(frozen=True, slots=True)
class Holder:
    """Who asks for a file: the parts of the link that was followed, or else the key that came along."""

    request: Request
    ctx: ContextDep
    expires: str | None = None
    signature: str | None = None

    async def tenant_id(self, path: str, variant: str, thing: str) -> str | None:
        """The tenant of the key, or None for the holder of a good link; raises Forbidden and Unauthorized.

        `thing` is what a new link is read from.
        """
        if self.expires is None and self.signature is None:
            return (await get_caller(self.request, self.ctx)).tenant_id
        signed = (path, variant, self.expires or "", self.signature or "")
        if not verify(*signed, self.ctx.clock.now(), self.ctx.links.keys):
            raise Forbidden(f"This link has expired or was altered; read the {thing} again for a new one.")
        return None


HolderDep = Annotated[Holder, Depends()]
