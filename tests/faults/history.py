"""The promises of the service, checked against what happened: the truth of every test that injects faults.

`violations` is for a service at rest: what `unsettled` still names is broken by then.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import TypeVar

import standardwebhooks

from app.lifecycle import TRANSITIONS
from app.models import TERMINAL
from app.worker import deliver
from tests.faults.records import (
    SPEAK,
    BatchRow,
    Call,
    EndpointRow,
    EventRow,
    History,
    JobRow,
    Webhook,
    unsettled,
)

T = TypeVar("T")
K = TypeVar("K")

RULES = {fact.__name__: rule for fact, rule in TRANSITIONS.items()}
NOTES = frozenset({"late", "ArchiveGivenUp"})
"""What is recorded of a job without moving it."""


def violations(history: History) -> list[str]:
    """Each broken promise, by name and whose it is; none is as it should be."""
    return [broken for check in CHECKS for broken in check(history)]


def _not_at_rest(history: History) -> Iterator[str]:
    yield from unsettled(history.tables, history.rendering)


def _accepted_jobs(history: History) -> Iterator[str]:
    """What a caller was answered is there, under its tenant."""
    tables = history.tables
    rows: list[JobRow | BatchRow | EndpointRow] = [*tables.jobs, *tables.batches, *tables.endpoints]
    things = {it.id: it for it in rows}
    for ask in history.asks:
        if ask.outcome != "accepted" or ask.operation == SPEAK:
            continue
        word = "batch" if ask.items else "endpoint" if "/webhooks/" in ask.operation else "job"
        made = things.get(ask.job_id or "")
        if made is None:
            yield f"accepted {word} lost: {ask.job_id}, key {ask.key}"
        elif made.tenant_id != ask.tenant_id:
            yield f"accepted {word} of another tenant: {made.id}, key {ask.key}"


def _idempotency(history: History) -> Iterator[str]:
    """One key of a tenant is one body and one job, whatever was lost on the way."""
    keyed = [ask for ask in history.asks if ask.key is not None]
    for key, asks in _grouped(keyed, lambda it: (it.tenant_id, it.operation, it.key or "")):
        accepted = [ask for ask in asks if ask.outcome == "accepted"]
        ids = {ask.job_id for ask in accepted}
        if len({ask.body_sha256 for ask in accepted}) > 1:
            yield f"one client key accepted with two bodies: {key[2]}"
        if len(ids) > 1:
            yield f"one client key, two jobs: {key[2]} is {_listed(ids)}"
        bound = history.tables.bound.get(key)
        if accepted and bound not in ids:
            yield f"client key bound to another job than was answered: {key[2]}"
    things: list[JobRow | BatchRow] = [*history.tables.jobs, *history.tables.batches]
    stored = Counter((it.tenant_id, it.callback_id) for it in things)
    for (tenant_id, callback_id), asks in _grouped(
        [ask for ask in history.asks if ask.callback_id], lambda it: (it.tenant_id, it.callback_id)
    ):
        made = stored[tenant_id, callback_id]
        unkeyed = sum(ask.key is None for ask in asks)
        if made > max(len({ask.key for ask in asks if ask.key}) + unkeyed, 1):
            yield f"one request stored {made} times: callback_id {callback_id}"
        if made and all(ask.outcome == "refused" for ask in asks):
            yield f"refused, yet stored: callback_id {callback_id}"


def _paid_calls(history: History) -> Iterator[str]:
    """A caller's key pays for one speech at most, and HeyGen honours none of ours there."""
    asked: dict[tuple[str, str], set[str]] = defaultdict(set)
    for ask in history.asks:
        if ask.operation == SPEAK:
            asked[ask.tenant_id, ask.key or ""].add(ask.outcome)
    spoken = Counter(bill.key for bill in history.speeches)
    for key, times in spoken.items():
        if times > 1:
            yield f"paid call billed {times} times: key {key}"
    if len(spoken) > len(asked):
        yield f"paid calls billed that nobody asked for: {len(spoken)}, of {len(asked)} keys"
    had = sum("accepted" in outcomes for outcomes in asked.values())
    if len(spoken) < had:
        yield f"paid calls answered that were never made: {had}, of {len(spoken)}"


def _timelines(history: History) -> Iterator[str]:
    """Each job's events are gapless, and move it as the table of transitions allows."""
    of_jobs = [event for event in history.tables.events if event.batch_id is None]
    events = dict(_grouped(of_jobs, lambda it: it.job_id))
    for job in history.tables.jobs:
        timeline = sorted(events.pop(job.id, []), key=lambda it: it.number)
        numbers = [event.number for event in timeline]
        if numbers != list(range(1, job.number + 1)):
            yield f"event numbers with a gap: {job.id} has {numbers}, its row says {job.number}"
        yield from _replayed(job, timeline)
    for job_id in events:
        yield f"events of no job: {job_id}"


