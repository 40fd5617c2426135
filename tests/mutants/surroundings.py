"""What is around us: a database that goes away, lines that carry anything, a disk that remembers crashes."""

from tests.mutants.mutant import Mutant, without

ABSENCE = "tests/api/test_absent_database.py"
COUNTS = "tests/worker/test_query_counts.py"
DATABASE = "tests/test_database.py"
MIGRATIONS = "tests/test_migrations.py"
PRUNE = "tests/worker/test_prune.py"
SETTINGS = "tests/test_settings.py"
STRAYS = "tests/worker/test_strays.py"
WIRE = "tests/api/test_wire.py"

BODY_LIMITS_PY = "app/api/body_limits.py"
DATABASE_PY = "app/database.py"
PRUNE_PY = "app/worker/prune.py"
STRAYS_PY = "app/worker/strays.py"
WIRE_PY = "app/api/wire.py"

CANCELED = (
    "tests/test_cancellation.py::test_whatever_await_a_transaction_is_canceled_in_the_next_one_can_write"
)
KEPT = (
    f"{PRUNE}::test_what_is_held_or_called_back_is_kept_for_its_time_whatever_the_machine_takes_for_the_time"
)
WORDS = f"{PRUNE}::test_what_a_caller_wrote_of_what_it_deleted_is_nowhere_after_eight_days"
DOUBT = f"{PRUNE}::test_what_was_deleted_in_doubt_loses_its_script_and_is_deleted_at_heygen_all_the_same"
DELETED = f"{STRAYS}::test_the_file_of_a_deleted_asset_waits_for_the_last_job_that_may_send_it_and_goes_then"
HANDED_OVER = (
    "tests/worker/test_loop.py"
    "::test_a_call_that_outlasts_the_grace_of_a_stop_is_handed_over_and_paid_for_once"
)

ABSENCE_MUTANTS = (
    without(
        "a closed SQLite connection keeps what a canceled task had locked",
        DATABASE_PY,
        "        for cursor in list(self._cursors):\n            cursor.close()\n",
        "",
        f"{CANCELED}[sqlite-1]",
    ),
    without(
        "a transaction that is canceled at its end is left in the middle of it",
        DATABASE_PY,
        "async with self._sessions.begin() as session:",
        "async with self._sessions() as session, session.begin():",
        f"{CANCELED}[sqlite-1]",
    ),
    Mutant(
        "dead connections are lent out",
        DATABASE_PY,
        (("if connection.driver_connection.is_closed():", "if False:"),),
        (f"{ABSENCE}::test_no_caller_and_no_step_of_the_worker_notices_a_restart_between_two_requests",),
        database="postgresql",
    ),
    Mutant(
        "a silent line is waited for",
        DATABASE_PY,
        (
            (
                '"command_timeout": patience.answer.total_seconds() if patience.answer is not None else None',
                '"command_timeout": 3',
            ),
        ),
        (f"{DATABASE}::test_a_line_that_falls_silent_within_a_transaction_takes_nothing_with_it",),
        database="postgresql",
    ),
    Mutant(
        "a silent line is kept",
        DATABASE_PY,
        (("            context.invalidate_pool_on_disconnect = True\n", ""),),
        (f"{DATABASE}::test_connections_that_lead_nowhere_are_given_up_together_and_others_made",),
        database="postgresql",
    ),
    Mutant(
        "a process that is frozen amid a statement keeps its locks",
        DATABASE_PY,
        (("get_server_version().major >= 17:", "get_server_version().major >= 99:"),),
        (f"{DATABASE}::test_who_stands_still_in_a_transaction_loses_it_and_others_go_on",),
        database="postgresql",
    ),
    Mutant(
        "a frozen process keeps its locks",
        DATABASE_PY,
        (('"idle_in_transaction_session_timeout": _milliseconds(patience.idle),', ""),),
        (f"{DATABASE}::test_each_limit_ends_before_the_next_and_the_server_knows_them",),
        database="postgresql",
    ),
    without(
        "an absent database is a defect of ours",
        DATABASE_PY,
        "if connecting or _means_absence(error):",
        "if False:",
        f"{ABSENCE}::test_whatever_is_asked_of_an_absent_database_is_a_503_and_its_return_is_enough",
    ),
    without(
        "a disk that fills up is a defect of ours",
        DATABASE_PY,
        "    sqlite3.SQLITE_FULL,\n",
        "",
        f"{ABSENCE}::test_a_full_disk_takes_whole_videos_or_none",
    ),
)

