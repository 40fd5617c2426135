"""The ids of what is forgotten by its id: of the service's clock, as a machine's may be wrong by months."""

from datetime import datetime

from uuid_utils.compat import uuid7


def id_at(now: datetime) -> str:
    """A new id, a UUIDv7 as 32 hex characters, of a row that is made at this instant."""
    return uuid7(nanoseconds=int(now.timestamp() * 1e9)).hex


def lowest_id_at(instant: datetime) -> str:
    """What no id of that instant, or of a later one, is below (RFC 9562 §5.7)."""
    return f"{int(instant.timestamp() * 1000):012x}7" + "0" * 19
