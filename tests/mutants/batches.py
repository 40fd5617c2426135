"""What keeps batches whole, and videos with several looks waiting."""

from tests.mutants.mutant import Mutant, without

API = "tests/api/test_batches.py"
BATCHES = "tests/end_to_end/test_batches.py"
SCENES = "tests/end_to_end/test_scenes.py"

LOCKED = """.order_by(col(Job.deadline_at))
            .limit(AT_ONCE)
            .with_for_update(skip_locked=True)"""

BATCH_MUTANTS = (
    without(
        "what waits for a look takes no place",
        "app/api/queue_room.py",
        "select(ready + delayed + waiting)",
        "select(ready + delayed)",
        "tests/api/test_keys.py::test_videos_that_wait_for_an_avatar_fill_the_queue_too",
    ),
    without(
        "the end of an item is not the batch's business",
        "app/lifecycle.py",
        "    await batches.end_item(session, job, by.source, by.now)\n",
        "",
        f"{API}::test_whatever_ends_an_item_counts_once_and_the_last_one_ends_the_batch",
    ),
    without(
        "a batch ends with its first item",
        "app/batches.py",
        "if batch is None or batch.open > 0:",
        "if batch is None:",
        f"{API}::test_whatever_ends_an_item_counts_once_and_the_last_one_ends_the_batch",
    ),
    without(
        "a batch's end is owed to nobody",
        "app/batches.py",
        "    await outbox.owe(session, event, batch, now)\n",
        "",
        f"{API}::test_a_batch_is_many_videos_and_one_event_at_its_end",
    ),
    without(
        "failed items make a batch completed",
        "app/batches.py",
        "(1 if job.status == JobStatus.COMPLETED else 0)",
        "1",
        f"{API}::test_a_batch_of_failures_has_failed",
    ),
    without(
        "one bad item does not stop the others",
        "app/api/batches.py",
        "    faults.settle()\n",
        "",
        f"{API}::test_one_bad_item_stores_none_and_every_fault_is_named",
    ),
    without(
        "a batch takes one place in the queue",
        "app/api/queue_room.py",
        "if queue.length + places > ctx.terms.queue_limit:",
        "if queue.length >= ctx.terms.queue_limit:",
        f"{API}::test_each_item_takes_a_place_in_the_queue",
    ),
    without(
        "everybody reads a batch",
        "app/api/batch_reads.py",
        "if batch is not None and batch.tenant_id == caller.tenant_id:",
        "if batch is not None:",
        f"{API}::test_a_batch_of_another_tenant_does_not_exist_and_one_of_heygens_is_shown_to_its_account",
    ),
    Mutant(
        "deadlines lock jobs after batches",
        "app/worker/expire.py",
        ((LOCKED, LOCKED.replace(".with_for_update(skip_locked=True)", "")),),
        (f"{BATCHES}::test_what_a_deadline_ends_is_locked_before_the_first_batch_is",),
        "postgresql",
    ),
    without(
        "only the first look is waited for",
        "app/worker/prepare.py",
        "for path, look_id in request.every_look",
        "for path, look_id in request.every_look[:1]",
        f"{SCENES}::test_what_stands_in_scenes_and_lists_is_translated_and_waited_for",
    ),
    without(
        "HeyGen is asked to call back where it cannot",
        "app/worker/prepare.py",
        "if ctx.callback_base is not None and job.type not in WITHOUT_CALLBACKS:",
        "if ctx.callback_base is not None:",
        f"{SCENES}::test_what_stands_in_scenes_and_lists_is_translated_and_waited_for",
    ),
)