WIRE_MUTANTS = (
    without(
        "noise is answered in the server's words",
        WIRE_PY,
        "def send_400_response(",
        "def send_400_envelope(",
        f"{WIRE}::test_what_is_no_http_is_told_so_in_the_envelope",
    ),
    without(
        "a head may take for ever",
        WIRE_PY,
        "self.loop.call_later(self.head_seconds, self._give_up)",
        "None",
        f"{WIRE}::test_a_head_that_does_not_end_ends_the_connection",
    ),
    without(
        "a body may take for ever",
        BODY_LIMITS_PY,
        "asyncio.timeout(self._patience)",
        "asyncio.timeout(None)",
        f"{WIRE}::test_a_body_that_comes_too_slowly_is_waited_for_no_longer",
    ),
    without(
        "any number of headers",
        BODY_LIMITS_PY,
        "if len(headers) > MOST_HEADERS or ",
        "if ",
        f"{WIRE}::test_heads_have_a_size",
    ),
    without(
        "a body has two lengths",
        BODY_LIMITS_PY,
        'if "transfer-encoding" in headers and "content-length" in headers:',
        "if False:",
        f"{WIRE}::test_what_is_no_http_is_told_so_in_the_envelope",
    ),
)

STRAYS_MUTANTS = (
    without(
        "a file may lose its row to be",
        STRAYS_PY,
        " if found.written_at < before]",
        "]",
        f"{STRAYS}::test_an_upload_whose_process_died_before_its_row_is_removed_after_a_day",
    ),
    without(
        "the files of assets are swept away",
        STRAYS_PY,
        "if tenant_id in known and key not in named]",
        "if tenant_id in known]",
        f"{STRAYS}::test_the_file_of_an_asset_stays_whatever_its_age",
    ),
    without(
        "the copies of videos are swept away",
        STRAYS_PY,
        "if job_id in known and key not in named]",
        "if job_id in known]",
        f"{STRAYS}::test_a_copy_that_an_archiver_could_not_record_is_removed_and_the_recorded_one_stays",
    ),
    without(
        "the files of another database are swept away",
        STRAYS_PY,
        "if job_id in known and key",
        "if key",
        f"{STRAYS}::test_files_of_another_database_and_of_no_form_of_ours_stay",
    ),
    without(
        "a deleted file is lost to the jobs that wait",
        PRUNE_PY,
        "DELETED_KEPT = timedelta(days=8)",
        "DELETED_KEPT = timedelta(days=6)",
        DELETED,
    ),
    without(
        "a deleted file stays for ever",
        STRAYS_PY,
        "    named -= set(gone.values())\n",
        "",
        DELETED,
    ),
    without(
        "a living asset loses its file",
        STRAYS_PY,
        "col(Asset.id).in_(ids), long_ago)",
        "col(Asset.id).in_(ids))",
        f"{STRAYS}::test_the_file_of_an_asset_stays_whatever_its_age",
    ),
)

PRUNE_MUTANTS = (
    without(
        "the machine's clock tells how old a row is",
        "app/models/ids.py",
        "nanoseconds=int(now.timestamp() * 1e9)",
        "",
        f"{KEPT}[sqlite]",
    ),
    without(
        "the machine's clock tells how old a held event is",
        "app/webhooks/outbox.py",
        '"id": id_at(now)',
        '"id": id_at(datetime.now(now.tzinfo))',
        f"{KEPT}[sqlite]",
    ),
    without(
        "the machine's clock tells how old a callback is",
        "app/api/callbacks.py",
        "id=id_at(now)",
        "id=id_at(datetime.now(now.tzinfo))",
        f"{KEPT}[sqlite]",
    ),
    without(
        "what a caller deletes is lost at once",
        PRUNE_PY,
        "col(Job.deleted_at) < before, col(Job.request_encrypted)",
        "col(Job.deleted_at).isnot(None), col(Job.request_encrypted)",
        WORDS,
    ),
    without(
        "the words around a deleted script stay for ever",
        PRUNE_PY,
        "request_encrypted=None, title=None, callback_url=None, callback_id=None, job_metadata=null()",
        "request_encrypted=None",
        WORDS,
    ),
    without(
        "a group loses its name with one of its looks",
        PRUNE_PY,
        "col(Group.id).in_(group_ids), col(Group.deleted_at).isnot(None)",
        "col(Group.id).in_(group_ids)",
        WORDS,
    ),
    without(
        "a deleted script stays for as long as HeyGen owes its end",
        PRUNE_PY,
        "col(Job.request_encrypted).isnot(None))",
        "col(Job.request_encrypted).isnot(None), col(Job.due_at).is_(None))",
        DOUBT,
    ),
    without(
        "a body that was sent in doubt stays for ever",
        PRUNE_PY,
        "    await session.execute(bodies.values(body_encrypted=None))\n",
        "",
        DOUBT,
    ),
)

