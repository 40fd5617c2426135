"""What keeps strangers' input in bounds: repeats, callbacks, HeyGen's answers, receivers."""

from tests.mutants.mutant import Mutant, without

SUBMIT = "tests/worker/test_submit.py"
POLL = "tests/worker/test_poll.py"
IDEMPOTENCY = "tests/api/test_idempotency.py"
CALLBACKS = "tests/api/test_callbacks.py"
CADENCE = "tests/worker/test_cadence.py"
GATE = "tests/api/test_gate.py"
GATES = "tests/worker/test_gates.py"
CLAIMS = "tests/worker/test_claims.py"
WEBHOOKS = "tests/end_to_end/test_webhooks.py"
DESTINATION = "tests/webhooks/test_destination.py"
DESTINATION_HTTP = "tests/webhooks/test_destination_http.py"
ABSENT = "tests/api/test_absent_database.py"
FAILPOINTS = "tests/faults/test_failpoints.py"

CALLBACKS_PY = "app/api/callbacks.py"
IDEMPOTENCY_PY = "app/api/idempotency.py"
SCHEMAS_PY = "app/heygen/schemas.py"
DESTINATION_PY = "app/webhooks/destination.py"
CLAIMS_PY = "app/worker/claims.py"
DELIVER_PY = "app/worker/deliver.py"
EXPIRE_PY = "app/worker/expire.py"
ARCHIVE_PY = "app/worker/archive.py"
EXCHANGE_PY = "app/heygen/exchange.py"
CATALOG_PY = "app/heygen/catalog.py"
GATES_PY = "app/gates.py"
FORECAST_PY = "app/forecast.py"
POLL_PY = "app/worker/poll.py"

IDEMPOTENCY_MUTANTS = (
    without(
        "a create is answered and not committed",
        IDEMPOTENCY_PY,
        "            await once.bind(ctx, session, caller, body_hash, made)\n",
        "            await once.bind(ctx, session, caller, body_hash, made)\n            await session.rollback()\n",
        f"{FAILPOINTS}::test_no_fault_at_a_boundary_breaks_a_promise[sqlite-accept.stored]",
    ),
    without(
        "simultaneous repeats each make a video",
        IDEMPOTENCY_PY,
        "            raise _Taken\n",
        "            return\n",
        f"{IDEMPOTENCY}::test_fifty_simultaneous_equal_requests_make_one_video_and_get_equal_answers",
    ),
    without(
        "a key answers another body",
        IDEMPOTENCY_PY,
        "if kept.body_sha256 != body_hash:",
        "if False:",
        f"{IDEMPOTENCY}::test_another_body_under_a_used_key_is_refused",
    ),
    without(
        "the key is bound apart from its video",
        IDEMPOTENCY_PY,
        "            await once.bind(",
        "        async with ctx.database.begin() as session:\n            await once.bind(",
        f"{IDEMPOTENCY}::test_fifty_simultaneous_equal_requests_make_one_video_and_get_equal_answers",
    ),
    without(
        "a key means the same in every operation",
        IDEMPOTENCY_PY,
        "operation=f\"{request.method} {request.scope['path']}\"",
        "operation=request.method",
        f"{IDEMPOTENCY}::test_a_key_means_something_else_in_another_operation",
    ),
    without(
        "a replay that cannot be read is a defect",
        IDEMPOTENCY_PY,
        "        except CannotDecrypt:\n",
        "        except ZeroDivisionError:\n",
        f"{IDEMPOTENCY}::test_a_repeat_whose_first_answer_cannot_be_read_names_the_cause_and_orders_nothing",
    ),
    without(
        "any key will do",
        IDEMPOTENCY_PY,
        "if keys and (len(keys) > 1 or not _KEY.fullmatch(keys[0])):",
        "if False:",
        f"{IDEMPOTENCY}::test_an_ill_formed_key_is_refused_and_nothing_is_stored",
    ),
)

