"""HeyGen's own history tells when a look is worth most."""

from datetime import timedelta

from app.forecast import Forecast, Spread
from app.models import Account
from tests.statements import recording
from tests.worker.conftest import Bench


async def test_the_history_is_heygens_own_word_and_read_once_a_minute(bench: Bench, account: Account) -> None:
    bench.simulator.set_scenario("callbacks_lost")
    bench.simulator.set_timeline(render_seconds=21)
    await bench.queue(6)
    await bench.settle()  # found by the poll after a minute; HeyGen was done after 21 s
    forecast = Forecast()
    with recording(bench.context.database) as statements:
        for seconds in (0, 59):
            async with bench.context.database.begin() as session:
                now = bench.clock.now() + timedelta(seconds=seconds)
                await forecast.refresh(session, bench.context.connections, now)
    assert len(statements) == 1
    took = timedelta(seconds=21)
    assert forecast.spread(account.id, "video", "avatar") == Spread(took, took, took)
    assert forecast.spread(account.id, "video", "image") is None


async def test_with_a_history_the_first_look_comes_near_the_expected_end(bench: Bench) -> None:
    bench.simulator.set_scenario("callbacks_lost")
    bench.simulator.set_timeline(render_seconds=20)
    await bench.queue(10)
    await bench.settle()
    await bench.pass_time(60, step=60)  # the history is read once a minute
    before = bench.calls("GET", "/v3/videos/statuses")
    (*_, job) = await bench.queue(10)
    sent_at = bench.clock.now()
    await bench.settle()
    ended = {it.id: it.finished_at for it in await bench.jobs()}[job.id]
    assert ended is not None
    assert ended - sent_at <= timedelta(seconds=40), "not only after the first minute"
    assert bench.calls("GET", "/v3/videos/statuses") - before <= 3


async def test_where_callbacks_arrive_a_history_costs_no_question_more(bench: Bench) -> None:
    for _ in range(3):
        # A look when half are done would find the slower ones still at work.
        for seconds in (20, 40):
            bench.simulator.set_timeline(render_seconds=seconds)
            await bench.queue(5)
            await bench.work()
        await bench.settle()
        await bench.pass_time(60, step=60)
    assert bench.calls("GET", "/v3/videos/statuses") == 0
    assert bench.calls("GET", "/v3/videos/") == 30