SETTINGS_MUTANTS = (
    without(
        "a call may outlast its lease",
        "app/settings.py",
        "if self.lease < self.create_timeout + MARGIN:",
        "if False:",
        f"{SETTINGS}::test_a_wrong_value_is_refused_with_its_name_and_the_rule",
    ),
    without(
        "a lease may outlast its key",
        "app/settings.py",
        "if self.key_max_age < self.lease:",
        "if False:",
        f"{SETTINGS}::test_a_wrong_value_is_refused_with_its_name_and_the_rule",
    ),
)

MIGRATIONS_MUTANTS = (
    without(
        "new code starts on old tables",
        DATABASE_PY,
        "if current is None or (current in known and current != head):",
        "if current is None:",
        f"{MIGRATIONS}::test_new_code_does_not_start_on_the_tables_of_the_version_before",
    ),
)

STOP_MUTANTS = (
    without(
        "a stop waits for as long as a call takes",
        "app/worker/loop.py",
        "asyncio.wait(running, timeout=grace.total_seconds())",
        "asyncio.wait(running)",
        HANDED_OVER,
    ),
    without(
        "what outlasts the stop is not given up",
        "app/worker/loop.py",
        "        task.cancel()\n",
        "        pass\n",
        HANDED_OVER,
    ),
    without(
        "a lane claims once more after the stop",
        "app/worker/loop.py",
        "            if stopping.is_set():  # it may have waited for a place\n",
        "            if False:\n",
        "tests/worker/test_loop.py::test_after_a_stop_nothing_more_is_claimed_and_what_is_under_way_ends",
    ),
    without(
        "who connects in the instant of the stop is not told of it",
        "app/serving.py",
        "                connection.shutdown()\n",
        "                pass\n",
        "tests/test_serving.py::test_who_connects_as_the_process_stops_does_not_keep_it_from_its_end",
    ),
    without(
        "a deadline that cannot be recorded ends the sweep",
        "app/worker/loop.py",
        "            faults.append(error)\n",
        "            raise\n",
        "tests/worker/test_loop.py::test_a_deadline_that_cannot_be_recorded_keeps_no_other_sweep_from_its_turn",
    ),
    without(
        "one account may take every place",
        "app/worker/loop.py",
        "        full = {name for name, count in self._taken.items() if count >= most}\n",
        "        full: set[str] = set()\n",
        "tests/worker/test_loop.py"
        "::test_an_account_whose_heygen_hangs_leaves_half_of_the_places_to_the_others",
    ),
    without(
        "accounts are probed one after the other",
        "app/worker/expire.py",
        "await asyncio.gather(*(_probe(ctx, account) for account in due), return_exceptions=True)",
        "[await _probe(ctx, account) for account in due]",
        "tests/worker/test_loop.py"
        "::test_an_account_whose_heygen_hangs_does_not_keep_the_others_waiting_for_their_probe",
    ),
    without(
        "a transaction is held over a call",
        "app/worker/submit.py",
        '    result = await post(ctx, intent)\n    await ctx.failpoint("submit.sent")\n',
        "    async with ctx.database.begin():\n        result = await post(ctx, intent)\n",
        "tests/worker/test_loop.py::test_after_a_stop_nothing_more_is_claimed_and_what_is_under_way_ends",
    ),
    Mutant(
        "the queue is found without its index",
        "app/governor.py",
        (
            (
                "        is_status(JobStatus.QUEUED),\n        col(Job.waits_for_id).is_(None),\n",
                "        col(Job.status) + '' == 'queued',\n        col(Job.waits_for_id).is_(None),\n",
            ),
        ),
        (
            "tests/worker/test_snapshot.py"
            "::test_a_snapshot_held_open_makes_a_claim_read_less_than_a_page_for_each_job_since",
        ),
        database="postgresql",
    ),
    without(
        "running videos are given back one by one",
        "app/worker/claims.py",
        "    await (await session.connection()).execute(back, rows)\n",
        "    for row in rows:\n        await (await session.connection()).execute(back, row)\n",
        f"{COUNTS}::test_a_hundred_running_videos_take_no_more_statements_than_ten[sqlite-10]",
    ),
    without(
        "accounts are looked up where no video is due",
        "app/worker/poll.py",
        "        if not jobs:\n            return [], False\n",
        "",
        f"{COUNTS}::test_a_hundred_running_videos_take_no_more_statements_than_ten[sqlite-10]",
    ),
    without(
        "a status is a parameter, which no partial index fits",
        "app/models/__init__.py",
        "column == literal_column(f\"'{status.value}'\")",
        "column == status",
        "tests/worker/test_plans.py::test_no_hot_statement_reads_a_whole_table",
    ),
)
