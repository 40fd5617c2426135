"""`/v3/users/me`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from app.simulator.routes.pages import WorldDep
from app.simulator.world import BALANCE_USD, USERNAME

router = APIRouter(prefix="/v3/users")


@router.get("/me")
async def me(response: Response, world: WorldDep) -> dict[str, Any]:
    """The account; the header tells a client that this is not HeyGen."""
    response.headers["X-Greenroom-Simulator"] = "1"
    subscribed = bool(world.faults.strike("subscription"))
    wallet = {
        "currency": "usd",
        "remaining_balance": round(BALANCE_USD - world.record.spent(), 4),
        "auto_reload": {"enabled": False, "threshold_usd": None, "amount_usd": None},
    }
    credits = {"remaining": 100, "resets_at": None}
    return {
        "data": {
            "username": USERNAME,
            "email": None,
            "first_name": None,
            "last_name": None,
            "billing_type": "subscription" if subscribed else "wallet",
            "wallet": None if subscribed else wallet,
            "subscription": {"plan": "pro", "credits": {"premium_credits": credits}} if subscribed else None,
            "usage_based": None,
        }
    }