CALLBACKS_MUTANTS = (
    without(
        "a callback that cannot be stored is answered like any other",
        CALLBACKS_PY,
        "    if await _take(ctx, col(Job.callback_token_sha256) == digest(token), body):\n"
        "        _known(ctx, parse(body).event_type)\n",
        "    try:\n        await _take(ctx, col(Job.callback_token_sha256) == digest(token), body)\n"
        "    except Exception:\n        pass\n",
        f"{ABSENT}::test_a_callback_is_taken_only_once_it_is_stored",
    ),
    without(
        "a callback is answered and not committed",
        CALLBACKS_PY,
        "            await _store(session, job_id, body, now)\n",
        "            await _store(session, job_id, body, now)\n            await session.rollback()\n",
        f"{CALLBACKS}::test_it_is_answered_only_once_it_is_stored",
    ),
    without(
        "any token will do",
        CALLBACKS_PY,
        "col(Job.callback_token_sha256) == digest(token)",
        "col(Job.id).isnot(None)",
        f"{CALLBACKS}::test_an_unknown_token_gets_the_same_answer_and_changes_nothing",
    ),
    without(
        "a callback makes anything due",
        CALLBACKS_PY,
        "case((asked & later, soon)",
        "case((later, soon)",
        f"{CALLBACKS}::test_an_early_callback_waits_in_the_row_until_heygen_has_answered",
    ),
    without(
        "a storm of callbacks is a storm of reads",
        CALLBACKS_PY,
        "soon = case((col(Job.hint_after) > now, col(Job.hint_after)), else_=literal(now, UTCDateTime()))",
        "soon = literal(now, UTCDateTime())",
        f"{CALLBACKS}::test_a_storm_of_callbacks_costs_one_read_in_thirty_seconds",
    ),
    without(
        "each copy of a callback is kept",
        CALLBACKS_PY,
        "    if again is not None:\n        return\n",
        "",
        f"{CALLBACKS}::test_what_came_is_kept_once_with_a_counter",
    ),
    without(
        "callbacks are kept without end",
        CALLBACKS_PY,
        "if kept is not None and kept >= MOST_ROWS:",
        "if False:",
        f"{CALLBACKS}::test_at_most_twenty_different_bodies_are_kept_and_later_ones_are_hints_still",
    ),
    without(
        "a callback postpones",
        CALLBACKS_PY,
        "asked & later, soon",
        "asked, soon",
        f"{CALLBACKS}::test_a_callback_never_moves_a_due_instant_back",
    ),
    without(
        "a callback during a read is lost",
        CLAIMS_PY,
        "due_at=case((hinted, col(Job.due_at)), else_=due_at)",
        "due_at=due_at",
        f"{CLAIMS}::test_a_callback_that_comes_while_heygen_is_asked_is_not_lost",
    ),
    without(
        "what is due at once goes in any order",
        CLAIMS_PY,
        ".order_by(col(Job.due_at), col(Job.id))",
        ".order_by(col(Job.due_at))",
        f"{CLAIMS}::test_jobs_that_are_due_at_one_instant_are_taken_in_the_order_they_came",
    ),
)

