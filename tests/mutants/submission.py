"""What keeps one job one render: the send, and the way out of doubt."""

from tests.mutants.mutant import Mutant, without

SUBMIT = "tests/worker/test_submit.py"
UNSURE = "tests/worker/test_unsure.py"
PREPARATION = "tests/end_to_end/test_preparation.py"
RESTORE = "tests/end_to_end/test_restore.py"
POLL = "tests/worker/test_poll.py"
CLAIMS = "tests/worker/test_claims.py"
TIDY = "tests/worker/test_tidy.py"
EXPIRE = "tests/worker/test_expire.py"

ANSWERS_PY = "app/worker/answers.py"
EXPIRE_PY = "app/worker/expire.py"
POLL_PY = "app/worker/poll.py"
LEDGER_PY = "app/worker/ledger.py"
SEARCH_PY = "app/worker/search.py"
SUBMIT_PY = "app/worker/submit.py"
TIDY_PY = "app/worker/tidy.py"
UNSURE_PY = "app/worker/unsure.py"
UPLOADS_PY = "app/worker/uploads.py"

CLOCK_STOOD = f"{UNSURE}::test_a_restart_by_a_clock_that_stood_still_repeats_only_what_heygen_does_not_list"

SUBMISSION_MUTANTS = (
    without(
        "a sender that slept through its lease sends",
        SUBMIT_PY,
        "if ctx.clock.now() >= intent.send_before:",
        "if False:",
        f"{SUBMIT}::test_a_sender_that_slept_through_its_lease_does_not_send",
    ),
    without(
        "a lost answer counts as a refusal",
        ANSWERS_PY,
        "            return Doubt(error.reason)",
        "            return Release(error.reason, delay)",
        f"{SUBMIT}::test_a_lost_answer_makes_the_job_unsure_and_keeps_its_slot",
    ),
    without(
        "a repeat gets a key of its own",
        LEDGER_PY,
        'f"{job.id}-{n}"',
        'f"{job.id}-{n}-{send}"',
        f"{SUBMIT}::test_an_answer_lost_after_acceptance_is_asked_for_again_under_the_same_key",
    ),
    without(
        "a key is made up anew after a restore",
        LEDGER_PY,
        'f"{job.id}-{n}"',
        'f"{uuid7().hex}-{n}"',
        f"{RESTORE}::test_it_doubles_nothing_and_tells_what_it_does_not_know",
    ),
    without(
        "a render that has a job is listed as an orphan",
        "app/orphans.py",
        '            ours.pop(heygen_id or "", None)\n',
        "            pass\n",
        f"{RESTORE}::test_it_doubles_nothing_and_tells_what_it_does_not_know",
    ),
    without(
        "an upload that is refused lowers the number in flight",
        SUBMIT_PY,
        "told, lowers=False)",
        "told)",
        f"{PREPARATION}::test_what_an_upload_tells_of_the_account_counts_for_all",
    ),
    without(
        "a withdrawn job's late answer lies in the ledger unread",
        TIDY_PY,
        "if late is not None and not await taken(session, job, late):",
        "if False:",
        f"{TIDY}::test_a_withdrawn_job_whose_answer_came_too_late_for_its_claim_is_not_searched_for",
    ),
    without(
        "an id that another job holds is taken from the ledger",
        TIDY_PY,
        "if late is not None and not await taken(session, job, late):",
        "if late is not None:",
        f"{TIDY}::test_an_id_that_another_job_holds_is_not_taken_from_the_ledger_either",
    ),
    without(
        "a dead worker's send is forgotten",
        EXPIRE_PY,
        "if await _unanswered(session, job_id, epoch):",
        "if False:",
        f"{SUBMIT}::test_a_sender_that_slept_through_its_lease_does_not_send",
        f"{SUBMIT}::test_a_late_answer_of_a_frozen_sender_is_kept_and_used",
    ),
    without(
        "a late answer is thrown away",
        UNSURE_PY,
        "    if late is not None and await _accept(ctx, job, Found(late)):\n        return\n",
        "",
        f"{SUBMIT}::test_a_late_answer_of_a_frozen_sender_is_kept_and_used",
    ),
    without(
        "two jobs may hold one render",
        SUBMIT_PY,
        "theirs = disowned or await taken(session, job, created.id)",
        "theirs = disowned",
        f"{SUBMIT}::test_an_id_that_another_job_holds_is_refused",
    ),
    without(
        "a send is not written down",
        LEDGER_PY,
        "    await session.execute(\n        insert(Submission)",
        "    (\n        insert(Submission)",
        f"{SUBMIT}::test_a_503_before_acceptance_is_repeated_under_the_same_key",
    ),
    without(
        "a send that was never written gets a new key",
        LEDGER_PY,
        "if last is None or last.outcome == Outcome.REFUSED:",
        "if True:",
        f"{SUBMIT}::test_while_heygen_cannot_be_reached_the_job_waits_and_its_bytes_stay_the_same",
    ),
    without(
        "a refused key is used again",
        LEDGER_PY,
        "if last is None or last.outcome == Outcome.REFUSED:",
        "if last is None:",
        f"{SUBMIT}::test_a_refusal_that_heygen_keeps_for_its_key_is_not_asked_for_again",
    ),
    without(
        "one key carries two bodies",
        LEDGER_PY,
        "_bytes_of(ctx, sends) or body, (last.n",
        "body, (last.n",
        f"{SUBMIT}::test_while_heygen_cannot_be_reached_the_job_waits_and_its_bytes_stay_the_same",
    ),
    without(
        "a job canceled while it is prepared is sent",
        SUBMIT_PY,
        "if not await ledger.holds(session, job.id, job.epoch, JobStatus.SUBMITTING):",
        "if False:",
        f"{CLAIMS}::test_a_video_canceled_while_it_is_prepared_is_never_sent",
    ),
    without(
        "a 429 shuts no gate",
        ANSWERS_PY,
        "gate=Told(error.retry_after, error.sent_at)",
        "gate=None",
        f"{SUBMIT}::test_retry_after_is_obeyed_to_the_second_even_by_a_process_that_starts_later",
    ),
    without(
        "trouble of the account fails the job",
        ANSWERS_PY,
        "return Release(error.code, delay, pause=error.code)",
        "return None",
        f"{SUBMIT}::test_trouble_of_the_account_pauses_it_and_fails_no_job",
    ),
    without(
        "what was never written is in doubt",
        ANSWERS_PY,
        "            return Release(error.reason, delay)",
        "            return Doubt(error.reason)",
        f"{SUBMIT}::test_while_heygen_cannot_be_reached_the_job_waits_and_its_bytes_stay_the_same",
    ),
    without(
        "a sender at work loses its job",
        EXPIRE_PY,
        "is_status(JobStatus.SUBMITTING), col(Job.lease_until) <= now, ",
        "is_status(JobStatus.SUBMITTING), ",
        f"{CLAIMS}::test_a_sender_at_work_is_left_alone",
    ),
    without(
        "a late answer looks punctual",
        LEDGER_PY,
        "late = await session.scalar(current) != intent.epoch",
        "late = False",
        f"{SUBMIT}::test_a_late_answer_of_a_frozen_sender_is_kept_and_used",
    ),
)

