"""Files that no row of ours holds, looked up at HeyGen for who sees the whole account: from cached reads, together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from app.api.upstream import MOST_LOOK_UPS, ask
from app.context import Context
from app.errors import NotFound
from app.heygen.errors import Missing
from app.tenancy import Caller


async def absent_assets(ctx: Context, caller: Caller, asset_ids: Iterable[str]) -> frozenset[str]:
    """Those of which HeyGen says that it does not have them; what it cannot tell now is left to the job."""
    asked = list(dict.fromkeys(asset_ids))[:MOST_LOOK_UPS]
    absent = await asyncio.gather(*(_is_absent(ctx, caller, asset_id) for asset_id in asked))
    return frozenset(asset_id for asset_id, it in zip(asked, absent, strict=True) if it)


async def check_assets(ctx: Context, caller: Caller, named: Mapping[str, str]) -> None:
    """Files by the fields that name them. Raises NotFound for the first that HeyGen does not have."""
    absent = await absent_assets(ctx, caller, named.values())
    for param, asset_id in named.items():
        if asset_id in absent:
            raise NotFound.asset(asset_id, param=param)


async def _is_absent(ctx: Context, caller: Caller, asset_id: str) -> bool:
    connection = ctx.connections.get(caller.account_id)
    try:
        if connection is not None:
            await ask(connection.catalog.asset(asset_id))
    except Missing:
        return True
    return False
