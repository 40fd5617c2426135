"""What only a whole story shows: each is taken out, and one seed, one round or one program notices."""

from tests.mutants.mutant import Mutant, without

SIMULATION = "tests/faults/test_simulation.py"
MACHINE = "tests/faults/test_machine.py"
DIFFERENTIAL = "tests/faults/test_differential.py"

SIMULATION_MUTANTS = (
    Mutant(
        "the wall clock is read each time",
        "app/clock.py",
        (
            ("        self._base = wall()\n", "        self._base, self._wall = wall(), wall\n"),
            (
                "return self._base + timedelta(seconds=self._elapsed() - self._base_elapsed)",
                "return self._wall()",
            ),
        ),
        (f"{SIMULATION}::test_a_clock_that_jumps_ends_nothing_early_and_nothing_late",),
    ),
    without(
        "a new process goes by its own clock",
        "app/clock.py",
        "self._base = database_now.astimezone(UTC)\n        self._base_elapsed = taken_at",
        "pass",
        f"{SIMULATION}::test_a_clock_that_jumps_ends_nothing_early_and_nothing_late",
    ),
    without(
        "a job lives an hour beyond its deadline",
        "app/worker/expire.py",
        "col(Job.deadline_at) <= now)\n",
        "col(Job.deadline_at) <= now - FIRST_REPEAT * 720)\n",
        f"{SIMULATION}::test_two_days_without_a_single_callback_end_every_job",
    ),
    without(
        "a key's age counts from its last send",
        "app/worker/unsure.py",
        "<= now - known_since < key_max_age",
        "<= now - last.sent_at < key_max_age",
        f"{SIMULATION}::test_no_outage_makes_an_old_key_go_out",
    ),
    without(
        "who is in doubt asks again after an hour",
        "app/worker/unsure.py",
        "(5, 30, 60, 120, 300, 600)",
        "(3600,)",
        f"{SIMULATION}::test_a_render_whose_answer_and_callbacks_are_lost_is_found_within_ten_minutes",
    ),
    Mutant(
        "who is in doubt does not wait for the gate",
        "app/worker/unsure.py",
        (
            ("        if shut_until is not None:\n", "        if False:\n"),
            ("    if unsure.shut_until is not None:\n", "    if False:\n"),
        ),
        (f"{SIMULATION}::test_nobody_sends_before_a_retry_after_has_passed_whoever_crashes",),
    ),
    without(
        "a delivery is given up after two days",
        "app/webhooks/schedule.py",
        "    timedelta(hours=24),\n    timedelta(hours=24),\n",
        "    timedelta(hours=24),\n",
        f"{SIMULATION}::test_receivers_that_come_back_in_the_last_hour_get_everything",
    ),
)
MACHINE_MUTANTS = (
    without(
        "what failed may still be completed",
        "app/lifecycle.py",
        "    Completed: (frozenset({JobStatus.UNSURE, JobStatus.PROCESSING}), JobStatus.COMPLETED),",
        "    Completed: (UNFINISHED | {JobStatus.FAILED}, JobStatus.COMPLETED),",
        f"{MACHINE}::test_no_order_of_events_breaks_a_promise[3]",
    ),
)
DIFFERENTIAL_MUTANTS = (
    Mutant(
        "SQLite knows capitals of English alone",
        "app/database.py",
        (('        connection.create_function("lower", 1, _lower, deterministic=True)\n', ""),),
        ("tests/api/test_video_lists.py::test_the_list_is_newest_first_and_paged_and_filtered",),
    ),
)