SWEEPS_MUTANTS = (
    without(
        "a row that cannot be ended keeps all deadlines",
        EXPIRE_PY,
        "aside: _end(ctx, Expired(), overdue, aside))",
        "_aside: _end(ctx, Expired(), overdue, []))",
        f"{EXPIRE}::test_a_row_that_cannot_be_moved_keeps_no_other_from_its_end",
    ),
    without(
        "a row that cannot be taken back keeps all leases",
        EXPIRE_PY,
        "            aside.append(job_id)\n            # A job",
        "            # A job",
        f"{EXPIRE}::test_a_row_that_cannot_be_moved_keeps_no_other_from_its_end",
    ),
    without(
        "only one look is seen to have ended",
        EXPIRE_PY,
        "select(following.scalar_subquery()).where(looks.c.id.isnot(None))",
        'select(following.scalar_subquery()).where(looks.c.id == "")',
        f"{EXPIRE}::test_a_video_that_came_to_wait_for_a_look_as_it_ended_goes_on",
    ),
    without(
        "all that wait for a look are read each minute",
        EXPIRE_PY,
        "where(col(Job.waits_for_id) > looks.c.id)",
        'where(col(Job.waits_for_id) + "" > looks.c.id)',
        "tests/worker/test_plans.py::test_no_hot_statement_reads_a_whole_table",
    ),
)

