"""What happened to a service, told by everybody but the service.

HeyGen's ledger and request log, the callers' receivers, what callers were answered, and the final tables. The service's
own log is never read.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from app.models import TERMINAL

OVERLAP = timedelta(hours=24)
"""For so long a secret that was rotated away goes on to sign."""


@dataclass(frozen=True)
class Bill:
    """A line of HeyGen's ledger: this key made, and was billed for, this video or look."""

    kind: str  # video | look | speech
    heygen_id: str
    key: str | None
    body_sha256: str
    at: datetime
    account_id: str = ""  # whose, where there are several

    @property
    def job_id(self) -> str:
        """Whose it is: our keys are the job's id and a number."""
        return (self.key or "").rpartition("-")[0]


@dataclass(frozen=True)
class Call:
    """A line of HeyGen's request log, in order of arrival."""

    method: str
    path: str  # with its query
    status: int | None  # None: the connection was dropped
    at: datetime
    key: str | None
    body_sha256: str
    retry_after: float | None = None  # seconds it was told to wait
    account_id: str = ""  # whose, where there are several

    @property
    def creates(self) -> bool:
        """Whether it may cost money."""
        return self.method == "POST" and self.path in {"/v3/videos", "/v3/avatars"}


SPEAK = "POST /v3/voices/speech"


@dataclass(frozen=True)
class Ask:
    """A create, or speech, as its caller saw it. Of an unknown outcome nothing is known, for ever."""

    tenant_id: str
    operation: str
    key: str | None  # Idempotency-Key
    body_sha256: str
    outcome: str  # accepted | refused | unknown
    job_id: str | None = None  # the batch's, where one was asked for
    callback_id: str | None = None  # as asked, one for each key: tells two jobs of one key apart
    items: tuple[str, ...] = ()  # the jobs of a batch, in the order of the answer


@dataclass(frozen=True)
class Webhook:
    """One POST that a receiver got."""

    url: str
    event_id: str  # webhook-id
    body: bytes
    status: int | None  # as answered; None: the connection was dropped
    at: datetime  # when it was signed, as it says
    signature: str

    @classmethod
    def got(cls, url: str, headers: Mapping[str, str], body: bytes, status: int | None) -> "Webhook":
        """As it came."""
        at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
        return cls(url, headers["webhook-id"], body, status, at, headers["webhook-signature"])


@dataclass(frozen=True)
class Secret:
    """What signs webhooks to an address, as its owner was told."""

    url: str
    value: str
    until: datetime | None = None  # None: it was not rotated away


def rotated(secrets: Iterable[Secret], url: str, value: str, now: datetime) -> list[Secret]:
    """These secrets, once that address has been given a new one."""
    kept = [replace(it, until=now + OVERLAP) if it.url == url and it.until is None else it for it in secrets]
    return [*kept, Secret(url, value)]


@dataclass(frozen=True)
class JobRow:
    """The end of a job."""

    id: str
    tenant_id: str
    account_id: str
    kind: str
    status: str
    number: int
    heygen_id: str | None = None
    slot_account_id: str | None = None
    failure_code: str | None = None
    billable: bool = False
    callback_url: str | None = None
    callback_id: str | None = None
    due_at: datetime | None = None
    finished_at: datetime | None = None
    batch_id: str | None = None
    batch_index: int | None = None

    @property
    def withdrawn(self) -> bool:
        """Whether it ended before HeyGen's word came."""
        return self.failure_code in {"canceled", "deadline_exceeded"}


@dataclass(frozen=True)
class BatchRow:
    """Many videos of one request, and how many of them have not ended."""

    id: str
    tenant_id: str
    total: int
    open: int
    completed: int = 0
    callback_url: str | None = None
    callback_id: str | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True)
class EventRow:
    """One line of a job's timeline, or the end of a batch."""

    id: str
    job_id: str | None
    number: int
    fact: str
    from_status: str | None
    to_status: str | None
    type: str | None = None
    body: bytes | None = None
    batch_id: str | None = None  # where there is no job

    @property
    def ends(self) -> bool:
        """Whether it moved its job to a terminal state."""
        return self.to_status in TERMINAL and self.from_status != self.to_status


