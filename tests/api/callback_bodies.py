"""What may come at a callback address."""

import json


def event(kind: object = "avatar_video.success", **data: object) -> bytes:
    """A callback as HeyGen words it."""
    return json.dumps({"event_type": kind, "event_data": data}).encode()


BODIES = {
    "nothing": b"",
    "no JSON": b"not json",
    "no UTF-8": b"\xff\xfe\x00",
    "NUL": b'{"event_type": "a\\u0000b", "event_data": {"video_id": "\\u0000"}}',
    "raw NUL": b"\x00" * 100,
    "half an emoji": b'{"event_type": "\\ud800", "event_data": {"video_id": "\\udfff"}}',
    "a list": b"[1, 2]",
    "a number": b"1e400",
    "NaN": b'{"event_type": NaN}',
    "deep": b"[" * 30_000,
    "many digits": b'{"event_type": ' + b"9" * 20_000 + b"}",
    "type null": event(None),
    "type list": event(["avatar_video.success"]),
    "type unknown": event("avatar_video.explained"),
    "data list": b'{"event_type": "avatar_video.success", "event_data": [1]}',
    "another video": event(video_id="f" * 32),
    "another callback id": event(callback_id="0" * 32),
    "huge video id": event(video_id="v" * 50_000),
    "video id number": event(video_id=7),
    "metadata address": event(url="http://169.254.169.254/"),
    "script address": event(url="javascript:alert(1)"),
    **{f"status {word}": event(status=word) for word in ("waiting", "completed", "not_found", "unknown")},
}