PREPARATION_MUTANTS = (
    without(
        "the lease ends while the send is under way",
        LEDGER_PY,
        "    await renew(ctx, session, job)\n",
        "",
        f"{PREPARATION}::test_however_long_the_preparation_took_the_lease_outlasts_the_send",
    ),
    without(
        "a long upload loses its job",
        UPLOADS_PY,
        "            lambda session: renew(ctx, session, job),\n",
        "            lambda session: session.connection(),\n",
        f"{PREPARATION}::test_a_file_that_takes_longer_than_a_lease_is_sent_by_the_worker_that_began",
    ),
    without(
        "long look-ups lose their job",
        SUBMIT_PY,
        "        await held.keep()\n",
        "        pass\n",
        f"{PREPARATION}::test_look_ups_that_take_longer_than_a_lease_are_made_by_the_worker_that_began",
    ),
    without(
        "the gate is looked at only before the preparation",
        SUBMIT_PY,
        "if fact is None and shut_until is not None:",
        "if False:",
        f"{PREPARATION}::test_a_gate_that_closes_while_a_video_is_prepared_holds_it_back",
    ),
    without(
        "what an upload tells of the account is forgotten",
        SUBMIT_PY,
        "        if told is not None:\n            # HeyGen",
        "        if False:\n            # HeyGen",
        f"{PREPARATION}::test_what_an_upload_tells_of_the_account_counts_for_all",
    ),
    without(
        "a row that cannot be read stops the queue",
        SUBMIT_PY,
        "        if job_id is None:\n            raise\n",
        "        raise\n",
        f"{SUBMIT}::test_a_send_whose_bytes_cannot_be_read_does_not_keep_the_queue_from_its_turn",
    ),
    without(
        "a newer version's row cannot be worked on",
        "app/stored_request.py",
        "cls(**{it.name: stored[it.name] for it in fields(cls) if it.name in stored})",
        "cls(**stored)",
        f"{SUBMIT}::test_a_request_that_a_newer_version_stored_is_sent_as_far_as_it_is_known",
    ),
    without(
        "a forgotten upload keeps its slot idle",
        SUBMIT_PY,
        "if ready is not None and ready.intent is None:",
        "if False:",
        f"{PREPARATION}::test_an_upload_that_is_forgotten_while_a_look_is_prepared_gives_the_slot_back_at_once",
    ),
    without(
        "a fault after the uploads keeps the slot idle",
        SUBMIT_PY,
        "        await _set_aside(ctx, (job.account_id, job.id), job, error)\n        return None",
        "        raise error",
        f"{PREPARATION}::test_a_file_whose_row_is_gone_once_a_look_is_prepared_gives_the_slot_back_at_once",
    ),
    without(
        "a look that is found has no group",
        SEARCH_PY,
        "str(group_id) if group_id else None)",
        "None)",
        f"{PREPARATION}::test_a_look_whose_answer_was_lost_is_found_with_its_group",
    ),
    without(
        "a replica that lags frees a slot",
        TIDY_PY,
        "fact = poll.vanished(ctx, job)",
        'fact = Failed("gone")',
        f"{PREPARATION}::test_a_canceled_video_that_heygen_does_not_show_yet_keeps_its_slot_for_the_grace",
    ),
    without(
        "a list that is not found tells what is not in it",
        TIDY_PY,
        "if isinstance(error, Missing) and job.heygen_id is not None:",
        "if isinstance(error, Missing):",
        f"{TIDY}::test_a_list_that_heygen_does_not_find_says_nothing_of_what_was_withdrawn_in_doubt",
    ),
    without(
        "a job that kills its worker comes back at once",
        EXPIRE_PY,
        "now + ctx.jitter(answers.backoff(releases))",
        "now",
        f"{PREPARATION}::test_a_video_that_takes_its_worker_along_each_time_comes_up_ever_more_seldom",
    ),
)

