"""No boundary of the worker, or of a route that moves jobs, without a failpoint, and no failpoint that stands nowhere."""

import pytest

from app.failpoints import NAMES
from tests.architecture import Module, read_app
from tests.faults.boundaries import boundaries, points

WITHOUT = {
    "callbacks.job_of": "a read",
    "group_changes._check_alone": "a read",
    "group_changes._delete_at_heygen": "HeyGen's own group; asked again, what is left of it goes",
    "idempotency.replay": "a read",
    "look_changes._delete_at_heygen": "HeyGen's own look, of which we store nothing",
    "look_changes._rename_at_heygen": "HeyGen's own look, of which we store nothing",
    "look_changes._rename_copy": "a name; asked again, it is given again",
    "look_changes.rename_look": "a name, stored with what the worker owes HeyGen's copy; no job moves",
    "videos._delete_at_heygen": "HeyGen's own video, of which we store nothing",
    "videos.get_video": "a read",
    "expire.free_waiting": "one idempotent update, which the next sweep repeats",
    "expire.probe": "takes accounts for one probe interval, after which they come up again",
    "expire._probe": "a probe that is lost is made again, and a resumed account is found resumed",
    "expire.end_leases": "runs before there is any work; the next start repeats it",
    "loop.due_lanes": "a read",
    "loop._forecast": "reads the forecast afresh",
    "prune.prune": "deletes what nobody asks for; the next round repeats it",
    "archive._take": "ends in archive.claimed",
    "archive._fetch": "ends in archive.fetched",
    "claims.keep": "moves a lease; a failpoint follows the work that it is kept for",
    "archive._settle": "ends in archive.recorded, but for what is postponed or was deleted: one update of one row",
    "archive._postpone": "one commit; without it the end of the lease brings the file up again",
    "consents.note": "a word of HeyGen's, which the next poll reads again",
    "deliver._take": "ends in deliver.claimed",
    "deliver._post": "ends in deliver.posted",
    "paid_calls._alone": "its row ends in paid.held; one that is left is one of a process that died",
    "paid_calls._check_open": "a read",
    "poll._sort_out": "ends in poll.sorted",
    "poll._some": "a read; ends in poll.sorted",
    "poll._give_back": "ends in poll.returned",
    "poll.ask": "its commit ends in poll.recorded, which its whole batch passes",
    "poll.outcome": "ends in poll.asked or tidy.asked",
    "poll._disowned": "ends in poll.asked or tidy.asked; without it the id is read once more",
    "poll.answers": "ends in poll.asked or tidy.asked",
    "poll._take": "ends in poll.claimed",
    "search.confirms": "a read; unsure.accepted follows where it tells something",
    "search._items": "reads; unsure.searched, unsure.accepted or tidy.asked follow",
    "strays._give_up": "deletes what nobody asks for; the next step repeats it",
    "strays._stray_assets": "empties what nobody asks for; the next walk repeats it",
    "tidy._found": "reads; tidy.asked follows",
    "strays._stray_copies": "reads",
    "receivers.free_held": "one idempotent update, which the next sweep repeats",
    "submit._claim_next": "ends in submit.claimed",
    "submit._set_aside": "puts a job off that was not sent, as the end of its lease does",
    "submit._intend": "its commit ends in submit.intended",
    "submit._usable": "reads; ends in submit.prepared",
    "submit.post": "ends in submit.sent or unsure.sent",
    "tidy._follow": "its commit ends in tidy.recorded",
    "tidy._delete": "its commits end in tidy.recorded",
    "tidy._rename": "its commits end in tidy.recorded",
    "tidy._done": "ends in tidy.recorded",
    "uploads.upload": "its commit ends in submit.prepared",
    "unsure._put_back": "gives a job back, as the end of its lease does",
}
"""Functions with a boundary that no failpoint of their own follows, and what makes up for it."""

ROUTES = {"batches", "callbacks", "group_changes", "idempotency", "look_changes", "paid_calls", "videos"}
"""The modules of the API that commit something about jobs, or pay."""

WATCHED = [
    module
    for module in read_app()
    for package, _, name in [module.name.rpartition(".")]
    if package == "app.worker" or (package == "app.api" and name in ROUTES)
]


def test_each_failpoint_stands_somewhere_and_has_a_known_name() -> None:
    assert set().union(*(points(module) for module in read_app())) == NAMES


def test_each_boundary_of_the_worker_is_followed_by_a_failpoint_or_excused() -> None:
    bare = {it.function for module in WATCHED for it in boundaries(module) if it.bare}
    assert bare - set(WITHOUT) == set(), "add a failpoint, or the reason why none is needed"
    assert set(WITHOUT) - bare == set(), "these need no excuse any more"


@pytest.mark.parametrize(
    "line",
    [
        "async with ctx.database.begin() as session: pass",
        "await ctx.connections[account].heygen.create(path, body, key)",
        "await connection.catalog.voice(name)",
        "async with open_file(ctx.files, url) as response: pass",
    ],
)
def test_a_boundary_without_a_failpoint_is_noticed(line: str) -> None:
    before = 'await ctx.failpoint("submit.sent")'
    for body, bare in (
        ([before, line], [True]),
        ([line, before], [False]),
        ([line, line, before], [True, False]),
    ):
        module = Module("app.worker.x", "async def f():\n" + "\n".join(f"    {it}" for it in body))
        assert [it.bare for it in boundaries(module)] == bare
