"""Named points at each boundary where a crash, a delay or a lost answer could do harm; they do nothing in production."""

from collections.abc import Awaitable, Callable

Failpoint = Callable[[str], Awaitable[None]]

NAMES = frozenset(
    {
        "accept.stored",
        "withdraw.stored",
        "paid.held",
        "paid.called",
        "callback.stored",
        "submit.claimed",
        "submit.uploaded",
        "submit.prepared",
        "submit.intended",
        "submit.sent",
        "submit.recorded",
        "unsure.claimed",
        "unsure.intended",
        "unsure.sent",
        "unsure.searched",
        "unsure.accepted",
        "unsure.recorded",
        "poll.claimed",
        "poll.sorted",
        "poll.returned",
        "poll.asked",
        "poll.recorded",
        "deliver.claimed",
        "deliver.posted",
        "deliver.recorded",
        "archive.claimed",
        "archive.fetched",
        "archive.recorded",
        "tidy.claimed",
        "tidy.asked",
        "tidy.deleted",
        "tidy.recorded",
        "sweep.read",
        "sweep.recorded",
        "reap.read",
        "reap.recorded",
    }
)


async def unarmed(name: str) -> None:
    """The failpoint of production: nothing happens."""
