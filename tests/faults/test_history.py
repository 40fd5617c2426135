"""The checker: a blameless history passes, and each broken promise is planted once and found by its name."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks

from app.simulator.app import LedgerRow, RequestRow
from app.worker import deliver
from tests.faults import sources
from tests.faults.history import CHECKS, violations
from tests.faults.records import (
    SPEAK,
    Ask,
    BatchRow,
    Bill,
    Call,
    DeliveryRow,
    EndpointRow,
    EventRow,
    History,
    JobRow,
    Secret,
    SendRow,
    Tables,
    Webhook,
)

AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
HOOK, REGISTERED = "http://127.0.0.1:1/hook", "http://127.0.0.1:1/registered"
SECRETS = (
    Secret(HOOK, "whsec_aG9vaw=="),
    Secret(REGISTERED, "whsec_b2xk", until=AT),
    Secret(REGISTERED, "whsec_bmV3"),
)
BATCH_ENDED = b'{"event_data":{"batch_id":"batch","counts_by_status":{"completed":2,"failed":0}}}'
SPOKEN = Bill("speech", "heygen-speech", "key of said", "sha", AT)
SPEECHES = (Ask("t", SPEAK, "said", "text", "unknown"), Ask("t", SPEAK, "said", "text", "accepted", "speech"))
STEPS = (
    ("Enqueued", None, "queued"),
    ("Claimed", "queued", "submitting"),
    ("Accepted", "submitting", "processing"),
    ("Completed", "processing", "completed"),
)


def blameless() -> History:
    """Two videos and a batch of two, of one caller, all rendered; all ends are told to a registered endpoint.

    The first video was asked for twice and is told to its callback_url, too. The endpoint's secret was rotated.
    """
    jobs = [
        JobRow(name, "t", "a", "video", "completed", 4, f"heygen-{name}", billable=True)
        for name in ("one", "two", "first", "second")
    ]
    jobs[0] = replace(jobs[0], callback_id="mark", callback_url=HOOK)
    jobs[2:] = [replace(job, batch_id="batch", batch_index=n) for n, job in enumerate(jobs[2:])]
    ended = EventRow("end", None, 1, "BatchFinished", None, None, "batch.finished", BATCH_ENDED, "batch")
    ends = {f"{job.id}-4": b"{}" for job in jobs} | {"end": BATCH_ENDED}
    return History(
        tables=Tables(
            jobs=jobs,
            events=[*(event for job in jobs for event in timeline(job.id)), ended],
            sends=[SendRow(job.id, f"{job.id}-1", "sha", 1, 1, AT, AT, "accepted") for job in jobs],
            deliveries=[
                DeliveryRow("d", "one-4", "callback", HOOK, "delivered", attempts=2),
                *(DeliveryRow(f"d-{it}", it, "endpoint", REGISTERED, "delivered", attempts=1) for it in ends),
            ],
            batches=[BatchRow("batch", "t", total=2, open=0, completed=2, finished_at=AT)],
            endpoints=[
                EndpointRow("endpoint", "t", REGISTERED),
                EndpointRow("other type", "t", REGISTERED, event_types=["other"]),
                EndpointRow("other video", "t", REGISTERED, entity_id="three"),
                EndpointRow("other tenant", "u", REGISTERED),
            ],
            bound={("t", "POST /v3/videos", "key"): "one", ("t", SPEAK, "said"): "speech"},
        ),
        bills=[*(Bill("video", f"heygen-{job.id}", f"{job.id}-1", "sha", AT) for job in jobs), SPOKEN],
        calls=[Call("POST", "/v3/videos", 200, AT, f"{job.id}-1", "sha") for job in jobs],
        asks=[
            Ask("t", "POST /v3/videos", "key", "asked", "unknown", callback_id="mark"),
            Ask("t", "POST /v3/videos", "key", "asked", "accepted", "one", callback_id="mark"),
            ANSWERED_BATCH,
            *SPEECHES,
        ],
        webhooks=[
            webhook(HOOK, "one-4", b"{}", status=500),
            webhook(HOOK, "one-4", b"{}"),
            *(webhook(REGISTERED, it, body) for it, body in ends.items()),
        ],
        secrets=SECRETS,
        peak=2,
        cap=2,
    )


def webhook(url: str, event_id: str, body: bytes, status: int = 200, at: datetime = AT) -> Webhook:
    """What came, signed with all secrets that this address ever had."""
    secrets = [standardwebhooks.Webhook(it.value) for it in SECRETS if it.url == url]
    signature = " ".join(it.sign(event_id, at, body.decode()) for it in secrets)
    return Webhook(url, event_id, body, status, at, signature)


def last_webhook(history: History, came: Webhook) -> History:
    return replace(history, webhooks=[*history.webhooks[:-1], came])


def timeline(job_id: str, *more: tuple[str, str | None, str | None]) -> list[EventRow]:
    steps = enumerate((*STEPS, *more), start=1)
    events = [EventRow(f"{job_id}-{number}", job_id, number, *step) for number, step in steps]
    events[3] = replace(events[3], type="success", body=b"{}")
    return events


def job(history: History, **changes: Any) -> History:
    """The first job, changed."""
    first, *others = history.tables.jobs
    return tables(history, jobs=[replace(first, **changes), *others])


def batch(history: History, **changes: Any) -> History:
    return tables(history, batches=[replace(history.tables.batches[0], **changes)])


def item(history: History, **changes: Any) -> History:
    """The second item of the batch, changed."""
    return tables(history, jobs=[*history.tables.jobs[:-1], replace(history.tables.jobs[-1], **changes)])


def batch_ends(history: History, times: int) -> History:
    """The end of the batch was recorded so often."""
    *before, end = history.tables.events
    return tables(history, events=before + times * [end])


def tables(history: History, **changes: Any) -> History:
    return replace(history, tables=replace(history.tables, **changes))


def ended_again(history: History, fact: str, to: str) -> History:
    events = [*timeline("one", (fact, "completed", to)), *others(history)]
    return job(tables(history, events=events), number=5, status=to)


def others(history: History) -> list[EventRow]:
    """The events that are not of the first job."""
    return [it for it in history.tables.events if it.job_id != "one"]


def event(history: History, which: int, **changes: Any) -> History:
    """An event of the first job, changed."""
    events = [
        replace(it, **changes) if (it.job_id, it.number) == ("one", which) else it
        for it in history.tables.events
    ]
    return tables(history, events=events)


def more_calls(history: History, *calls: Call) -> History:
    return replace(history, calls=[*history.calls, *calls])


def called(key: str = "one-1", sha: str = "sha", status: int | None = 200, after: float = 0) -> Call:
    return Call("POST", "/v3/videos", status, AT + timedelta(seconds=after), key, sha)


def undelivered(history: History, event_id: str) -> History:
    """Nobody is owed this event."""
    return tables(history, deliveries=[it for it in history.tables.deliveries if it.event_id != event_id])


def misdelivered(history: History, target: str) -> History:
    """The end of the first video is owed to somebody else, too."""
    delivery = DeliveryRow("e", "one-4", target, REGISTERED, "delivered")
    return tables(history, deliveries=[*history.tables.deliveries, delivery])


def too_early(history: History) -> History:
    """The first create was answered 429, to come back in ten seconds; the next was written down after nine."""
    first, second, *_ = history.tables.sends
    told, soon = replace(first, http_status=429), replace(second, sent_at=AT + timedelta(seconds=9))
    return more_calls(
        tables(history, sends=[told, soon]),
        replace(called(status=429), retry_after=10),
        called("two-1", after=9),
    )


def read_too_early(history: History) -> History:
    """As before, but it is a read that comes, five seconds after the answer."""
    told = tables(history, sends=[replace(history.tables.sends[0], http_status=429)])
    read = replace(called("none", after=6), method="GET", path="/v3/voices")
    return more_calls(told, replace(called(status=429), retry_after=10), read)


ANSWERED_BATCH = Ask(
    "t", "POST /v3/videos/batches", None, "many", "accepted", "batch", items=("first", "second")
)
ANSWERED = Ask("t", "POST /v3/videos", "key", "asked", "accepted", "one", callback_id="mark")
PLANTED: dict[str, Callable[[History], History]] = {
    "accepted job lost": lambda it: replace(it, asks=[*it.asks, replace(ANSWERED, key=None, job_id="three")]),
    "accepted job of another tenant": lambda it: job(it, tenant_id="u"),
    "accepted batch lost": lambda it: tables(it, batches=[]),
    "accepted endpoint lost": lambda it: replace(
        it, asks=[replace(ANSWERED, key=None, operation="POST /v3/webhooks/endpoints", job_id="third")]
    ),
    "accepted batch of another tenant": lambda it: batch(it, tenant_id="u"),
    "accepted batch has other items": lambda it: replace(
        it, asks=[replace(ANSWERED_BATCH, items=("second", "first"))]
    ),
    "accepted batch has items of another tenant": lambda it: item(it, tenant_id="u"),
    "job not terminal": lambda it: job(event(it, 4, to_status="processing"), status="processing"),
    "slot leaked": lambda it: job(it, slot_account_id="a"),
    "job still owed work": lambda it: job(it, due_at=AT),
    "delivery still owed": lambda it: tables(
        it, deliveries=[replace(it.tables.deliveries[0], status="owed")]
    ),
    "file still owed": lambda it: tables(it, files_due=["one"]),
    "one client key accepted with two bodies": lambda it: replace(
        it, asks=[*it.asks, replace(ANSWERED, body_sha256="other")]
    ),
    "one client key, two jobs": lambda it: replace(it, asks=[*it.asks, replace(ANSWERED, job_id="two")]),
    "client key bound to another job": lambda it: tables(it, bound={("t", "POST /v3/videos", "key"): "two"}),
    "one request stored 2 times": lambda it: batch(it, callback_id="mark"),
    "refused, yet stored": lambda it: replace(
        it, asks=[replace(ANSWERED, outcome="refused", job_id=None)], tables=replace(it.tables, bound={})
    ),
    "event numbers with a gap": lambda it: event(it, 3, number=5),
    "events of no job": lambda it: tables(it, events=[*it.tables.events, *timeline("three")]),
    "illegal transition": lambda it: event(it, 3, fact="Released"),
    "illegal transition: one 5 late": lambda it: job(
        tables(it, events=[*timeline("one", ("late", "completed", "failed")), *others(it)]), number=5
    ),
    "terminal twice": lambda it: ended_again(it, "Failed", "failed"),
    "left a terminal state": lambda it: ended_again(it, "Claimed", "submitting"),
    "event tells another state": lambda it: event(it, 4, from_status="unsure"),
    "timeline ends elsewhere": lambda it: job(it, status="failed"),
    "two renders for one job": lambda it: replace(
        it, bills=[*it.bills, Bill("video", "heygen-three", "one-2", "sha", AT)]
    ),
    "render of no job": lambda it: replace(
        it, bills=[*it.bills, Bill("video", "heygen-three", "three-1", "sha", AT)]
    ),
    "render orphaned": lambda it: job(it, heygen_id=None, status="failed"),
    "render on another account than its job's": lambda it: replace(
        it, bills=[replace(it.bills[0], account_id="b"), *it.bills[1:]]
    ),
    "paid call billed 2 times": lambda it: replace(it, bills=[*it.bills, SPOKEN]),
    "paid calls billed that nobody asked for": lambda it: replace(
        it, bills=[*it.bills, replace(SPOKEN, key="another key of said")]
    ),
    "paid calls answered that were never made": lambda it: replace(it, bills=it.bills[:-1]),
    "job holds an id that HeyGen never billed": lambda it: replace(it, bills=it.bills[1:]),
    "completed without a render": lambda it: job(it, heygen_id=None),
    "billed, yet told to be free": lambda it: job(it, billable=False),
    "never made, yet told to cost": lambda it: tables(
        replace(it, bills=it.bills[1:]), sends=[replace(it.tables.sends[0], outcome="refused")]
    ),
    "one render on two jobs": lambda it: job(it, heygen_id="heygen-two"),
    "one key with two bodies": lambda it: more_calls(it, called(sha="other")),
    "key sent without a written intent": lambda it: tables(it, sends=it.tables.sends[1:]),
    "key sent 20:00:01 after": lambda it: more_calls(it, called(after=20 * 3600 + 1)),
    "new key after an unclear answer": lambda it: more_calls(it, called(status=None), called("one-2")),
    "cap passed": lambda it: replace(it, peak=3),
    "called before Retry-After": too_early,
    "called before Retry-After: GET /v3/voices": lambda it: replace(
        read_too_early(it), longest_read=timedelta(seconds=4)
    ),
    "event owed twice": lambda it: tables(
        it, deliveries=[*it.tables.deliveries, replace(it.tables.deliveries[0], id="e")]
    ),
    "terminal job with 0 public events": lambda it: event(it, 4, type=None, body=None),
    "end of a job owed 0 times": lambda it: tables(it, deliveries=[]),
    "end of a job owed 0 times to an endpoint: first": lambda it: undelivered(it, "first-4"),
    "end of a job owed 1 times to an endpoint: one, other type": lambda it: misdelivered(it, "other type"),
    "end of a job owed 1 times to an endpoint: one, other video": lambda it: misdelivered(it, "other video"),
    "end of a job owed 1 times to an endpoint: one, other tenant": lambda it: misdelivered(
        it, "other tenant"
    ),
    "end of a batch owed 0 times to its callback_url": lambda it: batch(it, callback_url=HOOK),
    "end of a batch owed 0 times to an endpoint": lambda it: undelivered(it, "end"),
    "batch without its items": lambda it: item(it, batch_index=0),
    "batch without its items: batch has 1 of 2": lambda it: item(it, batch_id=None),
    "batch counted wrongly": lambda it: batch(it, open=1),
    "batch counted wrongly: batch says 0, 1": lambda it: batch(it, completed=1),
    "batch counted wrongly: batch says 0, 2": lambda it: batch(it, finished_at=None),
    "batch ended 0 times": lambda it: batch_ends(it, 0),
    "batch ended 2 times": lambda it: batch_ends(it, 2),
    "batch ended 1 times: batch, of whose items 1 are open": lambda it: item(it, status="processing"),
    "batch told with other counts": lambda it: item(it, status="failed"),
    "items or events of no batch: batch": lambda it: tables(it, batches=[]),
    "webhooks of one end under 2 ids: batch": lambda it: replace(
        it, webhooks=[*it.webhooks, webhook(REGISTERED, "one-4", BATCH_ENDED)]
    ),
    "webhook of no event": lambda it: replace(it, webhooks=[*it.webhooks, webhook(HOOK, "one-5", b"{}")]),
    "webhook with other bytes": lambda it: replace(
        it, webhooks=[*it.webhooks, webhook(HOOK, "one-4", b"{ }")]
    ),
    "webhook that came 2 times, and was attempted 1: d-end": lambda it: replace(
        it, webhooks=[*it.webhooks, webhook(REGISTERED, "end", BATCH_ENDED, at=AT + timedelta(seconds=5))]
    ),
    "webhook not signed": lambda it: last_webhook(it, replace(it.webhooks[-1], signature="")),
    "webhook not signed with secrets that were valid: end at 2026-03-02 09:31:00": lambda it: last_webhook(
        it, webhook(REGISTERED, "end", BATCH_ENDED, at=AT + deliver.LEASE)
    ),
    "webhook not signed with secrets that were valid: end": lambda it: last_webhook(
        it, replace(it.webhooks[-1], signature=it.webhooks[0].signature)
    ),
    "delivery called delivered": lambda it: replace(it, webhooks=it.webhooks[:1]),
    "delivery called delivered that never arrived: d-end": lambda it: replace(it, webhooks=it.webhooks[:-1]),
    "delivery dead": lambda it: tables(it, deliveries=[replace(it.tables.deliveries[0], status="dead")]),
    "submission left open": lambda it: job(
        tables(it, sends=[replace(it.tables.sends[0], answered_at=None, outcome=None)]),
        heygen_id=None,
        failure_code="rendering_failed",
    ),
    "body kept": lambda it: tables(it, sends=[replace(row, body_kept=True) for row in it.tables.sends]),
}


def test_a_blameless_history_breaks_no_promise() -> None:
    assert violations(blameless()) == []


@pytest.mark.parametrize("promise", PLANTED)
def test_each_broken_promise_is_named(promise: str) -> None:
    found = violations(PLANTED[promise](blameless()))
    assert [line for line in found if line.startswith(promise)], found


def test_every_check_finds_something() -> None:
    broken = [plant(blameless()) for plant in PLANTED.values()]
    assert [check for check in CHECKS if not any(list(check(history)) for history in broken)] == []


def test_what_a_late_note_and_a_render_without_end_leave_is_no_fault() -> None:
    history = blameless()
    canceled = [*STEPS[:3], ("Canceled", "processing", "canceled"), ("late", "canceled", "canceled")]
    events = [
        EventRow(f"one-{n}", "one", n, *step, type="fail" if n == 4 else None, body=b"{}")
        for n, step in enumerate(canceled, start=1)
    ]
    withdrawn = job(
        tables(history, events=[*events, *others(history)]),
        number=5,
        status="canceled",
        failure_code="canceled",
        slot_account_id="a",
        due_at=AT,
    )
    assert violations(replace(withdrawn, rendering=frozenset({"heygen-one"}))) == []


def test_the_witnesses_of_other_processes_are_read_from_their_files(tmp_path: Path) -> None:
    history = blameless()
    for ask in history.asks:
        sources.note(tmp_path / "Ask.jsonl", ask)
    for webhook in history.webhooks:
        sources.note(tmp_path / "Webhook.jsonl", webhook)
    with (tmp_path / "Ask.jsonl").open("a") as torn:
        torn.write('{"tenant_id": ')  # killed in the middle of a line
    assert sources.asks(tmp_path / "Ask.jsonl", tmp_path / "never written") == history.asks
    assert sources.webhooks(tmp_path / "Webhook.jsonl") == history.webhooks


def test_heygens_witness_reads_the_same_at_hand_and_over_http() -> None:
    bill = LedgerRow(1, "video", "heygen-one", "one-1", "sha", "Title", 1.0, AT)
    call = RequestRow(1, "POST", "/v3/videos", 200, AT, "one-1", "sha", None)
    over_http = {"at": AT.isoformat()}
    assert sources.bills([bill]) == sources.bills([vars(bill) | over_http]) == list(blameless().bills)[:1]
    assert sources.calls([call]) == sources.calls([vars(call) | over_http]) == list(blameless().calls)[:1]
