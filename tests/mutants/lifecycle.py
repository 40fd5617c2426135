"""What keeps a job's life in order."""

from tests.mutants.mutant import Mutant, without

LIFECYCLE = "tests/test_lifecycle.py"
SUBMIT = "tests/worker/test_submit.py"

LIFECYCLE_PY = "app/lifecycle.py"

LIFECYCLE_MUTANTS = (
    without(
        "a file that never came is asked about without end",
        LIFECYCLE_PY,
        'changes = over | {"rendered_at": None, ',
        "changes = over | {",
        "tests/worker/test_tidy.py::test_a_deleted_render_whose_file_never_came_is_deleted_at_heygen_and_then_left_alone",
    ),
    without(
        "a worker that lost its claim may write",
        LIFECYCLE_PY,
        "if job is None or (by.epoch is not None and job.epoch != by.epoch):",
        "if job is None:",
        f"{LIFECYCLE}::test_a_worker_that_lost_its_claim_writes_nothing",
    ),
    Mutant(
        "a fact moves a job from any status",
        LIFECYCLE_PY,
        (
            ("    if job.status not in sources:\n", "    if False:\n"),
            ("        guards.append(col(Job.status).in_(sources))\n", "        pass\n"),
        ),
        (f"{LIFECYCLE}::test_a_fact_moves_a_job_only_as_the_drawing_says",),
    ),
    without(
        "any job can be claimed",
        LIFECYCLE_PY,
        ".where(col(Job.id) == job_id, col(Job.status).in_(sources))",
        ".where(col(Job.id) == job_id)",
        f"{LIFECYCLE}::test_only_a_queued_job_can_be_claimed",
    ),
    without(
        "what comes late is thrown away",
        LIFECYCLE_PY,
        "        await _keep_late(session, job, fact, by)\n",
        "",
        f"{LIFECYCLE}::test_a_late_result_is_kept_and_moves_nothing",
    ),
    without(
        "a withdrawn render gives its slot back",
        LIFECYCLE_PY,
        "if not await _maybe_at_heygen(session, job):",
        "if True:",
        f"{LIFECYCLE}::test_a_render_that_goes_on_without_its_caller_keeps_its_slot",
    ),
    without(
        "what was never sent keeps its slot",
        LIFECYCLE_PY,
        "if not await _maybe_at_heygen(session, job):",
        "if job.status == JobStatus.QUEUED:",
        f"{LIFECYCLE}::test_what_is_withdrawn_before_anything_was_sent_gives_its_slot_back_at_once",
    ),
    without(
        "a withdrawn render costs nothing",
        LIFECYCLE_PY,
        '"due_at": due_at, "billable": True}',
        '"due_at": due_at, "billable": False}',
        f"{LIFECYCLE}::test_a_cancel_says_whether_money_may_be_spent",
    ),
    without(
        "what was never sent costs, once the look-ups gave it up",
        LIFECYCLE_PY,
        '"billable": await _maybe_at_heygen(session, job)}',
        '"billable": True}',
        "tests/worker/test_tidy.py"
        "::test_a_sender_that_wakes_in_doubt_and_sends_nothing_leaves_no_bill_when_the_job_is_withdrawn",
    ),
    without(
        "the end keeps its slot",
        LIFECYCLE_PY,
        '        "waits_for_id": None,\n        "slot_account_id": None,\n    }',
        '        "waits_for_id": None,\n    }',
        f"{LIFECYCLE}::test_the_end_frees_the_slot",
    ),
    without(
        "the end owes the caller nothing",
        LIFECYCLE_PY,
        "    await outbox.owe(session, event, job, by.now)\n",
        "",
        f"{LIFECYCLE}::test_a_fact_moves_a_job_only_as_the_drawing_says",
    ),
    without(
        "the stored bytes stay for ever",
        LIFECYCLE_PY,
        "        await session.execute(bodies.values(body_encrypted=None))\n",
        "        pass\n",
        f"{LIFECYCLE}::test_the_stored_bytes_go_when_the_job_ends",
    ),
    without(
        "a failed look is handed to the next caller",
        LIFECYCLE_PY,
        ".values(reuse_hash=None))",
        ".values(reuse_hash=col(Look.reuse_hash)))",
        f"{LIFECYCLE}::test_the_end_of_a_look_frees_what_waits_for_it",
    ),
    without(
        "what waits for a look waits for ever",
        LIFECYCLE_PY,
        "    await free_waiting(session, job.id)\n",
        "",
        f"{LIFECYCLE}::test_the_end_of_a_look_frees_what_waits_for_it",
    ),
    without(
        "an early callback is forgotten",
        LIFECYCLE_PY,
        "soon = by.now if job.called_back_at is not None and job.hint_after is None else None",
        "soon = None",
        f"{LIFECYCLE}::test_a_callback_that_came_first_makes_the_next_look_immediate",
    ),
    without(
        "a move leaves no event",
        LIFECYCLE_PY,
        "    session.add(event)\n    await session.flush()\n    return event",
        "    return event",
        f"{LIFECYCLE}::test_a_fact_moves_a_job_only_as_the_drawing_says",
    ),
    without(
        "a claim leaves no event",
        LIFECYCLE_PY,
        '        await _record(session, job, "Claimed", (JobStatus.QUEUED, target), by)\n',
        "        pass\n",
        f"{LIFECYCLE}::test_numbers_have_no_gaps",
    ),
    without(
        "a new claim looks like the one before",
        LIFECYCLE_PY,
        "            epoch=col(Job.epoch) + 1,\n",
        "",
        f"{LIFECYCLE}::test_a_worker_that_lost_its_claim_writes_nothing",
    ),
    without(
        "what comes late leaves no event",
        LIFECYCLE_PY,
        '    await _record(session, job, "late", (job.status, job.status), by, fact)\n',
        "",
        f"{LIFECYCLE}::test_a_late_result_is_kept_and_moves_nothing",
    ),
    without(
        "a render that ends late keeps its slot",
        LIFECYCLE_PY,
        'over: dict[str, Any] = {"slot_account_id": None, ',
        "over: dict[str, Any] = {",
        f"{LIFECYCLE}::test_a_late_result_is_kept_and_moves_nothing",
    ),
    without(
        "what comes late counts twice",
        LIFECYCLE_PY,
        "if not withdrawn or (job.slot_account_id is None and job.due_at is None):",
        "if not withdrawn:",
        f"{LIFECYCLE}::test_a_fact_moves_a_job_only_as_the_drawing_says",
    ),
    without(
        "nobody looks after a withdrawn render",
        LIFECYCLE_PY,
        '"due_at": due_at, "billable": True}',
        '"due_at": None, "billable": True}',
        f"{LIFECYCLE}::test_a_render_that_goes_on_without_its_caller_keeps_its_slot",
    ),
    without(
        "a job in doubt gives its slot back",
        LIFECYCLE_PY,
        '"lease_until": None, "searched_at": None}',
        '"slot_account_id": None, "lease_until": None, "searched_at": None}',
        f"{SUBMIT}::test_a_lost_answer_makes_the_job_unsure_and_keeps_its_slot",
    ),
    without(
        "a job that goes back keeps its slot",
        LIFECYCLE_PY,
        '                "slot_account_id": None,\n                "waits_for_id": fact',
        '                "waits_for_id": fact',
        f"{SUBMIT}::test_while_heygen_cannot_be_reached_the_job_waits_and_its_bytes_stay_the_same",
    ),
)