GATES_MUTANTS = (
    without(
        "what a caller's read met is kept to oneself",
        CATALOG_PY,
        "                await self._gate.met(error)\n",
        "                pass\n",
        f"{GATE}::test_what_is_answered_from_the_cache_tells_the_others_too",
    ),
    without(
        "a caller's read does not ask what others were told",
        CATALOG_PY,
        "        if until is not None and self._now() < until:\n",
        "        if False:\n",
        f"{GATE}::test_every_replica_waits[sqlite-/v3/voices]",
    ),
    without(
        "a list of HeyGen's videos passes the gate by",
        "app/api/video_reads.py",
        "catalog.through_gate(\n                partial(\n                    connection.heygen.list_videos,\n",
        "heygen.list_videos(\n                **dict(\n",
        f"{GATE}::test_every_replica_waits[sqlite-/v3/videos]",
    ),
    without(
        "HeyGen is read before its Retry-After",
        GATES_PY,
        "    if account.gate_until is not None and account.gate_until > now:",
        "    if False:",
        f"{GATES}::test_reads_obey_retry_after_even_in_a_process_that_starts_later",
    ),
    without(
        "a batch of reads goes on after its 429",
        EXCHANGE_PY,
        "                self.hold(self._now() + retry_after)",
        "                pass",
        f"{GATES}::test_the_reads_of_a_batch_stop_at_the_first_429",
    ),
    without(
        "files are fetched before Retry-After",
        ARCHIVE_PY,
        "            if shut:\n",
        "            if False:\n",
        f"{GATES}::test_files_and_withdrawn_renders_wait_behind_the_gate_too",
    ),
    without(
        "a long copy is begun by another worker, too",
        ARCHIVE_PY,
        "renewing(ctx, pieces(response), LEASE, lambda session: _extend(ctx, session, owed.file))",
        "pieces(response)",
        "tests/worker/test_archive.py::test_a_file_that_takes_longer_than_a_lease_is_copied_once",
    ),
    without(
        "a copy that was taken over goes on",
        CLAIMS_PY,
        "                raise LeaseOver\n",
        "                pass\n",
        "tests/worker/test_archive.py::test_a_copy_that_another_worker_took_over_is_not_read_to_its_end",
    ),
    without(
        "a refused key goes on reading",
        GATES_PY,
        "account.paused_reason in REFUSED_KEY",
        "False",
        f"{GATES}::test_a_refused_key_stops_the_reads_until_it_is_looked_at_again",
    ),
    without(
        "a caller's read goes on with a refused key",
        GATES_PY,
        "            return (await shut(session, [self.account_id], now)).get(self.account_id)\n",
        "            return (await session.get_one(Account, self.account_id)).gate_until\n",
        f"{GATE}::test_a_refused_key_is_not_read_with_until_the_account_is_well_again[sqlite]",
    ),
    without(
        "a read that is refused lowers the number in flight",
        GATES_PY,
        "now, lowers=False)",
        "now)",
        f"{GATE}::test_a_read_that_is_refused_keeps_no_render_back[sqlite]",
    ),
    without(
        "nobody hears of a long Retry-After",
        "app/governor.py",
        "    if retry_after is not None and retry_after > LONG:",
        "    if False:",
        f"{GATES}::test_a_long_retry_after_is_obeyed_and_an_operator_is_told",
    ),
    without(
        "nobody hears of a paused account",
        "app/governor.py",
        "    if name is not None and probe_after is not None:",
        "    if False:",
        f"{GATES}::test_an_operator_is_told_once_of_a_pause_and_of_its_end",
    ),
    without(
        "each refusal of a paused account is an alarm",
        "app/governor.py",
        "    if name is not None and probe_after is not None:",
        "    if probe_after is not None:",
        f"{GATES}::test_an_operator_is_told_once_of_a_pause_and_of_its_end",
    ),
    without(
        "an outage multiplies the sends",
        "app/worker/unsure.py",
        "        if wait:\n",
        "        if False:\n",
        f"{GATES}::test_an_outage_is_met_with_a_tenth_more_sends_and_one_a_second",
    ),
    without(
        "what nobody wants any more is sent",
        "app/worker/submit.py",
        "    if ctx.clock.now() >= intent.deadline_at:",
        "    if False:",
        f"{GATES}::test_work_whose_deadline_has_passed_is_not_sent",
    ),
    without(
        "a history puts a look off",
        FORECAST_PY,
        "return min(scheduled, max(min(ahead), floor))",
        "return (max(min(ahead), floor))",
        "tests/test_forecast.py::test_an_expected_end_only_brings_a_look_forward_and_never_below_the_floor",
    ),
    without(
        "a history tells of our polls instead of HeyGen's renders",
        FORECAST_PY,
        "return min(seen, timedelta(seconds=told)) if isinstance(told, int | float) and told >= 0 else seen",
        "return seen",
        f"{CADENCE}::test_the_history_is_heygens_own_word_and_read_once_a_minute",
    ),
    without(
        "a history doubles the questions",
        "app/worker/cadence.py",
        "    if ctx.callback_base is not None and",
        "    if False and",
        f"{CADENCE}::test_where_callbacks_arrive_a_history_costs_no_question_more",
    ),
)