def _replayed(job: JobRow, timeline: list[EventRow]) -> Iterator[str]:
    state: str | None = None
    for event in timeline:
        move = f"{job.id} {event.number} {event.fact}: {event.from_status} to {event.to_status}"
        if event.fact in NOTES:
            if event.to_status not in {None, state}:
                yield f"illegal transition: {move}"
            continue
        sources, target = RULES.get(event.fact, (frozenset(), None))
        enqueued = state is None and event.fact == "Enqueued" and event.to_status == "queued"
        if state in TERMINAL:
            word = "terminal twice" if event.to_status in TERMINAL else "left a terminal state"
            yield f"{word}: {move}"
        elif not enqueued and (state not in sources or event.to_status != target):
            yield f"illegal transition: {move}"
        if event.from_status != state:
            yield f"event tells another state than the job had: {move}, was {state}"
        state = event.to_status
    if state != job.status:
        yield f"timeline ends elsewhere: {job.id} is {job.status}, its events say {state}"


def _renders(history: History) -> Iterator[str]:
    """At most one bill a job, and no bill that its job does not know of."""
    jobs = {job.id: job for job in history.tables.jobs}
    for job_id, bills in _grouped(history.renders, lambda it: it.job_id):
        if len(bills) > 1:
            yield f"two renders for one job: {job_id} was billed {len(bills)} times"
        job = jobs.get(job_id)
        for bill in bills:
            if job is None:
                yield f"render of no job: {bill.heygen_id}, key {bill.key}"
            elif bill.account_id not in {"", job.account_id}:
                yield f"render on another account than its job's: {bill.heygen_id} of {job_id}"
            elif job.heygen_id != bill.heygen_id:
                yield f"render orphaned: {bill.heygen_id} of {job_id}, which knows {job.heygen_id}"


def _ids_at_heygen(history: History) -> Iterator[str]:
    """A render is of one job, and a job that came to something has one, and says that it costs; no other says so."""
    billed = {bill.heygen_id for bill in history.renders}
    perhaps_made = {bill.job_id for bill in history.renders}
    perhaps_made |= {it.job_id for it in history.tables.sends if it.outcome not in {"refused", "unsent"}}
    for job in history.tables.jobs:
        if job.heygen_id is not None and job.heygen_id not in billed:
            yield f"job holds an id that HeyGen never billed: {job.id}, {job.heygen_id}"
        if job.status == "completed" and job.heygen_id is None:
            yield f"completed without a render: {job.id}"
        if job.heygen_id in billed and (job.withdrawn or job.status == "completed") and not job.billable:
            yield f"billed, yet told to be free: {job.id}"
        if job.billable and job.id not in perhaps_made:
            yield f"never made, yet told to cost: {job.id}"
    rendered = [job for job in history.tables.jobs if job.heygen_id]
    held = Counter((job.account_id, job.kind, job.heygen_id) for job in rendered)
    for (_, _, heygen_id), count in held.items():
        if count > 1:
            yield f"one render on two jobs: {heygen_id}"


def _keys(history: History) -> Iterator[str]:
    """A key is one body, is written down before it is sent, is young, and has no successor while in doubt."""
    written = {(send.key, send.body_sha256) for send in history.tables.sends}
    creates = [call for call in history.calls if call.creates and call.key is not None]
    by_key = dict(_grouped(creates, lambda it: it.key or ""))
    perhaps_sent = [send for send in history.tables.sends if send.outcome != "unsent"]
    for key, sends in _grouped(perhaps_sent, lambda it: it.key):
        instants = [*(call.at for call in by_key.get(key, ())), *(send.sent_at for send in sends)]
        age = max(instants) - min(instants)
        if age > history.key_max_age + history.clocks_differ:
            yield f"key sent {age} after its first send: {key}"
    for key, calls in by_key.items():
        if len({call.body_sha256 for call in calls}) > 1:
            yield f"one key with two bodies: {key}"
        if any((key, call.body_sha256) not in written for call in calls):
            yield f"key sent without a written intent: {key}"
        job_id, _, n = key.rpartition("-")
        successor = by_key.get(f"{job_id}-{int(n) + 1}") if n.isdigit() else None
        if successor and any(_unclear(call) for call in calls):
            yield f"new key after an unclear answer: {successor[0].key}"


