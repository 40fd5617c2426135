"""`GET /v3/users/me`: the caller's tenant, as HeyGen shows an account."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from app.api import answer_schemas
from app.api.answers import data
from app.api.dependencies import CallerDep

router = APIRouter()


@router.get("/v3/users/me", response_model=answer_schemas.One[answer_schemas.Account])
async def get_me(caller: CallerDep) -> Response:
    """Who calls. The wallet shows no balance: what a tenant may spend is not limited."""
    return data(
        {
            "username": caller.tenant_name,
            "email": None,
            "first_name": None,
            "last_name": None,
            "billing_type": "wallet",
            "wallet": {"currency": "usd", "remaining_balance": None, "auto_reload": None},
            "subscription": None,
            "usage_based": None,
        }
    )
