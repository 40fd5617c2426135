"""What the service promises, the tests that see a promise broken, the mutants that prove it, and what chaos counts.

`docs/RELIABILITY.md` is this list as a table: `python -m tests.invariants` writes it.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
DOCUMENT = PROJECT / "docs" / "RELIABILITY.md"
BEGIN, END = "<!-- promises -->\n", "<!-- /promises -->"


@dataclass(frozen=True)
class Invariant:
    """One promise; `tests` are `file::function` below tests/, `mutants` are named in tests/mutants.

    Each of the mutants is killed by one of the tests. `counted`: rows that `make chaos` prints, zeros first.
    """

    number: int
    promise: str
    tests: tuple[str, ...]
    mutants: tuple[str, ...]
    counted: tuple[str, ...] = ()


ABSENT = "api/test_absent_database.py"
BATCH_CALLS = "api/test_batches.py"
BATCHES = "end_to_end/test_batches.py"
CALLBACKS = "api/test_callbacks.py"
CLAIMS = "worker/test_claims.py"
CRASHES = "end_to_end/test_crashes.py"
DESTINATION_HTTP = "webhooks/test_destination_http.py"
DIFFERENTIAL = "faults/test_differential.py"
ENDPOINTS = "end_to_end/test_endpoints.py"
FAILPOINTS = "faults/test_failpoints.py"
GOVERNOR = "test_governor.py"
IDEMPOTENCY = "api/test_idempotency.py"
KILLS = "faults/test_kills.py"
LIFECYCLE = "test_lifecycle.py"
LOOP = "worker/test_loop.py"
MACHINE = "faults/test_machine.py"
POLL = "worker/test_poll.py"
PREPARATION = "end_to_end/test_preparation.py"
SIMULATION = "faults/test_simulation.py"
SUBMIT = "worker/test_submit.py"
UNSURE = "worker/test_unsure.py"
WEBHOOKS = "end_to_end/test_webhooks.py"

BATCH_FAULTS = "test_no_fault_breaks_a_batch_or_keeps_an_end_from_a_registered_endpoint"

INVARIANTS = (
    Invariant(
        1,
        "Every job answered 2xx exists after any crash, once",
        (
            f"{CRASHES}::test_a_service_killed_in_the_middle_of_fifty_videos_makes_each_of_them_once",
            f"{KILLS}::test_services_killed_at_any_moment_lose_and_double_nothing",
            f"{FAILPOINTS}::test_no_fault_at_a_boundary_breaks_a_promise",
            f"{IDEMPOTENCY}::test_fifty_simultaneous_equal_requests_make_one_video_and_get_equal_answers",
        ),
        (
            "the key is bound apart from its video",
            "a create is answered and not committed",
        ),
        (
            "lost jobs",
            "kills: kills",
            "kills: promised",
            "replicas: promised",
        ),
    ),
    Invariant(
        2,
        "Each accepted job reaches exactly one terminal state, which never changes",
        (
            f"{LIFECYCLE}::test_a_fact_moves_a_job_only_as_the_drawing_says",
            f"{MACHINE}::test_no_order_of_events_breaks_a_promise",
            f"{SIMULATION}::test_no_world_breaks_a_promise",
        ),
        (
            "a fact moves a job from any status",
            "what failed may still be completed",
        ),
        (
            "jobs that did not end",
            "events doubled or missing",
            "other broken promises",
            "machine: steps",
        ),
    ),
    Invariant(
        3,
        "Every job ends by its deadline and two sweeps, even if no callback ever comes",
        (
            f"{POLL}::test_the_deadline_ends_what_heygen_never_ends",
            "end_to_end/test_life.py::test_a_heygen_that_never_calls_back_changes_nothing_for_the_caller",
            f"{SIMULATION}::test_two_days_without_a_single_callback_end_every_job",
        ),
        ("a job lives an hour beyond its deadline",),
        (
            "jobs that did not end",
            "other broken promises",
            "simulate: jobs",
            "simulate: days",
        ),
    ),
    Invariant(
        4,
        "Only listed transitions happen; each is an event with a gapless number",
        (
            f"{LIFECYCLE}::test_numbers_have_no_gaps",
            f"{LIFECYCLE}::test_the_table_is_the_drawing",
            f"{LIFECYCLE}::test_a_fact_moves_a_job_only_as_the_drawing_says",
            f"{LIFECYCLE}::test_only_a_queued_job_can_be_claimed",
        ),
        (
            "a move leaves no event",
            "a claim leaves no event",
            "any job can be claimed",
        ),
        (
            "events doubled or missing",
            "other broken promises",
            "machine: steps",
        ),
    ),
    Invariant(
        5,
        "Same tenant, key and body: the same job; another body: refused; 50 at once: one row",
        (
            f"{IDEMPOTENCY}::test_fifty_simultaneous_equal_requests_make_one_video_and_get_equal_answers",
            f"{IDEMPOTENCY}::test_another_body_under_a_used_key_is_refused",
        ),
        (
            "simultaneous repeats each make a video",
            "a key answers another body",
        ),
        (
            "lost jobs",
            "kills: unknown outcomes",
        ),
    ),
    Invariant(
        6,
        "No job ever causes two billed renders",
        (
            f"{SUBMIT}::test_a_crash_at_any_boundary_of_a_submission_costs_no_second_render",
            f"{SUBMIT}::test_an_answer_lost_after_acceptance_is_asked_for_again_under_the_same_key",
            f"{FAILPOINTS}::test_no_fault_at_a_boundary_breaks_a_promise",
            f"{FAILPOINTS}::test_no_two_crashes_break_a_promise",
            f"{SUBMIT}::test_a_503_before_acceptance_is_repeated_under_the_same_key",
            f"{SUBMIT}::test_a_lost_answer_makes_the_job_unsure_and_keeps_its_slot",
            f"{SUBMIT}::test_a_sender_that_slept_through_its_lease_does_not_send",
        ),
        (
            "a repeat gets a key of its own",
            "a send is not written down",
            "a dead worker's send is forgotten",
            "a lost answer counts as a refusal",
            "a repeat in doubt gets the next key",
        ),
        (
            "doubled renders",
            "failpoints: single faults",
            "failpoints: pairs of crashes",
            "failpoints: mixtures",
            "kills: kills",
            "network: faults",
        ),
    ),
    Invariant(
        7,
        "Where a key cannot tell, `outcome_unknown` is said instead of a second render",
        (
            f"{UNSURE}::test_no_key_is_sent_after_twenty_hours_and_two_empty_look_ups_end_it",
            f"{UNSURE}::test_where_the_key_is_too_old_to_tell_that_is_said_and_nothing_is_sent",
            f"{UNSURE}::test_only_look_ups_that_heygen_answers_ten_minutes_apart_end_the_doubt",
            f"{UNSURE}::test_a_list_that_never_ends_neither_holds_the_job_nor_proves_that_it_is_not_there",
        ),
        (
            "one look-up ends the doubt",
            "half a list proves that nothing is there",
            "what is not found is sent again, however old its key",
        ),
        (
            "doubled renders",
            "jobs that did not end",
        ),
    ),
    Invariant(
        8,
        "One key is one job and one body; no key is sent after 20 h",
        (
            f"{UNSURE}::test_no_key_is_sent_after_twenty_hours_and_two_empty_look_ups_end_it",
            f"{SUBMIT}::test_while_heygen_cannot_be_reached_the_job_waits_and_its_bytes_stay_the_same",
            f"{SIMULATION}::test_no_outage_makes_an_old_key_go_out",
            f"{UNSURE}::test_the_key_is_repeated_while_it_is_young_and_may_tell",
            f"{SUBMIT}::test_a_refusal_that_heygen_keeps_for_its_key_is_not_asked_for_again",
        ),
        (
            "a key never grows old",
            "a key's age counts from its last send",
            "one key carries two bodies",
            "a refused key is used again",
        ),
        (
            "doubled renders",
            "simulate: days",
        ),
    ),
    Invariant(
        9,
        "One id of HeyGen's belongs to one job",
        (
            f"{SUBMIT}::test_an_id_that_another_job_holds_is_refused",
            "worker/test_tidy.py::test_two_videos_that_heygen_mixed_up_each_come_to_their_own_render",
        ),
        (
            "two jobs may hold one render",
            "another job's film is taken for the own",
        ),
        ("doubled renders",),
    ),
    Invariant(
        10,
        "No billed render is orphaned: each is attached to its job",
        (
            f"{SUBMIT}::test_an_error_that_heygen_keeps_replaying_does_not_hide_the_render",
            f"{SUBMIT}::test_a_late_answer_of_a_frozen_sender_is_kept_and_used",
            f"{PREPARATION}::test_a_look_whose_answer_was_lost_is_found_with_its_group",
            "faults/test_network.py::test_over_a_bad_network_everything_ends_and_nothing_is_made_twice",
            f"{SIMULATION}::test_a_render_whose_answer_and_callbacks_are_lost_is_found_within_ten_minutes",
            f"{UNSURE}::test_a_job_withdrawn_in_doubt_is_looked_up_however_long_heygen_was_away",
            "worker/test_tidy.py::test_a_withdrawn_job_whose_answer_came_too_late_for_its_claim_is_not_searched_for",
            "worker/test_tidy.py::test_a_list_that_heygen_does_not_find_says_nothing_of_what_was_withdrawn_in_doubt",
            f"{SUBMIT}::test_an_id_that_another_job_holds_is_refused",
        ),
        (
            "an error that HeyGen replays hides the render",
            "a late answer is thrown away",
            "a withdrawn job's late answer lies in the ledger unread",
            "who is in doubt asks again after an hour",
            "an outage hides what was withdrawn in doubt",
            "a list that is not found tells what is not in it",
            "a wrong id that HeyGen replays hides the render",
        ),
        (
            "orphaned renders",
            "network: faults",
        ),
    ),
    Invariant(
        11,
        "Jobs in flight at HeyGen never exceed the cap, over all processes; a twin in training is not counted",
        (
            f"{SUBMIT}::test_fifty_videos_are_fifty_renders_and_never_more_than_ten_at_once",
            f"{GOVERNOR}::test_whoever_counts_slots_keeps_others_from_counting_until_the_slot_is_taken",
            f"{GOVERNOR}::test_an_account_has_no_more_jobs_under_way_than_it_may",
        ),
        (
            "the account's cap is passed",
            "slots are counted without the lock",
        ),
        ("caps passed",),
    ),
    Invariant(
        12,
        "Slots never leak",
        (
            f"{LIFECYCLE}::test_the_end_frees_the_slot",
            f"{LIFECYCLE}::test_what_is_withdrawn_before_anything_was_sent_gives_its_slot_back_at_once",
            f"{FAILPOINTS}::test_what_is_in_doubt_keeps_its_slot",
            f"{LIFECYCLE}::test_a_late_result_is_kept_and_moves_nothing",
        ),
        (
            "the end keeps its slot",
            "a render that ends late keeps its slot",
            "what was never sent keeps its slot",
            "a send in doubt gives its slot back",
        ),
        ("slots leaked",),
    ),
    Invariant(
        13,
        "HeyGen is never called before its Retry-After, also after a restart",
        (
            f"{SUBMIT}::test_retry_after_is_obeyed_to_the_second_even_by_a_process_that_starts_later",
            f"{PREPARATION}::test_a_gate_that_closes_while_a_video_is_prepared_holds_it_back",
            "worker/test_gates.py::test_reads_obey_retry_after_even_in_a_process_that_starts_later",
            "worker/test_gates.py::test_an_outage_is_met_with_a_tenth_more_sends_and_one_a_second",
            "api/test_gate.py::test_every_replica_waits",
            f"{SIMULATION}::test_nobody_sends_before_a_retry_after_has_passed_whoever_crashes",
            f"{GOVERNOR}::test_a_second_429_never_opens_the_gate_sooner",
        ),
        (
            "a caller's read does not ask what others were told",
            "a list of HeyGen's videos passes the gate by",
            "Retry-After is not obeyed",
            "a 429 shuts no gate",
            "the gate is looked at only before the preparation",
            "HeyGen is read before its Retry-After",
            "an outage multiplies the sends",
            "who is in doubt does not wait for the gate",
        ),
        (
            "caps passed",
            "replicas: told to wait",
        ),
    ),
    Invariant(
        14,
        "No write of a fenced worker takes effect; its late success is recorded",
        (
            f"{LIFECYCLE}::test_a_worker_that_lost_its_claim_writes_nothing",
            f"{CRASHES}::test_a_replica_that_is_frozen_beyond_its_lease_doubles_nothing_when_it_wakes",
            f"{SUBMIT}::test_a_sender_that_slept_through_its_lease_does_not_send",
            f"{SUBMIT}::test_a_late_answer_of_a_frozen_sender_is_kept_and_used",
        ),
        (
            "a worker that lost its claim may write",
            "a new claim looks like the one before",
            "a sender that slept through its lease sends",
            "a late answer looks punctual",
            "whoever takes over looks like who lost it",
        ),
        (
            "doubled renders",
            "orphaned renders",
            "kills: freezes",
            "kills: frozen at failpoints",
        ),
    ),
    Invariant(
        15,
        "The reaper never takes back work that finished since it looked",
        (
            f"{CLAIMS}::test_a_sender_at_work_is_left_alone",
            f"{PREPARATION}::test_however_long_the_preparation_took_the_lease_outlasts_the_send",
        ),
        (
            "a sender at work loses its job",
            "the lease ends while the send is under way",
        ),
        (
            "events doubled or missing",
            "other broken promises",
            "replicas: taken over",
        ),
    ),
    Invariant(
        16,
        "No transaction is open across a network call",
        (
            f"{CLAIMS}::test_the_suite_would_see_a_call_within_a_transaction",
            f"{LOOP}::test_after_a_stop_nothing_more_is_claimed_and_what_is_under_way_ends",
        ),
        ("a transaction is held over a call",),
    ),
    Invariant(
        17,
        "Callbacks in any number, order and delay lead to the same end, told once",
        (
            "end_to_end/test_callbacks.py::test_whatever_heygen_calls_back_the_end_is_the_same_and_is_told_once",
            f"{MACHINE}::test_no_order_of_events_breaks_a_promise",
            f"{SIMULATION}::test_no_world_breaks_a_promise",
            f"{LIFECYCLE}::test_a_callback_that_came_first_makes_the_next_look_immediate",
            f"{CLAIMS}::test_a_callback_that_comes_while_heygen_is_asked_is_not_lost",
            f"{CALLBACKS}::test_a_callback_never_moves_a_due_instant_back",
        ),
        (
            "an early callback is forgotten",
            "a callback during a read is lost",
            "a callback postpones",
        ),
        (
            "events doubled or missing",
            "network: faults",
            "machine: steps",
        ),
    ),
    Invariant(
        18,
        "A forged callback changes nothing and costs at most one read in 30 s",
        (
            f"{POLL}::test_forged_callbacks_change_nothing_and_cost_one_read_in_thirty_seconds",
            f"{POLL}::test_a_forged_callback_in_doubt_cannot_give_the_job_a_strangers_video",
            f"{CALLBACKS}::test_an_unknown_token_gets_the_same_answer_and_changes_nothing",
        ),
        (
            "a callback is believed",
            "each callback costs a read",
            "any token will do",
        ),
        (
            "doubled renders",
            "orphaned renders",
        ),
    ),
    Invariant(
        19,
        "A callback is answered 2xx only once it is stored",
        (
            f"{CALLBACKS}::test_it_is_answered_only_once_it_is_stored",
            f"{ABSENT}::test_a_callback_is_taken_only_once_it_is_stored",
        ),
        (
            "a callback is answered and not committed",
            "a callback that cannot be stored is answered like any other",
        ),
    ),
    Invariant(
        20,
        "Poll and callback at the same moment are one transition",
        (
            f"{CLAIMS}::test_a_callback_that_comes_while_heygen_is_asked_is_not_lost",
            f"{LIFECYCLE}::test_a_fact_moves_a_job_only_as_the_drawing_says",
            f"{CALLBACKS}::test_a_lease_is_never_touched",
        ),
        (
            "a callback interrupts who holds the job",
            "a callback during a read is lost",
            "a fact moves a job from any status",
        ),
        (
            "events doubled or missing",
            "other broken promises",
        ),
    ),
    Invariant(
        21,
        "A terminal change and its notification commit together",
        (f"{LIFECYCLE}::test_a_fact_moves_a_job_only_as_the_drawing_says",),
        ("the end owes the caller nothing",),
        ("events doubled or missing",),
    ),
    Invariant(
        22,
        "A notification is tried until 2xx or until ten tries over 72 h are spent",
        (
            f"{CLAIMS}::test_a_receiver_that_never_answers_well_is_given_up_after_ten_attempts",
            "webhooks/test_schedule.py::test_ten_attempts_over_at_least_72_hours_whatever_the_jitter",
            f"{SIMULATION}::test_receivers_that_come_back_in_the_last_hour_get_everything",
            f"{WEBHOOKS}::test_a_receiver_that_was_down_gets_the_same_bytes_freshly_signed_on_schedule",
        ),
        (
            "a delivery is given up after two days",
            "a delivery is never given up",
            "a receiver that is down gets no rest",
            "any answer is a delivery",
        ),
        (
            "events doubled or missing",
            "other broken promises",
            "kills: webhooks",
        ),
    ),
    Invariant(
        23,
        "The same event has the same id and bytes on every try, freshly signed",
        (f"{WEBHOOKS}::test_a_receiver_that_was_down_gets_the_same_bytes_freshly_signed_on_schedule",),
        ("each attempt has bytes of its own",),
        (
            "events doubled or missing",
            "kills: webhooks",
        ),
    ),
    Invariant(
        24,
        "A secret that is rotated away goes on to sign for a day beside the new one: no receiver misses an event",
        (
            f"{ENDPOINTS}::test_a_secret_that_was_rotated_away_signs_for_another_day",
            "webhooks/test_signing.py::test_the_official_library_verifies_with_either_secret_during_a_rotation",
            f"{CLAIMS}::test_an_attempt_whose_process_slept_through_its_lease_is_not_made",
            f"{MACHINE}::test_no_order_of_events_breaks_a_promise",
        ),
        (
            "a rotated secret dies at once",
            "a rotated secret signs for ever",
            "an attempt is made after its lease",
        ),
        (
            "events doubled or missing",
            "kills: webhooks",
        ),
    ),
    Invariant(
        25,
        "One dead or slow endpoint delays no other tenant",
        (f"{WEBHOOKS}::test_a_receiver_that_hangs_takes_its_own_share_and_holds_up_nobody_else",),
        ("one receiver takes every place",),
    ),
    Invariant(
        26,
        "An endpoint that is gone, or fails for five days, is disabled; what it is owed is held until it is enabled",
        (
            f"{ENDPOINTS}::test_an_endpoint_that_is_gone_is_disabled_and_what_it_is_owed_is_held",
            f"{ENDPOINTS}::test_an_endpoint_that_fails_for_five_days_is_disabled_and_nothing_kept_is_lost",
            f"{MACHINE}::test_no_order_of_events_breaks_a_promise",
            f"{ENDPOINTS}::test_what_is_held_for_an_enabled_endpoint_goes_out_with_the_next_sweep",
        ),
        (
            "an endpoint that is gone is asked again",
            "what was held is never sent",
            "what is held in vain stays held",
        ),
        ("events doubled or missing",),
    ),
    Invariant(
        28,
        "A poison row never stops a worker",
        (
            f"{SUBMIT}::test_a_row_that_cannot_be_read_does_not_keep_the_queue_from_its_turn",
            f"{PREPARATION}::test_a_video_that_takes_its_worker_along_each_time_comes_up_ever_more_seldom",
            f"{POLL}::test_a_bulk_question_that_heygen_dislikes_hides_no_video_that_is_done",
            "worker/test_expire.py::test_a_row_that_cannot_be_moved_keeps_no_other_from_its_end",
        ),
        (
            "a job that kills its worker comes back at once",
            "an id that HeyGen dislikes hides its neighbours",
            "a row that cannot be ended keeps all deadlines",
        ),
    ),
    Invariant(
        29,
        "What receivers answer is bounded in size and time, and never unpacked",
        (
            f"{DESTINATION_HTTP}::test_of_an_endless_answer_only_the_beginning_is_read",
            f"{DESTINATION_HTTP}::test_a_bomb_is_kept_as_it_came_and_not_inflated",
            f"{DESTINATION_HTTP}::test_one_deadline_covers_everything_however_busy_the_line",
        ),
        (
            "far more of an answer is read than is kept",
            "what a receiver packed is unpacked",
        ),
    ),
    Invariant(
        30,
        "SQLite and PostgreSQL tell the same story of the same acts",
        (
            f"{DIFFERENTIAL}::test_sqlite_and_postgresql_tell_the_same_story",
            "api/test_video_lists.py::test_the_list_is_newest_first_and_paged_and_filtered",
        ),
        ("SQLite knows capitals of English alone",),
        (
            "other broken promises",
            "differential: programs",
        ),
    ),
    Invariant(
        31,
        "A database that restarts, crashes or drops sessions costs nothing that was promised",
        (
            "faults/test_databases.py::test_a_postgresql_that_crashes_under_load_costs_nothing_that_was_promised",
            f"{ABSENT}::test_no_caller_and_no_step_of_the_worker_notices_a_restart_between_two_requests",
            f"{ABSENT}::test_whatever_is_asked_of_an_absent_database_is_a_503_and_its_return_is_enough",
        ),
        (
            "dead connections are lent out",
            "an absent database is a defect of ours",
        ),
        (
            "lost jobs",
            "doubled renders",
            "jobs that did not end",
            "databases: hard stops",
            "databases: dropped sessions",
            "databases: longest s to the first claim",
        ),
    ),
    Invariant(
        32,
        "A full disk is a 503 and never half a job",
        (
            f"{ABSENT}::test_a_full_disk_takes_whole_videos_or_none",
            "faults/test_databases.py::test_a_locked_file_and_a_full_disk_cost_nothing_that_was_promised",
        ),
        ("a disk that fills up is a defect of ours",),
        (
            "lost jobs",
            "jobs that did not end",
            "databases: full disks",
        ),
    ),
    Invariant(
        33,
        "A jump of the wall clock changes nothing",
        (
            "test_clock.py::test_a_jump_of_the_wall_clock_changes_nothing",
            f"{SIMULATION}::test_a_clock_that_jumps_ends_nothing_early_and_nothing_late",
        ),
        (
            "the wall clock is read each time",
            "a new process goes by its own clock",
        ),
        (
            "other broken promises",
            "simulate: clock jumps",
        ),
    ),
    Invariant(
        34,
        "The cost of a claim depends on due rows only",
        ("worker/test_plans.py::test_no_hot_statement_reads_a_whole_table",),
        ("a status is a parameter, which no partial index fits",),
    ),
    Invariant(
        35,
        "Neither a snapshot held open nor a statement that was given up stops the service",
        (
            "worker/test_snapshot.py"
            "::test_a_snapshot_held_open_makes_a_claim_read_less_than_a_page_for_each_job_since",
            "test_cancellation.py::test_whatever_await_a_transaction_is_canceled_in_the_next_one_can_write",
        ),
        (
            "the queue is found without its index",
            "a closed SQLite connection keeps what a canceled task had locked",
        ),
    ),
    Invariant(
        36,
        "A stop claims nothing more and lets calls end, for 130 s; what outlasts that is handed over and paid for once; "
        "a second signal ends at once",
        (
            f"{CRASHES}::test_a_stop_waits_for_what_is_under_way_and_a_second_signal_does_not",
            f"{CRASHES}::test_a_request_that_takes_long_keeps_no_worker_working_beyond_a_stop",
            f"{LOOP}::test_after_a_stop_nothing_more_is_claimed_and_what_is_under_way_ends",
            f"{LOOP}::test_a_call_that_outlasts_the_grace_of_a_stop_is_handed_over_and_paid_for_once",
            "test_serving.py::test_who_connects_as_the_process_stops_does_not_keep_it_from_its_end",
        ),
        (
            "a lane claims once more after the stop",
            "a stop waits for as long as a call takes",
            "what outlasts the stop is not given up",
            "who connects in the instant of the stop is not told of it",
        ),
        (
            "other broken promises",
            "kills: stops",
        ),
    ),
    Invariant(
        37,
        "Old and new code run side by side on one schema",
        (
            "test_migrations.py::test_a_newer_schema_is_accepted",
            "test_migrations.py::test_code_of_the_version_before_goes_on_to_write_every_table",
            "test_migrations.py::test_a_column_that_older_code_would_have_to_fill_is_noticed",
            "test_migrations.py::test_new_code_does_not_start_on_the_tables_of_the_version_before",
        ),
        ("new code starts on old tables",),
    ),
    Invariant(
        38,
        "A restored backup doubles no render that HeyGen took under its first key, and what it lacks can be listed",
        ("end_to_end/test_restore.py::test_it_doubles_nothing_and_tells_what_it_does_not_know",),
        (
            "a key is made up anew after a restore",
            "a render that has a job is listed as an orphan",
        ),
    ),
    Invariant(
        40,
        "A tenant with a long queue does not starve others",
        (
            f"{SUBMIT}::test_the_next_slot_goes_to_the_tenant_with_the_fewest",
            f"{GOVERNOR}::test_a_tenant_with_a_long_queue_starves_nobody",
            f"{GOVERNOR}::test_starts_are_shared_by_weight",
            f"{GOVERNOR}::test_a_tenant_gets_no_more_slots_than_it_may_have",
        ),
        (
            "the shares are not fair",
            "a tenant's own cap is passed",
            "nobody remembers whose turn it was",
            "every start costs the same",
        ),
    ),
    Invariant(
        44,
        "Requests, names and files of what a tenant deleted go eight days later, and no job that waits loses its file",
        (
            "worker/test_prune.py::test_what_a_caller_wrote_of_what_it_deleted_is_nowhere_after_eight_days",
            "worker/test_prune.py"
            "::test_what_was_deleted_in_doubt_loses_its_script_and_is_deleted_at_heygen_all_the_same",
            "worker/test_strays.py"
            "::test_the_file_of_a_deleted_asset_waits_for_the_last_job_that_may_send_it_and_goes_then",
            "worker/test_strays.py::test_the_copies_of_a_deleted_video_go_with_the_next_walk_and_no_others",
        ),
        (
            "the words around a deleted script stay for ever",
            "a deleted script stays for as long as HeyGen owes its end",
            "a body that was sent in doubt stays for ever",
            "a group loses its name with one of its looks",
            "a deleted file stays for ever",
            "a deleted file is lost to the jobs that wait",
        ),
    ),
    Invariant(
        45,
        "A batch is stored whole or not at all: one row and one billed render an item",
        (
            f"{BATCH_CALLS}::test_one_bad_item_stores_none_and_every_fault_is_named",
            f"{BATCHES}::test_a_thousand_videos_are_one_request_and_one_row_each",
            f"{BATCHES}::test_every_item_is_rendered_once_and_the_batch_ends_once",
            f"{FAILPOINTS}::{BATCH_FAULTS}",
        ),
        ("one bad item does not stop the others",),
        (
            "lost jobs",
            "doubled renders",
            "simulate: batches",
        ),
    ),
    Invariant(
        46,
        "A batch ends once, with its last item, and tells how all of them ended",
        (
            f"{BATCH_CALLS}::test_whatever_ends_an_item_counts_once_and_the_last_one_ends_the_batch",
            f"{BATCHES}::test_ends_that_come_together_neither_wait_for_each_other_nor_count_twice",
            f"{FAILPOINTS}::{BATCH_FAULTS}",
            f"{BATCH_CALLS}::test_a_batch_is_many_videos_and_one_event_at_its_end",
            f"{BATCH_CALLS}::test_a_batch_of_failures_has_failed",
            f"{BATCHES}::test_what_a_deadline_ends_is_locked_before_the_first_batch_is",
        ),
        (
            "the end of an item is not the batch's business",
            "a batch ends with its first item",
            "a batch's end is owed to nobody",
            "failed items make a batch completed",
            "deadlines lock jobs after batches",
        ),
        (
            "jobs that did not end",
            "events doubled or missing",
            "simulate: batches",
        ),
    ),
    Invariant(
        47,
        "Each end of a video, look or batch is owed once to each endpoint that is registered for it",
        (
            f"{ENDPOINTS}::test_an_event_goes_to_everybody_who_asked_for_it_and_is_signed_for_each",
            f"{ENDPOINTS}::test_a_look_is_told_of_like_a_video",
            f"{FAILPOINTS}::{BATCH_FAULTS}",
            f"{KILLS}::test_services_killed_at_any_moment_lose_and_double_nothing",
            f"{MACHINE}::test_no_order_of_events_breaks_a_promise",
            f"{ENDPOINTS}::test_an_end_is_told_to_each_endpoint_of_its_tenant_that_asked_and_is_signed_with_its_own_secret",
        ),
        (
            "one endpoint of several is told",
            "an endpoint is told what it did not ask for",
            "endpoints of all tenants are told",
        ),
        (
            "events doubled or missing",
            "kills: webhooks",
        ),
    ),
    Invariant(
        48,
        "The hot operations take a fixed number of statements, and a sweep of a hundred running videos as many as of ten",
        (
            "worker/test_query_counts.py::test_a_hundred_running_videos_take_no_more_statements_than_ten",
            "worker/test_query_counts.py::test_accepting_a_video_takes_five_statements_and_three_for_its_key",
            "worker/test_query_counts.py::test_a_claim_takes_ten_statements_or_eleven_and_its_answer_nine",
            "worker/test_query_counts.py::test_a_callback_takes_four_statements_and_its_repetition_two",
        ),
        (
            "running videos are given back one by one",
            "accounts are looked up where no video is due",
        ),
        (),
    ),
)


def table() -> str:
    """The promises as Markdown."""
    return "".join(f"{line}\n" for line in _lines())


def _lines() -> Iterator[str]:
    yield "| | Promise | Tests that would see it broken | Mutants they catch | Counted in `make chaos` |"
    yield "|---|---|---|---|---|"
    for it in INVARIANTS:
        tests = tuple(f"`{test}`" for test in it.tests)
        columns = ("<br>".join(column) or "–" for column in (tests, it.mutants, it.counted))
        yield f"| {it.number} | {it.promise} | {' | '.join(columns)} |"


def document() -> str:
    """The whole document with the table as it should be; what people wrote around it stays."""
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


if __name__ == "__main__":
    DOCUMENT.write_text(document())
    sys.stdout.write(f"{DOCUMENT.relative_to(PROJECT)} is written.\n")
