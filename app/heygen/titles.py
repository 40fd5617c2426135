"""Our token at the end of a title or a name at HeyGen: how a job is found again whose answer was lost."""

import re
import unicodedata

# HeyGen states no length for titles and names. The token stands at the end, the first part to be lost if HeyGen
# cuts one, so we stay within what an ordinary text column holds.
TITLE_LIMIT = 255

_TOKEN = re.compile(r" ?\[gr:([0-9a-f]{32})\]\Z")


def with_token(title: str | None, token: str, limit: int = TITLE_LIMIT) -> str:
    """The title with our token at its end, the title cut so that all is at most `limit` code points.

    `token` is 32 lower-case hex digits; anything else raises ValueError, since it could never be found again.
    """
    if not re.fullmatch(r"[0-9a-f]{32}", token):
        raise ValueError("token: 32 lower-case hex digits are needed")
    mark = f"[gr:{token}]"
    return f"{_cut(title, limit - len(mark) - 1)} {mark}" if title else mark


def token_of(title: str | None) -> str | None:
    """The token at the end of a title or name, or None."""
    found = _TOKEN.search((title or "").rstrip())
    return found[1] if found else None


def without_token(title: str) -> str:
    """The title or name as its owner wrote it; one without a token stays as it is."""
    return _TOKEN.sub("", title.rstrip()) if token_of(title) else title


def _cut(text: str, length: int) -> str:
    """At most `length` code points, not ending within a joined character where the text goes on."""
    end = min(max(length, 0), len(text))
    while 0 < end < len(text) and (_joins(text[end]) or text[end - 1] == "\u200d"):
        end -= 1
    return text[:end]


def _joins(character: str) -> bool:
    return character == "\u200d" or unicodedata.category(character) in {"Mn", "Mc", "Me"}
