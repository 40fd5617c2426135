"""The guards of the core, each with what the code would be without it, and the tests that notice."""

from dataclasses import dataclass

LIFECYCLE, SUBMIT, UNSURE, POLL = (
    "tests/test_lifecycle.py",
    "tests/worker/test_submit.py",
    "tests/worker/test_unsure.py",
    "tests/worker/test_poll.py",
)


@dataclass(frozen=True)
class Mutant:
    """One guard taken out. Each text of `edits` stands exactly once in the file; `killers` are pytest's node ids."""

    name: str
    file: str
    edits: tuple[tuple[str, str], ...]
    killers: tuple[str, ...]


def without(name: str, file: str, text: str, instead: str, *killers: str) -> Mutant:
    """A mutant of one edit."""
    return Mutant(name, file, ((text, instead),), killers)


LIFE = "app/lifecycle.py"
LIFECYCLE_MUTANTS = (
    without(
        "a worker that lost its claim may write",
        LIFE,
        "if job is None or (by.epoch is not None and job.epoch != by.epoch):",
        "if job is None:",
        f"{LIFECYCLE}::test_a_worker_that_lost_its_claim_writes_nothing",
    ),
    Mutant(
        "a fact moves a job from any status",
        LIFE,
        (
            ("    if job.status not in sources:\n", "    if False:\n"),
            ("        guards.append(col(Job.status).in_(sources))\n", "        pass\n"),
        ),
        (f"{LIFECYCLE}::test_a_fact_moves_a_job_only_as_the_drawing_says",),
    ),
    without(
        "any job can be claimed",
        LIFE,
        ".where(col(Job.id) == job_id, col(Job.status).in_(sources))",
        ".where(col(Job.id) == job_id)",
        f"{LIFECYCLE}::test_only_a_queued_job_can_be_claimed",
    ),
    without(
        "what comes late is thrown away",
        LIFE,
        "        await _keep_late(session, job, fact, by)\n",
        "",
        f"{LIFECYCLE}::test_a_late_result_is_kept_and_moves_nothing",
    ),
    without(
        "a withdrawn render gives its slot back",
        LIFE,
        "if job.slot_account_id is None and job.status != JobStatus.PROCESSING:",
        "if True:",
        f"{LIFECYCLE}::test_a_render_that_goes_on_without_its_caller_keeps_its_slot",
    ),
    without(
        "a withdrawn render costs nothing",
        LIFE,
        '"billable": await _maybe_at_heygen(session, job),',
        '"billable": False,',
        f"{LIFECYCLE}::test_a_cancel_says_whether_money_may_be_spent",
    ),
    without(
        "the end keeps its slot",
        LIFE,
        '        "waits_for_id": None,\n        "slot_account_id": None,\n    }',
        '        "waits_for_id": None,\n    }',
        f"{LIFECYCLE}::test_the_end_frees_the_slot",
    ),
    without(
        "the end owes the caller nothing",
        LIFE,
        "    await outbox.owe(session, event, job, by.now)\n",
        "",
        f"{LIFECYCLE}::test_a_fact_moves_a_job_only_as_the_drawing_says",
    ),
    without(
        "the stored bytes stay for ever",
        LIFE,
        "        await session.execute(bodies.values(body_encrypted=None))\n",
        "        pass\n",
        f"{LIFECYCLE}::test_the_stored_bytes_go_when_the_job_ends",
    ),
    without(
        "a failed look is handed to the next caller",
        LIFE,
        ".values(reuse_hash=None))",
        ".values(reuse_hash=col(Look.reuse_hash)))",
        f"{LIFECYCLE}::test_the_end_of_a_look_frees_what_waits_for_it",
    ),
    without(
        "what waits for a look waits for ever",
        LIFE,
        "    await free_waiting(session, job.id)\n",
        "",
        f"{LIFECYCLE}::test_the_end_of_a_look_frees_what_waits_for_it",
    ),
    without(
        "an early callback is forgotten",
        LIFE,
        "soon = by.now if job.called_back_at is not None and job.hint_after is None else None",
        "soon = None",
        f"{LIFECYCLE}::test_a_callback_that_came_first_makes_the_next_look_immediate",
    ),
)

SUBMISSION_MUTANTS = (
    without(
        "a sender that slept through its lease sends",
        "app/worker/submit.py",
        "if ctx.clock.now() >= intent.send_before:",
        "if False:",
        f"{SUBMIT}::test_a_sender_that_slept_through_its_lease_does_not_send",
    ),
    without(
        "a lost answer counts as a refusal",
        "app/worker/answers.py",
        "            return Doubt(error.reason)",
        "            return Release(error.reason, backoff)",
        f"{SUBMIT}::test_a_lost_answer_makes_the_job_unsure_and_keeps_its_slot",
    ),
    without(
        "a repeat gets a key of its own",
        "app/worker/ledger.py",
        'f"{job.id}-{n}"',
        'f"{job.id}-{n}-{send}"',
        f"{SUBMIT}::test_an_answer_lost_after_acceptance_is_asked_for_again_under_the_same_key",
    ),
    without(
        "a dead worker's send is forgotten",
        "app/worker/expire.py",
        "if await _unanswered(session, job_id, epoch):",
        "if False:",
        f"{SUBMIT}::test_a_sender_that_slept_through_its_lease_does_not_send",
        f"{SUBMIT}::test_a_late_answer_of_a_frozen_sender_is_kept_and_used",
    ),
    without(
        "a late answer is thrown away",
        "app/worker/unsure.py",
        "    if late is not None and await _accept(ctx, job, late):\n        return\n",
        "",
        f"{SUBMIT}::test_a_late_answer_of_a_frozen_sender_is_kept_and_used",
    ),
    without(
        "two jobs may hold one render",
        "app/worker/submit.py",
        "    if await taken(session, job, created.id):\n",
        "    if False:\n",
        f"{SUBMIT}::test_an_id_that_another_job_holds_is_refused",
    ),
)

