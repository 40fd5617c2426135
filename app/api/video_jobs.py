"""From a checked request to the row that is stored for it."""

from __future__ import annotations

from datetime import datetime

from uuid_utils.compat import uuid7

from app import secrets
from app.api.requests import VideoOptions
from app.api.video_checks import Checked
from app.api.video_requests import VideoRequest
from app.context import Context
from app.models import Job
from app.stored_request import StoredRequest
from app.tenancy import Caller


def new_job(
    ctx: Context, caller: Caller, wanted: VideoRequest, checked: Checked, options: VideoOptions, now: datetime
) -> Job:
    """A video's row, not yet added; `options` are what its caller says beside HeyGen's own fields."""
    callback_token = secrets.token()
    request = StoredRequest(
        body=checked.body,
        callback_token=callback_token,
        look_id=checked.look_id,
        looks=checked.looks,
        assets=checked.assets,
        unchecked=checked.unchecked,
    )
    return Job(
        id=uuid7().hex,
        tenant_id=caller.tenant_id,
        account_id=caller.account_id,
        kind="video",
        type=wanted.type,
        request_encrypted=request.seal(ctx.secrets),
        title=wanted.title,
        folder_id=checked.body.get("folder_id"),
        callback_url=wanted.callback_url,
        callback_id=wanted.callback_id,
        job_metadata=options.metadata,
        rank=-options.priority,
        deadline_at=options.deadline or now + ctx.terms.deadline,
        archive=ctx.terms.archive if options.archive is None else options.archive,
        title_token=secrets.token(),
        callback_token_sha256=secrets.digest(callback_token),
        created_at=now,
    )
