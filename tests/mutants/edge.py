"""What stands between HeyGen's network and ours: registered callbacks, and what one of them may cost."""

from tests.mutants.mutant import without

REGISTERED = "tests/api/test_registered_callbacks.py"
ACCOUNTS = "tests/test_accounts.py"
DOCTOR = "tests/test_doctor.py"
UNSURE = "tests/worker/test_unsure.py"

CALLBACKS_PY = "app/api/callbacks.py"
CALLBACK_PY = "app/heygen/callback.py"
UNSURE_PY = "app/worker/unsure.py"

EDGE_MUTANTS = (
    without(
        "any signature will do",
        CALLBACK_PY,
        '    if not hmac.compare_digest(expected.encode(), given[0].encode("utf-8", "surrogatepass")):',
        "    if False:",
        f"{REGISTERED}::test_what_is_wrongly_signed_is_answered_like_an_unknown_token_and_keeps_nothing[sqlite]",
    ),
    without(
        "no callback is too old",
        CALLBACK_PY,
        "    return not times or (len(times) == 1 and _is_near(times[0], now))",
        "    return True",
        f"{REGISTERED}::test_what_is_wrongly_signed_is_answered_like_an_unknown_token_and_keeps_nothing[sqlite]",
    ),
    without(
        "only one secret opens",
        CALLBACKS_PY,
        "for secret in ctx.callback_secrets)",
        "for secret in ctx.callback_secrets[:1])",
        f"{REGISTERED}::test_a_signed_callback_makes_us_ask_at_once_whichever_secret_signed_it[sqlite]",
    ),
    without(
        "without a secret everything is taken for signed",
        CALLBACKS_PY,
        "    if not ctx.callback_secrets:",
        "    if False:",
        f"{REGISTERED}::test_probes_are_answered_before_there_is_a_secret_and_posts_are_not[sqlite]",
    ),
    without(
        "an event of an unknown kind is kept",
        CALLBACKS_PY,
        "    if not _known(ctx, event.event_type):",
        "    if False:",
        f"{REGISTERED}::test_what_was_made_outside_of_greenroom_and_unknown_events_are_counted_and_not_kept[sqlite]",
    ),
    without(
        "a job whose answer was lost is not recognised",
        CALLBACKS_PY,
        "        if event.callback_id is None:",
        "        if True:",
        f"{REGISTERED}::test_a_job_whose_answer_was_lost_is_found_by_what_we_called_it_and_confirmed_by_heygen[sqlite]",
    ),
    without(
        "each id that a callback names is a read",
        UNSURE_PY,
        "    return job.hint_after is not None and now < job.hint_after\n",
        "    return False\n",
        f"{UNSURE}::test_a_callback_that_must_wait_for_its_half_minute_is_not_forgotten[sqlite]",
    ),
    without(
        "a callback that came too soon is forgotten",
        UNSURE_PY,
        "values(due_at=job.hint_after)",
        "values(epoch=col(Job.epoch))",
        f"{UNSURE}::test_a_callback_that_must_wait_for_its_half_minute_is_not_forgotten[sqlite]",
    ),
    without(
        "strangers fill the memory with names",
        "app/watchdog.py",
        "            if len(self._met) >= MOST_NAMES:",
        "            if False:",
        "tests/test_watchdog.py::test_names_without_end_are_counted_together_and_told_once",
    ),
    without(
        "each repeat of what is new is told",
        "app/watchdog.py",
        "        self._met[key] += 1",
        '        self._met[key] += 1\n        log.warning("contract_drift", name=name)',
        "tests/test_watchdog.py::test_whatever_is_new_is_counted_told_once_and_stops_nothing[sqlite]",
    ),
    without(
        "any proof will do",
        "app/doctor/outside.py",
        "        if self.keys and not proves(self.keys, challenge, proof):",
        "        if False:",
        f"{DOCTOR}::test_whoever_else_answers_at_the_public_address_is_told_apart[other keys-sqlite]",
    ),
    without(
        "whoever answers is taken for us",
        "app/doctor/outside.py",
        "        if answer.status_code in statuses and proof is None:",
        "        if False:",
        f"{DOCTOR}::test_whoever_else_answers_at_the_public_address_is_told_apart[foreign-sqlite]",
    ),
    without(
        "a second endpoint is made without being asked for",
        "app/doctor/upstream.py",
        "        if there and not again:",
        "        if False:",
        f"{DOCTOR}::test_an_endpoint_is_registered_once_unless_another_is_asked_for[sqlite]",
    ),
    without(
        "the doctor asks before a Retry-After has passed",
        "app/doctor/upstream.py",
        "        if self.way.wait_until is not None:",
        "        if False:",
        f"{DOCTOR}::test_an_account_that_must_be_left_alone_is_not_asked[sqlite]",
    ),
    without(
        "one account that hangs keeps the others waiting",
        "app/worker/poll.py",
        "        one = replace(ctx, connections={account_id: ctx.connections[account_id]})\n",
        "        one = ctx\n",
        "tests/worker/test_poll.py"
        "::test_each_sweep_asks_one_account_so_that_one_that_hangs_keeps_nobody_elses_waiting[sqlite]",
    ),
    without(
        "a command reads before a Retry-After has passed",
        "app/render_commands.py",
        "        if account.id in shut:",
        "        if False:",
        f"{ACCOUNTS}::test_no_command_asks_heygen_before_its_retry_after_has_passed[sqlite]",
    ),
    without(
        "a key is added before a Retry-After has passed",
        "app/desk.py",
        "    if gate_until is not None and gate_until > now:",
        "    if False:",
        f"{ACCOUNTS}::test_no_command_asks_heygen_before_its_retry_after_has_passed[sqlite]",
    ),
)
