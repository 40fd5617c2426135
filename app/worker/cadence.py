"""When HeyGen is asked about a job: first late and then ever more seldom, but near its expected end."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from app import forecast
from app.context import Context
from app.models import Job
from app.worker.prepare import WITHOUT_CALLBACKS

SHORTEST = 4  # an expected end brings the next look no nearer than this part of the first interval


def first(ctx: Context, job: Job) -> timedelta:
    """How long to wait before the first look at a job that HeyGen has just accepted."""
    return _wait(ctx, job, 0, timedelta())


def again(ctx: Context, job: Job, now: datetime) -> timedelta:
    """How long to wait after a look that found it still running."""
    return _wait(ctx, job, job.asks + 1, now - (job.submitted_at or job.created_at))


def _wait(ctx: Context, job: Job, asks: int, age: timedelta) -> timedelta:
    # Of looks and of some videos nobody ever calls back.
    called_back = job.kind == "video" and job.type not in WITHOUT_CALLBACKS
    shortest = ctx.pace.first_poll if called_back else ctx.pace.first_look_poll
    scheduled = ctx.jitter(forecast.by_rule(shortest, ctx.pace.slowest_poll, asks, age))
    return forecast.next_look(scheduled, age, _expected(ctx, job), shortest / SHORTEST)


def _expected(ctx: Context, job: Job) -> Sequence[timedelta]:
    """The ages at which a look is worth most."""
    spread = ctx.forecast.spread(job.account_id, job.kind, job.type)
    if spread is None:
        return ()
    if ctx.callback_base is not None and job.kind == "video" and job.type not in WITHOUT_CALLBACKS:
        # The callback will tell; a look before nearly all are done would come on top of the one it causes.
        return (spread.nearly_all * forecast.GROWTH,)
    return (spread.half, spread.most, spread.nearly_all)
