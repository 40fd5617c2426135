"""What keeps an account from too much."""

from tests.mutants.mutant import Mutant, without

SUBMIT = "tests/worker/test_submit.py"
GOVERNOR = "tests/test_governor.py"

GOVERNOR_PY = "app/governor.py"

GOVERNOR_MUTANTS = (
    without(
        "an account is probed before its Retry-After",
        GOVERNOR_PY,
        "            or_(col(Account.gate_until).is_(None), col(Account.gate_until) <= now),\n",
        "",
        f"{GOVERNOR}::test_a_paused_account_is_not_looked_at_before_its_retry_after",
    ),
    without(
        "the account's cap is passed",
        GOVERNOR_PY,
        "if sum(held.values()) >= account.limit_now:",
        "if False:",
        f"{GOVERNOR}::test_an_account_has_no_more_jobs_under_way_than_it_may",
    ),
    without(
        "the shares are not fair",
        GOVERNOR_PY,
        "return has_its_share, start_of(first), first.job_id",
        "return False, 0.0, first.job_id",
        f"{SUBMIT}::test_the_next_slot_goes_to_the_tenant_with_the_fewest",
    ),
    without(
        "nobody remembers whose turn it was",
        GOVERNOR_PY,
        "return has_its_share, start_of(first), first.job_id",
        "return has_its_share, 0.0, first.job_id",
        f"{GOVERNOR}::test_a_tenant_with_a_long_queue_starves_nobody",
    ),
    without(
        "who holds its share goes on",
        GOVERNOR_PY,
        "held.get(first.tenant_id, 0) >= share * first.weight",
        "False",
        f"{GOVERNOR}::test_long_renders_do_not_take_all_slots",
    ),
    without(
        "a tenant that is moved keeps the turns of its former account",
        GOVERNOR_PY,
        "max(min(first.turn, furthest), account.turn)",
        "max(first.turn, account.turn)",
        f"{GOVERNOR}::test_a_tenant_that_comes_from_another_account_is_no_worse_off",
    ),
    without(
        "every start costs the same",
        GOVERNOR_PY,
        "turn = start + 1 / chosen.weight",
        "turn = start + 1",
        f"{GOVERNOR}::test_starts_are_shared_by_weight",
    ),
    without(
        "who was kept waiting loses its turns",
        GOVERNOR_PY,
        "start - CREDIT)",
        "start)",
        f"{GOVERNOR}::test_starts_are_shared_by_weight",
    ),
    without(
        "who comes back catches up on everything",
        GOVERNOR_PY,
        "account.turn = max(account.turn, start - CREDIT)",
        "pass",
        f"{GOVERNOR}::test_who_comes_back_does_not_catch_up_on_what_it_did_not_want",
    ),
    without(
        "Retry-After is not obeyed",
        GOVERNOR_PY,
        "    return account.gate_until if account.gate_until is not None and account.gate_until > now else None",
        "    return None",
        f"{GOVERNOR}::test_a_second_429_never_opens_the_gate_sooner",
    ),
    without(
        "a paused account sends",
        GOVERNOR_PY,
        "    if account.paused_at is not None:\n",
        "    if False:\n",
        f"{GOVERNOR}::test_only_an_operator_ends_what_an_operator_paused",
    ),
    without(
        "a tenant's own cap is passed",
        GOVERNOR_PY,
        "if first.slot_cap is None or held.get(first.tenant_id, 0) < first.slot_cap",
        "if True",
        f"{GOVERNOR}::test_a_tenant_gets_no_more_slots_than_it_may_have",
    ),
    without(
        "nothing is urgent",
        GOVERNOR_PY,
        ".order_by(col(Job.rank), col(Job.id))",
        ".order_by(col(Job.id))",
        f"{SUBMIT}::test_priority_goes_first_within_a_tenant",
    ),
    without(
        "a video that waits for its look holds up others",
        GOVERNOR_PY,
        "        col(Job.waits_for_id).is_(None),\n        col(Job.due_at).is_(None),\n",
        "        col(Job.due_at).is_(None),\n",
        f"{GOVERNOR}::test_a_video_that_waits_for_its_look_holds_up_nobody",
    ),
    without(
        "what went back is sent at once",
        GOVERNOR_PY,
        "        col(Job.waits_for_id).is_(None),\n        col(Job.due_at).is_(None),\n",
        "        col(Job.waits_for_id).is_(None),\n",
        f"{GOVERNOR}::test_what_goes_back_gives_its_slot_to_others_and_waits_its_time",
    ),
    without(
        "what went back is never sent again",
        GOVERNOR_PY,
        "    await _end_delays(session, account_id, now)\n",
        "",
        f"{GOVERNOR}::test_jobs_that_wait_their_time_are_not_stepped_over_at_each_claim",
    ),
    without(
        "an account that is refused goes on",
        GOVERNOR_PY,
        "account.refused_count >= REFUSALS_TO_PAUSE and",
        "False and",
        f"{GOVERNOR}::test_the_same_refusal_three_times_in_a_row_pauses_the_account",
    ),
    without(
        "one refusal pauses the account",
        GOVERNOR_PY,
        "REFUSALS_TO_PAUSE = 3",
        "REFUSALS_TO_PAUSE = 1",
        f"{GOVERNOR}::test_the_same_refusal_three_times_in_a_row_pauses_the_account",
    ),
    without(
        "a 429 lowers nothing",
        GOVERNOR_PY,
        "max(1, int(account.limit_now * 0.7))",
        "account.limit_now",
        f"{SUBMIT}::test_a_429_lowers_the_number_in_flight_and_success_raises_it_again",
    ),
    without(
        "each call of a burst lowers the limit",
        GOVERNOR_PY,
        " or told.sent_at > account.lowered_at):",
        " or True):",
        f"{GOVERNOR}::test_what_was_under_way_together_lowers_the_limit_once",
    ),
    without(
        "a second 429 opens the gate sooner",
        GOVERNOR_PY,
        "max(until, account.gate_until or until)",
        "until",
        f"{GOVERNOR}::test_a_second_429_never_opens_the_gate_sooner",
    ),
    without(
        "an account without credit is tried with all its slots",
        GOVERNOR_PY,
        "    if account.on_trial and await _is_submitting(session, account_id, now):\n",
        "    if False:\n",
        f"{SUBMIT}::test_where_no_balance_is_seen_creates_go_one_by_one_until_one_is_accepted",
    ),
    without(
        "a row that cannot be moved keeps an account on trial",
        GOVERNOR_PY,
        ", col(Job.lease_until) > now, ours)",
        ", ours)",
        "tests/worker/test_expire.py::test_a_row_that_cannot_be_moved_does_not_keep_an_account_on_trial",
    ),
    without(
        "an account stays on trial",
        GOVERNOR_PY,
        "    account.on_trial = False\n",
        "",
        f"{SUBMIT}::test_where_no_balance_is_seen_creates_go_one_by_one_until_one_is_accepted",
    ),
    without(
        "a probe ends an operator's pause",
        GOVERNOR_PY,
        "col(Account.paused_reason) == only if only is not None else true()",
        "true()",
        f"{GOVERNOR}::test_only_an_operator_ends_what_an_operator_paused",
    ),
    without(
        "a refusal replaces an operator's pause",
        GOVERNOR_PY,
        "col(Account.paused_at).is_(None) if probe_after is not None else true()",
        "true()",
        f"{GOVERNOR}::test_only_an_operator_ends_what_an_operator_paused",
    ),
)

LOCKS_MUTANTS = (
    Mutant(
        "slots are counted without the lock",
        GOVERNOR_PY,
        (
            (
                "    statement = statement.with_for_update(key_share=True).execution_options",
                "    statement = statement.execution_options",
            ),
        ),
        (f"{GOVERNOR}::test_whoever_counts_slots_keeps_others_from_counting_until_the_slot_is_taken",),
        database="postgresql",
    ),
)