POLLS_MUTANTS = (
    without(
        "a file that lags is waited for as long as HeyGen is away",
        EXPIRE_PY,
        "return await _setting_aside(lambda aside: _end(ctx, NEVER_CAME, lagging, aside)) or ended",
        "return ended",
        f"{POLL}::test_a_file_that_lags_is_given_up_even_where_heygen_cannot_be_asked",
    ),
    without(
        "completed is said before the link answers",
        POLL_PY,
        'case "completed" if await answers(ctx, video.video_url):',
        'case "completed" if video.video_url:',
        f"{POLL}::test_completed_is_said_only_once_the_link_answers",
    ),
    without(
        "an id that HeyGen dislikes hides its neighbours",
        POLL_PY,
        "            return jobs, []\n",
        "            pass\n",
        f"{POLL}::test_a_bulk_question_that_heygen_dislikes_hides_no_video_that_is_done",
    ),
    without(
        "an answer about one of them does not count for the account",
        POLL_PY,
        "            await gates.heed(ctx, some[0].account_id, met)\n",
        "            pass\n",
        f"{POLL}::test_what_the_first_of_them_tells_of_the_account_is_heeded",
    ),
    without(
        "one answer has all of them read singly",
        POLL_PY,
        "min(AT_ONCE, len(jobs))",
        "len(jobs)",
        f"{POLL}::test_of_many_a_few_are_read_singly_where_heygen_fails_at_their_question",
    ),
    without(
        "an id that HeyGen fails at hides its neighbours",
        POLL_PY,
        "    return some\n",
        "    return []\n",
        f"{POLL}::test_a_bulk_question_that_heygen_dislikes_hides_no_video_that_is_done",
    ),
    without(
        "each callback costs a read",
        CLAIMS_PY,
        "    if asked:\n",
        "    if False:\n",
        f"{POLL}::test_forged_callbacks_change_nothing_and_cost_one_read_in_thirty_seconds",
    ),
    without(
        "a callback interrupts who holds the job",
        CLAIMS_PY,
        "col(Job.due_at) <= before, free)",
        "col(Job.due_at) <= before)",
        f"{CALLBACKS}::test_a_lease_is_never_touched",
    ),
    without(
        "an empty wallet fails the queue",
        POLL_PY,
        "            await governor.pause(session, job.account_id, fact.code.lower(), now)\n",
        "            pass\n",
        f"{POLL}::test_an_empty_wallet_at_the_end_of_a_render_pauses_the_queue_behind_it",
    ),
    without(
        "a new word of HeyGen's ends the render",
        SCHEMAS_PY,
        'return "gone"\n        case _:\n            return "running"',
        'return "gone"\n        case "processing" | "pending" | "waiting":\n            return "running"\n'
        '        case _:\n            return "failed"',
        f"{POLL}::test_a_word_that_heygen_never_used_before_means_still_running",
    ),
    without(
        "a 404 is believed at once",
        POLL_PY,
        "if ctx.clock.now() - since < GRACE:",
        "if False:",
        f"{POLL}::test_a_video_that_heygen_no_longer_knows_fails_after_a_grace",
    ),
    without(
        "the deadline ends what is rendered",
        EXPIRE_PY,
        "overdue = (col(Job.finished_at).is_(None), col(Job.rendered_at).is_(None), ",
        "overdue = (col(Job.finished_at).is_(None), ",
        f"{POLL}::test_a_file_that_never_answers_fails_after_a_week_and_not_at_the_deadline",
    ),
    without(
        "an outage is asked about at one pace",
        FORECAST_PY,
        "    return min(by_count, first + max(age, timedelta()) * (GROWTH - 1), slowest)",
        "    return first",
        f"{POLL}::test_reads_during_an_outage_are_postponed_and_nothing_is_lost",
    ),
    without(
        "whoever takes over looks like who lost it",
        CLAIMS_PY,
        "epoch=col(Job.epoch) + 1, lease_until",
        "lease_until",
        f"{SUBMIT}::test_a_late_answer_of_a_frozen_sender_is_kept_and_used",
    ),
    without(
        "who lost a batch gives it back",
        CLAIMS_PY,
        'JOBS.c.epoch == bindparam("its_epoch")',
        'JOBS.c.epoch >= bindparam("its_epoch")',
        f"{CLAIMS}::test_a_reader_that_lost_its_job_does_not_give_it_back_for_the_next_one",
    ),
    without(
        "a callback during a bulk question is lost",
        CLAIMS_PY,
        "due_at=case((hinted, JOBS.c.due_at), else_=later)",
        "due_at=later",
        f"{CLAIMS}::test_a_callback_that_comes_while_heygen_is_asked_is_not_lost",
    ),
    without(
        "who lost a job gives it back",
        CLAIMS_PY,
        "job.epoch, col(Job.status) == job.status)\n        .values(due_at=",
        "col(Job.epoch))\n        .values(due_at=",
        f"{CLAIMS}::test_a_reader_that_lost_its_job_does_not_give_it_back_for_the_next_one",
    ),
)