def _unclear(call: Call) -> bool:
    return call.status is None or call.status < 300 or call.status >= 500


def _limits(history: History) -> Iterator[str]:
    """The account's cap, and the waits that HeyGen asked for."""
    if history.cap is not None and history.peak > history.cap:
        yield f"cap passed: {history.peak} in flight, {history.cap} allowed"
    fuzz = history.clocks_differ
    accounts = {job.id: job.account_id for job in history.tables.jobs}
    for call in history.calls:
        sends = [it for it in history.tables.sends if call.account_id in {"", accounts.get(it.job_id, "")}]
        # The wait begins once it is known: a sender may die before it has written down what it was told.
        told = [
            it.answered_at for it in sends if it.key == call.key and it.http_status == 429 and it.answered_at
        ]
        known = min((at for at in told if at >= call.at - fuzz), default=None)
        if call.status != 429 or not call.retry_after or known is None:
            continue
        until = call.at + timedelta(seconds=call.retry_after)
        # What was written down before that is under way, and may still arrive.
        early = [send.key for send in sends if known + fuzz < send.sent_at < until - fuzz]
        if history.longest_read is not None:
            # Of calls that create nothing HeyGen alone tells, and when they came: a while after they were begun.
            others = [it for it in history.calls if not it.creates and it.account_id == call.account_id]
            since = known + fuzz + history.longest_read
            early += [f"{it.method} {it.path}" for it in others if since < it.at < until - fuzz]
        if early:
            yield f"called before Retry-After: {_listed(early)} between {known} and {until}"


def _outbox(history: History) -> Iterator[str]:
    """Each end of a job is one public event, as is each end of a batch; it is owed once to whoever asked."""
    ends = dict(_grouped([it for it in history.tables.events if it.ends], lambda it: it.job_id))
    owed = Counter((it.event_id, it.target) for it in history.tables.deliveries)
    for (event_id, target), count in owed.items():
        if count > 1:
            yield f"event owed twice to one target: {event_id}, {target}"
    for job in history.tables.jobs:
        told = [event for event in ends.get(job.id, []) if event.type is not None and event.body]
        if job.status in TERMINAL and len(told) != 1:
            yield f"terminal job with {len(told)} public events of its end: {job.id}"
        for event in told:
            yield from _owed(history, owed, event, job)
    batches = {batch.id: batch for batch in history.tables.batches}
    for event in history.tables.events:
        if event.batch_id in batches:
            yield from _owed(history, owed, event, batches[event.batch_id])


def _owed(
    history: History, owed: Counter[tuple[str, str]], event: EventRow, of: JobRow | BatchRow
) -> Iterator[str]:
    end = f"end of a {'job' if isinstance(of, JobRow) else 'batch'}"
    count = owed[event.id, "callback"]
    if count != (of.callback_url is not None):
        yield f"{end} owed {count} times to its callback_url: {of.id}"
    for endpoint in history.tables.endpoints:
        count = owed[event.id, endpoint.id]
        if count != endpoint.hears(event, of):
            yield f"{end} owed {count} times to an endpoint: {of.id}, {endpoint.id}"


def _batches(history: History) -> Iterator[str]:
    """A batch is the items that were answered, counts their ends, and ends once, with the last of them."""
    jobs = dict(_grouped(history.tables.jobs, lambda it: it.batch_id))
    finished = [event for event in history.tables.events if event.batch_id is not None]
    events = dict(_grouped(finished, lambda it: it.batch_id))
    answered = {ask.job_id: ask.items for ask in history.asks if ask.outcome == "accepted" and ask.items}
    for batch in history.tables.batches:
        items = sorted(jobs.pop(batch.id, []), key=lambda it: it.batch_index or 0)
        ids = tuple(job.id for job in items)
        if [job.batch_index for job in items] != list(range(batch.total)):
            yield f"batch without its items: {batch.id} has {len(items)} of {batch.total}"
        if ids != answered.get(batch.id, ids):
            yield f"accepted batch has other items than were answered: {batch.id}"
        if any(job.tenant_id != batch.tenant_id for job in items):
            yield f"accepted batch has items of another tenant: {batch.id}"
        counted = _counts(items)
        if (batch.open, batch.completed) != counted or (batch.finished_at is None) != (batch.open > 0):
            yield f"batch counted wrongly: {batch.id} says {batch.open}, {batch.completed}, not {counted}"
        told = events.pop(batch.id, [])
        if len(told) != (counted[0] == 0):
            yield f"batch ended {len(told)} times: {batch.id}, of whose items {counted[0]} are open"
        for event in told:
            body = json.loads(event.body or b"{}").get("event_data", {})
            if body.get("counts_by_status") != {"completed": counted[1], "failed": len(items) - counted[1]}:
                yield f"batch told with other counts than its items': {batch.id}"
    for batch_id in {*jobs, *events} - {None}:
        yield f"items or events of no batch: {batch_id}"


