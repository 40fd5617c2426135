"""What `/healthz` and `/readyz` answer, as the OpenAPI document tells it."""

from typing import Literal

from app.api.answer_schemas import Answer


class Alive(Answer):
    status: Literal["ok"]


class PausedAccount(Answer):
    name: str
    reason: str | None


class Unknown(Answer):
    kind: str
    operation: str
    name: str
    times: int


class Contract(Answer):
    unknown: list[Unknown]
    ignored_callbacks: dict[str, int]


class Ready(Answer):
    status: Literal["ready"]
    simulated: bool
    completion: Literal["polling", "callbacks"]
    paused_accounts: list[PausedAccount]
    contract: Contract