DOUBT_MUTANTS = (
    without(
        "a send that never left makes its key old",
        UNSURE_PY,
        "if send.outcome != Outcome.UNSENT), now)",
        "), now)",
        f"{UNSURE}::test_the_key_is_repeated_while_it_is_young_and_may_tell",
    ),
    without(
        "a key never grows old",
        UNSURE_PY,
        "if not -SKEW <= now - known_since < key_max_age or",
        "if not -SKEW <= now - known_since or",
        f"{UNSURE}::test_the_key_is_repeated_while_it_is_young_and_may_tell",
    ),
    without(
        "a key that is not sent yet is young",
        UNSURE_PY,
        "if not -SKEW <= now - known_since < key_max_age or",
        "if not now - known_since < key_max_age or",
        f"{UNSURE}::test_the_key_is_repeated_while_it_is_young_and_may_tell",
    ),
    without(
        "a key's age is told by whatever clock there is",
        UNSURE_PY,
        " or not ctx.clock.saw(unsure.sends[-1].sent_at):",
        ":",
        f"{CLOCK_STOOD}[sqlite-drop_after_accept-1]",
    ),
    without(
        "a key of an earlier process is never sent again",
        UNSURE_PY,
        "    elif isinstance(move, Repeat):\n        await _repeat(ctx, unsure)\n",
        "",
        f"{CLOCK_STOOD}[sqlite-unavailable_before_accept-2]",
    ),
    without(
        "an outage ends the doubt",
        UNSURE_PY,
        "len(errors) == SERVER_ERRORS and last.others_accepted:",
        "len(errors) == SERVER_ERRORS:",
        f"{UNSURE}::test_the_key_is_repeated_while_it_is_young_and_may_tell",
    ),
    without(
        "who is found in an outage tells that it is over",
        UNSURE_PY,
        "        await governor.lock(session, job.account_id)\n        if await taken",
        "        await governor.accepted(session, job.account_id, now)\n        if await taken",
        f"{UNSURE}::test_a_render_of_before_the_outage_that_is_found_in_it_ends_nobody_elses_doubt[sqlite-look-up]",
    ),
    without(
        "an old answer to a repeat tells that an outage is over",
        UNSURE_PY,
        "            await governor.lock(session, job.account_id)\n            told",
        "            await governor.accepted(session, job.account_id, ctx.clock.now())\n            told",
        f"{UNSURE}::test_a_render_of_before_the_outage_that_is_found_in_it_ends_nobody_elses_doubt[sqlite-repeat]",
    ),
    without(
        "a look-up does not hold its job",
        SEARCH_PY,
        "            await held.keep()\n",
        "            pass\n",
        "tests/worker/test_look_ups.py::test_a_look_up_longer_than_a_lease_is_taken_over_by_nobody_and_counts",
    ),
    without(
        "what HeyGen refused after a cancel is told to cost",
        SUBMIT_PY,
        "        await lifecycle.unbill(session, job.id)\n",
        "        pass\n",
        f"{TIDY}::test_a_create_that_heygen_refuses_after_its_cancel_costs_nothing",
        f"{TIDY}::test_a_sender_that_wakes_when_all_is_over_and_sends_nothing_takes_the_bill_back",
    ),
    without(
        "a callback is believed",
        UNSURE_PY,
        "if candidate is None or not await search.confirms(ctx, job, candidate):",
        "if candidate is None:",
        f"{POLL}::test_a_forged_callback_in_doubt_cannot_give_the_job_a_strangers_video",
    ),
    without(
        "a refused repeat is repeated",
        UNSURE_PY,
        "if last.outcome == Outcome.REFUSED and last.http_status in REFUSED_ON_REPEAT:",
        "if False:",
        f"{UNSURE}::test_the_key_is_repeated_while_it_is_young_and_may_tell",
    ),
)