DOUBT_MUTANTS = (
    without(
        "a key never grows old",
        "app/worker/unsure.py",
        "if now - first.sent_at >= key_max_age or first.body_encrypted is None:",
        "if first.body_encrypted is None:",
        f"{UNSURE}::test_no_key_is_sent_after_twenty_hours_and_two_empty_look_ups_end_it",
    ),
    without(
        "an outage ends the doubt",
        "app/worker/unsure.py",
        "len(errors) == SERVER_ERRORS and last.others_accepted:",
        "len(errors) == SERVER_ERRORS:",
        f"{UNSURE}::test_an_outage_is_waited_out_and_the_render_is_made_once",
    ),
    without(
        "a callback is believed",
        "app/worker/unsure.py",
        "if await search.confirms(ctx, job, candidate) and await _accept(ctx, job, candidate):",
        "if await _accept(ctx, job, candidate):",
        f"{POLL}::test_a_forged_callback_in_doubt_cannot_give_the_job_a_strangers_video",
    ),
)

GOVERNOR_MUTANTS = (
    without(
        "the account's cap is passed",
        "app/governor.py",
        "if sum(held.values()) >= account.limit_now:",
        "if False:",
        f"{SUBMIT}::test_fifty_videos_are_fifty_renders_and_never_more_than_ten_at_once",
    ),
    without(
        "the shares are not fair",
        "app/governor.py",
        "(held.get(tenant.id, 0) / tenant.weight, job_id)",
        "(0, job_id)",
        f"{SUBMIT}::test_the_next_slot_goes_to_the_tenant_with_the_fewest",
    ),
    without(
        "Retry-After is not obeyed",
        "app/governor.py",
        "(account.gate_until is not None and account.gate_until > now)",
        "False",
        f"{SUBMIT}::test_retry_after_is_obeyed_to_the_second_even_by_a_process_that_starts_later",
    ),
    without(
        "a paused account sends",
        "app/governor.py",
        "if account.paused_at is not None or (",
        "if (",
        f"{SUBMIT}::test_a_heygen_that_only_fails_is_left_alone_until_it_answers_again",
    ),
)

API = "tests/api/test_idempotency.py"
EDGE_MUTANTS = (
    without(
        "completed is said before the link answers",
        "app/worker/poll.py",
        'case "completed" if await answers(ctx, video.video_url):',
        'case "completed" if video.video_url:',
        f"{POLL}::test_completed_is_said_only_once_the_link_answers",
    ),
    without(
        "each callback costs a read",
        "app/worker/claims.py",
        "    if asked:\n",
        "    if False:\n",
        f"{POLL}::test_forged_callbacks_change_nothing_and_cost_one_read_in_thirty_seconds",
    ),
    without(
        "a callback interrupts who holds the job",
        "app/worker/claims.py",
        "col(Job.due_at) <= before, free)",
        "col(Job.due_at) <= before)",
        "tests/api/test_callbacks.py::test_a_lease_is_never_touched",
    ),
    without(
        "an empty wallet fails the queue",
        "app/worker/poll.py",
        "            await governor.pause(session, job.account_id, fact.code.lower(), now)\n",
        "            pass\n",
        f"{POLL}::test_an_empty_wallet_at_the_end_of_a_render_pauses_the_queue_behind_it",
    ),
    without(
        "simultaneous repeats each make a video",
        "app/api/idempotency.py",
        "            raise _Taken\n",
        "            return\n",
        f"{API}::test_fifty_simultaneous_equal_requests_make_one_video_and_get_equal_answers",
    ),
    without(
        "a key answers another body",
        "app/api/idempotency.py",
        "if kept.body_sha256 != body_hash:",
        "if False:",
        f"{API}::test_another_body_under_a_used_key_is_refused",
    ),
    without(
        "a receiver that is gone is asked again",
        "app/worker/deliver.py",
        "elif status == GONE or again_at is None:",
        "elif again_at is None:",
        "tests/end_to_end/test_webhooks.py::test_a_receiver_that_says_gone_is_left_alone",
    ),
)

AREAS = {
    "lifecycle": LIFECYCLE_MUTANTS,
    "submission": SUBMISSION_MUTANTS,
    "doubt": DOUBT_MUTANTS,
    "governor": GOVERNOR_MUTANTS,
    "edges": EDGE_MUTANTS,
}