def _counts(items: Iterable[JobRow]) -> tuple[int, int]:
    """How many have not ended, and how many ended with a video."""
    statuses = [job.status for job in items]
    return sum(it not in TERMINAL for it in statuses), statuses.count("completed")


def _webhooks(history: History) -> Iterator[str]:
    """What arrived is what was recorded, byte for byte, each end under one id; what was recorded arrived."""
    bodies = {event.id: event.body for event in history.tables.events if event.type is not None}
    arrived: defaultdict[tuple[str, str], bool] = defaultdict(bool)
    # What the network doubles was signed at the same time.
    signed = {(webhook.event_id, webhook.url, webhook.at) for webhook in history.webhooks}
    came_to = Counter((event_id, url) for event_id, url, _ in signed)
    for webhook in history.webhooks:
        arrived[webhook.event_id, webhook.url] |= webhook.status is not None and webhook.status < 300
        if webhook.event_id not in bodies:
            yield f"webhook of no event: {webhook.event_id}"
        elif webhook.body != bodies[webhook.event_id]:
            yield f"webhook with other bytes than its event: {webhook.event_id}"
    for subject, came in _grouped(history.webhooks, _subject):
        ids = {webhook.event_id for webhook in came}
        if subject is not None and len(ids) > 1:
            yield f"webhooks of one end under {len(ids)} ids: {subject}"
    for delivery in history.tables.deliveries:
        reached, count = arrived[delivery.event_id, delivery.url], came_to[delivery.event_id, delivery.url]
        if count > delivery.attempts:
            yield f"webhook that came {count} times, and was attempted {delivery.attempts}: {delivery.id}"
        if delivery.status == "delivered" and not reached:
            yield f"delivery called delivered that never arrived: {delivery.id}"
        if delivery.status == "dead" and delivery.url not in history.down:
            yield f"delivery dead though its receiver was up: {delivery.id}"


def _signatures(history: History) -> Iterator[str]:
    """What arrived is signed, with secrets alone that were valid when its attempt began."""
    earlier = deliver.LEASE + history.clocks_differ
    for webhook in history.webhooks:
        told = [it for it in history.secrets if it.url == webhook.url]
        valid = [it for it in told if it.until is None or webhook.at < it.until + earlier]
        signed = {
            standardwebhooks.Webhook(it.value).sign(webhook.event_id, webhook.at, webhook.body.decode())
            for it in valid
        }
        if not webhook.signature or not signed.issuperset(webhook.signature.split()):
            yield f"webhook not signed with secrets that were valid: {webhook.event_id} at {webhook.at}"


def _subject(webhook: Webhook) -> str | None:
    """The video, look or batch that it tells of."""
    data = json.loads(webhook.body).get("event_data", {})
    return next((data[name] for name in ("batch_id", "video_id", "avatar_id") if name in data), None)


def _submissions(history: History) -> Iterator[str]:
    """Nothing is called failed while a send is in doubt, and no body is kept longer than it is needed."""
    sends = dict(_grouped(history.tables.sends, lambda it: it.job_id))
    for job in history.tables.jobs:
        if job.status not in TERMINAL or job.slot_account_id is not None:
            continue
        made = sorted(sends.get(job.id, []), key=lambda it: (it.n, it.send))
        doubtful = bool(made) and made[-1].answered_at is None and job.heygen_id is None
        if doubtful and not job.withdrawn and job.failure_code != "outcome_unknown":
            yield f"submission left open: {job.id} is {job.status} ({job.failure_code})"
        if any(send.body_kept for send in made):
            yield f"body kept of a job that is over: {job.id}"


def _grouped(rows: Iterable[T], key: Callable[[T], K]) -> Iterator[tuple[K, list[T]]]:
    groups: defaultdict[K, list[T]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    yield from groups.items()


def _listed(ids: Iterable[str | None]) -> str:
    return ", ".join(sorted(str(it) for it in ids))


CHECKS: tuple[Callable[[History], Iterator[str]], ...] = (
    _not_at_rest,
    _accepted_jobs,
    _idempotency,
    _paid_calls,
    _timelines,
    _renders,
    _ids_at_heygen,
    _keys,
    _limits,
    _outbox,
    _batches,
    _webhooks,
    _signatures,
    _submissions,
)