LOOK_UPS_MUTANTS = (
    without(
        "bytes that cannot be read hide the render",
        LEDGER_PY,
        "    except CannotDecrypt:\n        return None\n",
        "    except CannotDecrypt:\n        raise\n",
        f"{UNSURE}::test_a_job_in_doubt_whose_bytes_cannot_be_read_is_looked_up",
    ),
    without(
        "another job's film is taken for the own",
        POLL_PY,
        "if token_of(video.title) not in {None, job.title_token}:",
        "if False:",
        f"{TIDY}::test_two_videos_that_heygen_mixed_up_each_come_to_their_own_render",
    ),
    without(
        "a wrong id is believed again",
        SUBMIT_PY,
        "disowned = await ledger.disowned(session, job, created.id)",
        "disowned = False",
        f"{TIDY}::test_two_videos_that_heygen_mixed_up_each_come_to_their_own_render",
    ),
    without(
        "a render that another job holds is taken from it",
        TIDY_PY,
        "held = await taken(session, job, found.heygen_id)",
        "held = False",
        f"{TIDY}::test_two_videos_that_heygen_mixed_up_each_come_to_their_own_render",
    ),
    without(
        "a withdrawn job keeps another's id",
        "app/lifecycle.py",
        '"lease_until": None, "heygen_id": None}',
        '"lease_until": None}',
        f"{TIDY}::test_two_videos_that_heygen_mixed_up_each_come_to_their_own_render",
    ),
    without(
        "a wrong id that HeyGen replays hides the render",
        UNSURE_PY,
        "look_up = not told",
        "look_up = False",
        f"{SUBMIT}::test_an_id_that_another_job_holds_is_refused",
    ),
    Mutant(
        "one look-up ends the doubt",
        UNSURE_PY,
        (
            ("    elif job.searched_at is None:", "    elif False:"),
            (
                "    elif now - job.searched_at < BETWEEN",
                "    elif job.searched_at is not None and now - job.searched_at < BETWEEN",
            ),
        ),
        (f"{UNSURE}::test_only_look_ups_that_heygen_answers_ten_minutes_apart_end_the_doubt",),
    ),
    without(
        "what is not found is sent again, however old its key",
        UNSURE_PY,
        "    elif isinstance(move, Repeat):\n",
        "    elif True:\n",
        f"{UNSURE}::test_where_the_key_is_too_old_to_tell_that_is_said_and_nothing_is_sent",
    ),
    without(
        "a hurried look-up ends the doubt",
        UNSURE_PY,
        "elif now - job.searched_at < BETWEEN_SEARCHES:",
        "elif False:",
        f"{UNSURE}::test_only_look_ups_that_heygen_answers_ten_minutes_apart_end_the_doubt",
    ),
    without(
        "a look-up that failed counts as empty",
        UNSURE_PY,
        "        await _put_back(ctx, job, ctx.clock.now() + ctx.jitter(REPEATS[2]))\n        return",
        "        found = None",
        f"{UNSURE}::test_only_look_ups_that_heygen_answers_ten_minutes_apart_end_the_doubt",
    ),
    without(
        "an outage hides what was withdrawn in doubt",
        TIDY_PY,
        "if hopeless and now >",
        "if now >",
        f"{UNSURE}::test_a_job_withdrawn_in_doubt_is_looked_up_however_long_heygen_was_away",
    ),
    without(
        "half a list proves that nothing is there",
        SEARCH_PY,
        '    raise Incomplete(f"more than {MOST_PAGES} pages")',
        "    return",
        f"{UNSURE}::test_a_list_that_never_ends_neither_holds_the_job_nor_proves_that_it_is_not_there",
    ),
    without(
        "whatever is listed is taken for the job",
        SEARCH_PY,
        'if token_of(str(item.get("title" if job.kind == "video" else "name") or "")) == job.title_token:',
        "if item:",
        f"{UNSURE}::test_a_list_that_never_ends_neither_holds_the_job_nor_proves_that_it_is_not_there",
    ),
    without(
        "a repeat passes the gate",
        UNSURE_PY,
        "        if shut_until is not None:\n            await put_back",
        "        if False:\n            await put_back",
        f"{UNSURE}::test_a_gate_that_closes_before_a_repeat_is_written_down_holds_it_back",
    ),
    without(
        "a job canceled in doubt is repeated",
        UNSURE_PY,
        "if not await ledger.holds(session, job.id, job.epoch, JobStatus.UNSURE):",
        "if False:",
        f"{CLAIMS}::test_a_video_canceled_before_its_repeat_is_not_sent_again",
    ),
    without(
        "an error that HeyGen replays hides the render",
        UNSURE_PY,
        "look_up = False, _server_error(result) or _refused(result)",
        "look_up = False, False",
        f"{SUBMIT}::test_an_error_that_heygen_keeps_replaying_does_not_hide_the_render",
    ),
)
