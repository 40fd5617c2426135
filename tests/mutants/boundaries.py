"""What only a fault at a boundary shows: each is taken out, and a fault at that very point is noticed."""

from tests.mutants.mutant import without

FAILPOINTS = "tests/faults/test_failpoints.py"


def _at(point: str) -> str:
    return f"{FAILPOINTS}::test_no_fault_at_a_boundary_breaks_a_promise[sqlite-{point}]"


BOUNDARY_MUTANTS = (
    without(
        "a claimed job comes up no more when its worker dies",
        "app/worker/claims.py",
        "lease_until=lease_until, due_at=lease_until)",
        "lease_until=lease_until, due_at=None)",
        _at("tidy.claimed"),
    ),
    without(
        "a delivery comes up no more when its worker dies",
        "app/worker/deliver.py",
        "                due_at=lease_until,\n",
        "                due_at=None,\n",
        _at("deliver.claimed"),
    ),
    without(
        "a repeat in doubt gets the next key",
        "app/worker/ledger.py",
        "return await _write(ctx, session, job, body, (last.n, last.send + 1)) if body is not None else None",
        "return await _write(ctx, session, job, body, (last.n + 1, 1)) if body is not None else None",
        _at("submit.sent"),
    ),
    without(
        "a send in doubt gives its slot back",
        "app/lifecycle.py",
        'unknown = {"heygen_id": None, "lease_until": None, "searched_at": None}',
        'unknown = {"heygen_id": None, "lease_until": None, "slot_account_id": None}',
        f"{FAILPOINTS}::test_what_is_in_doubt_keeps_its_slot[sqlite]",
    ),
    without(
        "a submitting job is never taken back",
        "app/worker/expire.py",
        ".where(is_status(JobStatus.SUBMITTING), col(Job.lease_until) <= now, ",
        ".where(is_status(JobStatus.SUBMITTING), col(Job.lease_until) < col(Job.created_at), ",
        _at("submit.claimed"),
    ),
    without(
        "a dead worker fails its job",
        "app/worker/expire.py",
        'fact = Unclear("lease_over", now + FIRST_REPEAT)',
        'fact = lifecycle.Failed("lease_over")',
        _at("submit.sent"),
    ),
    without(
        "a file is given up in silence",
        "app/worker/archive.py",
        "        given_up = await _write(session, file, due_at=None, gave_up_at=now)\n",
        "        given_up = await _write(session, file, due_at=None, gave_up_at=now)\n"
        "    async with ctx.database.begin() as session:\n",
        "tests/worker/test_archive.py::test_no_file_is_given_up_in_silence",
    ),
)