@dataclass(frozen=True)
class SendRow:
    """One send, as it was written down before it was made."""

    job_id: str
    key: str
    body_sha256: str
    n: int
    send: int
    sent_at: datetime
    answered_at: datetime | None = None
    outcome: str | None = None
    body_kept: bool = False
    http_status: int | None = None


@dataclass(frozen=True)
class EndpointRow:
    """An address that was registered before anything was asked for, and stayed so, be it disabled at times."""

    id: str
    tenant_id: str
    url: str
    event_types: Sequence[str] | None = None  # None: all
    entity_id: str | None = None  # only what is told of this one

    def hears(self, event: EventRow, of: JobRow | BatchRow) -> bool:
        """Whether its tenant wants to be told there of how that ended."""
        subscribed = self.event_types is None or event.type in self.event_types
        return self.tenant_id == of.tenant_id and subscribed and self.entity_id in {None, of.id}


@dataclass(frozen=True)
class DeliveryRow:
    """One event owed to one endpoint."""

    id: str
    event_id: str
    target: str
    url: str
    status: str  # owed | delivered | dead
    attempts: int = 0


@dataclass(frozen=True)
class Tables:
    """The final tables, as far as promises were made of them."""

    jobs: Sequence[JobRow] = ()
    events: Sequence[EventRow] = ()
    sends: Sequence[SendRow] = ()
    deliveries: Sequence[DeliveryRow] = ()
    batches: Sequence[BatchRow] = ()
    endpoints: Sequence[EndpointRow] = ()
    # (tenant, operation, key) -> job or batch
    bound: dict[tuple[str, str, str], str] = field(default_factory=dict)
    files_due: Sequence[str] = ()  # jobs of which a file is still to be archived


@dataclass(frozen=True)
class History:
    """Everything that is known of one run."""

    tables: Tables
    bills: Sequence[Bill] = ()
    calls: Sequence[Call] = ()
    asks: Sequence[Ask] = ()
    webhooks: Sequence[Webhook] = ()
    secrets: Sequence[Secret] = ()
    peak: int = 0  # jobs in flight at HeyGen at once, of the account that had most
    cap: int | None = None  # of each account
    rendering: frozenset[str] = frozenset()  # HeyGen's ids that never end
    down: frozenset[str] = (
        frozenset()
    )  # receivers that were down to the end, and deliveries to them may be dead
    key_max_age: timedelta = timedelta(hours=20)
    clocks_differ: timedelta = timedelta(0)  # by which two replicas' clocks differ at most
    longest_read: timedelta | None = (
        None  # from its begin until it comes to HeyGen, where nobody is frozen for longer
    )

    @property
    def renders(self) -> list[Bill]:
        """What was billed for jobs."""
        return [bill for bill in self.bills if bill.kind != "speech"]

    @property
    def speeches(self) -> list[Bill]:
        """What was billed for callers who waited for it."""
        return [bill for bill in self.bills if bill.kind == "speech"]


def unsettled(tables: Tables, rendering: frozenset[str] = frozenset()) -> list[str]:
    """What is still to be done: while there is any, time must go on before promises are judged.

    `rendering`: HeyGen's ids of renders that never end; withdrawn jobs keep their slots and are asked about for long.
    """
    finished = [job for job in tables.jobs if job.status in TERMINAL]
    over = [job for job in finished if job.heygen_id not in rendering]
    return [
        *(f"job not terminal: {job.id} is {job.status}" for job in tables.jobs if job not in finished),
        *(f"slot leaked: {job.id} is {job.status}" for job in over if job.slot_account_id is not None),
        *(f"job still owed work: {job.id}" for job in over if job.due_at is not None),
        *(f"delivery still owed: {it.id}" for it in tables.deliveries if it.status == "owed"),
        *(f"file still owed: {job_id}" for job_id in tables.files_due),
    ]