DELIVERIES_MUTANTS = (
    without(
        "what is held in vain stays held",
        "app/worker/loop.py",
        "        receivers.free_held,\n",
        "",
        "tests/end_to_end/test_endpoints.py"
        "::test_what_is_held_for_an_enabled_endpoint_goes_out_with_the_next_sweep",
    ),
    without(
        "a receiver that is gone is asked again",
        DELIVER_PY,
        "elif status == receivers.GONE or again_at is None:",
        "elif again_at is None:",
        f"{WEBHOOKS}::test_a_receiver_that_says_gone_is_left_alone",
    ),
    without(
        "each attempt has bytes of its own",
        DELIVER_PY,
        'return Due(delivery, body or b"",',
        'return Due(delivery, (body or b"") + b" " * delivery.attempts,',
        f"{WEBHOOKS}::test_a_receiver_that_was_down_gets_the_same_bytes_freshly_signed_on_schedule",
    ),
    without(
        "a receiver that is down gets no rest",
        DELIVER_PY,
        "again_at = schedule.next_attempt(failures, now, ctx.random.uniform(-1, 1))",
        "again_at = now + timedelta(seconds=5)",
        f"{WEBHOOKS}::test_a_receiver_that_was_down_gets_the_same_bytes_freshly_signed_on_schedule",
    ),
    without(
        "a delivery is never given up",
        DELIVER_PY,
        "elif status == receivers.GONE or again_at is None:",
        "elif status == receivers.GONE:",
        f"{CLAIMS}::test_a_receiver_that_never_answers_well_is_given_up_after_ten_attempts",
    ),
    without(
        "who lost a delivery settles it",
        DELIVER_PY,
        "            col(Delivery.epoch) == delivery.epoch,\n",
        "",
        f"{CLAIMS}::test_an_attempt_that_lost_its_delivery_does_not_give_it_to_a_third",
    ),
    without(
        "an attempt is made after its lease",
        DELIVER_PY,
        "delivery.lease_until <= ctx.clock.now():",
        "False:",
        f"{CLAIMS}::test_an_attempt_whose_process_slept_through_its_lease_is_not_made",
    ),
    without(
        "an attempt is not counted",
        DELIVER_PY,
        "                attempts=col(Delivery.attempts) + 1,\n",
        "",
        f"{WEBHOOKS}::test_a_receiver_that_was_down_gets_the_same_bytes_freshly_signed_on_schedule",
    ),
    without(
        "one receiver takes every place",
        DELIVER_PY,
        "                *under_way.free(now),\n",
        "",
        f"{WEBHOOKS}::test_a_receiver_that_hangs_takes_its_own_share_and_holds_up_nobody_else",
    ),
    without(
        "who hangs keeps all its places",
        DELIVER_PY,
        "        if line in self.hanging:\n",
        "        if False:\n",
        f"{CLAIMS}::test_who_hangs_has_one_place_until_it_takes_an_event_well",
    ),
    without(
        "who fails at once hangs no more",
        DELIVER_PY,
        "        if not went_well and took < SLOW:\n",
        "        if False:\n",
        f"{CLAIMS}::test_who_hangs_has_one_place_until_it_takes_an_event_well",
    ),
    without(
        "all who hang take every place together",
        DELIVER_PY,
        "            busy |= self.hanging | self.slow.keys()\n",
        "            pass\n",
        f"{CLAIMS}::test_all_who_hang_leave_most_places_to_others",
    ),
    without(
        "who is slow keeps all its places",
        DELIVER_PY,
        "        return min(most, max(1, SLOW_AT_ONCE // sharing)) if line in self.slow else most\n",
        "        return most\n",
        f"{CLAIMS}::test_all_who_are_slow_leave_most_places_to_others_and_share_theirs",
    ),
    without(
        "who was slow once takes a share for ever",
        DELIVER_PY,
        "self.lines[line] > 0 or now - at < LATELY for",
        "self.lines[line] >= 0 for",
        f"{CLAIMS}::test_who_is_slow_shares_with_those_alone_that_have_work",
    ),
    without(
        "any answer is a delivery",
        DELIVER_PY,
        "    return status is not None and 200 <= status < 300\n",
        "    return status is not None\n",
        f"{WEBHOOKS}::test_a_receiver_that_was_down_gets_the_same_bytes_freshly_signed_on_schedule",
    ),
    Mutant(
        "far more of an answer is read than is kept",
        DESTINATION_PY,
        (
            ("if len(received) >= keep:", "if len(received) >= 100 * keep:"),
            ("bytes(received[:keep])", "bytes(received)"),
        ),
        (f"{DESTINATION_HTTP}::test_of_an_endless_answer_only_the_beginning_is_read",),
    ),
    without(
        "what a receiver packed is unpacked",
        DESTINATION_PY,
        "response.aiter_raw():\n            received",
        "response.aiter_bytes():\n            received",
        f"{DESTINATION_HTTP}::test_a_bomb_is_kept_as_it_came_and_not_inflated",
    ),
    without(
        "one public address among private ones is enough",
        DESTINATION_PY,
        "not all(is_public(",
        "not any(is_public(",
        f"{DESTINATION}::test_mixed_answers_are_refused_whole",
    ),
    without(
        "a literal private address is dialled",
        DESTINATION_PY,
        "    if not is_public(address[4][0]):\n        raise DeniedAddress",
        "    if False:\n        raise DeniedAddress",
        f"{DESTINATION}::test_no_spelling_of_a_host_opens_a_connection",
    ),
    without(
        "a redirect is followed",
        DESTINATION_PY,
        "follow_redirects=False",
        "follow_redirects=True",
        f"{DESTINATION_HTTP}::test_redirects_are_answers_and_never_followed",
    ),
    without(
        "a URL is checked only when it is named",
        DESTINATION_PY,
        "        check_url(url, allow_private=client.allow_private)\n",
        "        pass\n",
        f"{DESTINATION_HTTP}::test_the_form_of_a_url_is_checked_at_every_attempt",
    ),
)
