"""Every operation of HeyGen's v3 API, and what a caller gets for it here.

`docs/HEYGEN_API.md` is this list as tables: `python -m tests.operations` writes it. The operations are those of HeyGen's
published description of April 2026 and of its command line client up to September 2026.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.client_checks import CHECKS

PROJECT = Path(__file__).resolve().parents[1]
DOCUMENT = PROJECT / "docs" / "HEYGEN_API.md"
PARTS = ("operations", "checks")
"""The generated parts of the document, each between comments of its name."""

SERVED = "served"
PASSED_ON = "passed on"
REFUSED = "refused"


@dataclass(frozen=True)
class Operation:
    """One method of one path; `how` says what becomes of it, or why it is refused."""

    area: str
    method: str
    path: str
    verdict: str
    how: str

    @property
    def name(self) -> str:
        """As the contract and the routes have it."""
        return f"{self.method} {self.path}"


def _area(area: str, verdict: str, *operations: tuple[str, str]) -> tuple[Operation, ...]:
    """Operations of one verdict, each as "METHOD /path" and what becomes of it."""
    named = ((name.partition(" "), how) for name, how in operations)
    return tuple(Operation(area, method, path, verdict, how) for (method, _, path), how in named)


def _refused(area: str, why: str, *names: str) -> tuple[Operation, ...]:
    return _area(area, REFUSED, *((name, why) for name in names))


OURS = "answered from our own tables"
WIDE = "our own first, then HeyGen's, cached"
EVERY_NAME = "all of HeyGen's, for clients that name any; those of its other products never happen here"
OTHER_PRODUCT = "not a talking video: call HeyGen itself"

OPERATIONS = (
    *_area(
        "Assets",
        SERVED,
        ("POST /v3/assets", "kept here; HeyGen gets the bytes when a job first needs them"),
        ("GET /v3/assets", "our own first, then HeyGen's"),
        ("GET /v3/assets/{asset_id}", "our own; HeyGen's for who sees the whole account"),
        ("DELETE /v3/assets/{asset_id}", "hidden at once; a job that was accepted before may still send it"),
        ("POST /v3/assets/direct-uploads", "a signed link of ours that takes the bytes"),
        ("POST /v3/assets/{asset_id}/complete", "the bytes are checked against their declared type"),
        ("POST /v3/assets/direct-uploads/batches", "up to 100 files"),
        ("POST /v3/assets/complete/batches", "each as its single form"),
        ("GET /v3/assets/batches/{batch_id}", OURS),
        ("GET /v3/assets/statuses", OURS),
    ),
    *_refused("Assets", "HeyGen's library of stock pictures: search it at HeyGen", "GET /v3/assets/search"),
    *_area(
        "Avatars",
        SERVED,
        ("POST /v3/avatars", "`photo`, `prompt` and `digital_twin`: a paid job, made at most once"),
        ("GET /v3/avatars", WIDE),
        ("GET /v3/avatars/{group_id}", WIDE),
        ("DELETE /v3/avatars/{group_id}", "hidden at once; HeyGen's copies go when HeyGen is done with them"),
        ("GET /v3/avatars/looks", WIDE),
        ("GET /v3/avatars/looks/{look_id}", WIDE),
        ("PATCH /v3/avatars/looks/{look_id}", "renamed here, and at HeyGen"),
        ("DELETE /v3/avatars/looks/{look_id}", "the last look takes its group along"),
    ),
    *_area(
        "Avatars",
        PASSED_ON,
        ("POST /v3/avatars/{group_id}/consent", "and its state is shown on the group and its looks"),
    ),
    *_area(
        "Voices",
        PASSED_ON,
        ("GET /v3/voices", "cached; private ones for those they belong to"),
        ("GET /v3/voices/{voice_id}", "cached; private ones for those they belong to"),
        ("DELETE /v3/voices/{voice_id}", "one's own clones"),
        (
            "POST /v3/voices",
            "at most once under an `Idempotency-Key`; after an unclear answer, 409 `outcome_unknown`",
        ),
        ("POST /v3/voices/clone", "the same; the clone belongs to its tenant"),
        ("POST /v3/voices/speech", "the same"),
    ),
    *_area(
        "Videos",
        SERVED,
        ("POST /v3/videos", "`avatar`, `image`, `studio`, `cinematic_avatar`: stored, rendered at most once"),
        ("GET /v3/videos", "our own first, then HeyGen's"),
        ("GET /v3/videos/{video_id}", OURS),
        ("DELETE /v3/videos/{video_id}", "hidden at once; HeyGen's copy goes when HeyGen is done with it"),
        ("GET /v3/videos/statuses", OURS),
        ("POST /v3/videos/batches", "up to 1,000 videos, each a job of its own"),
        ("GET /v3/videos/batches/{batch_id}", OURS),
    ),
    *_refused(
        "Videos",
        "a studio video is ordered whole and read whole here",
        "GET /v3/videos/{video_id}/scenes",
    ),
    *_area(
        "Webhooks",
        SERVED,
        ("POST /v3/webhooks/endpoints", "of the tenant; the secret is shown once"),
        ("GET /v3/webhooks/endpoints", OURS),
        ("PATCH /v3/webhooks/endpoints/{endpoint_id}", OURS),
        ("DELETE /v3/webhooks/endpoints/{endpoint_id}", OURS),
        ("POST /v3/webhooks/endpoints/{endpoint_id}/rotate-secret", "the old secret signs on for a day"),
        ("GET /v3/webhooks/event-types", EVERY_NAME),
        ("GET /v3/webhooks/events", OURS),
    ),
    *_area("Account", SERVED, ("GET /v3/users/me", "the tenant as HeyGen shows an account")),
    *_refused(
        "Account",
        "keys are an operator's business here: `greenroom keys`",
        "GET /v3/api_keys/self",
    ),
    *_refused(
        "Folders",
        "folders are made in HeyGen's own app; `folder_id` is passed on",
        "POST /v3/folders",
        "GET /v3/folders/{folder_id}",
    ),
    *_refused(
        "Video agent",
        OTHER_PRODUCT,
        "POST /v3/video-agents",
        "GET /v3/video-agents",
        "GET /v3/video-agents/styles",
        "POST /v3/video-agents/sessions",
        "GET /v3/video-agents/sessions/{session_id}",
        "POST /v3/video-agents/sessions/{session_id}/messages",
        "GET /v3/video-agents/sessions/{session_id}/resources",
        "POST /v3/video-agents/sessions/{session_id}/stop",
    ),
    *_refused(
        "Translations",
        OTHER_PRODUCT,
        "POST /v3/video-translations",
        "GET /v3/video-translations",
        "GET /v3/video-translations/languages",
        "GET /v3/video-translations/{video_translation_id}",
        "PATCH /v3/video-translations/{video_translation_id}",
        "DELETE /v3/video-translations/{video_translation_id}",
        "GET /v3/video-translations/{video_translation_id}/caption",
        "POST /v3/video-translations/proofreads",
        "GET /v3/video-translations/proofreads/{proofread_id}",
        "GET /v3/video-translations/proofreads/{proofread_id}/srt",
        "PUT /v3/video-translations/proofreads/{proofread_id}/srt",
        "POST /v3/video-translations/proofreads/{proofread_id}/generate",
    ),
    *_refused(
        "Lip sync and overdub",
        OTHER_PRODUCT,
        "POST /v3/lipsyncs",
        "GET /v3/lipsyncs",
        "GET /v3/lipsyncs/{lipsync_id}",
        "PATCH /v3/lipsyncs/{lipsync_id}",
        "DELETE /v3/lipsyncs/{lipsync_id}",
        "POST /v3/overdubs",
        "GET /v3/overdubs",
        "GET /v3/overdubs/{overdub_id}",
        "DELETE /v3/overdubs/{overdub_id}",
    ),
    *_refused(
        "Clips and clean-up",
        OTHER_PRODUCT,
        "POST /v3/ai-clipping",
        "GET /v3/ai-clipping",
        "GET /v3/ai-clipping/{job_id}",
        "DELETE /v3/ai-clipping/{job_id}",
        "POST /v3/background-removals",
        "GET /v3/background-removals",
        "GET /v3/background-removals/{job_id}",
        "DELETE /v3/background-removals/{job_id}",
        "POST /v3/filler-word-removals",
        "GET /v3/filler-word-removals/{filler_word_removal_id}",
    ),
    *_refused(
        "Templates, brands, sounds",
        OTHER_PRODUCT,
        "GET /v3/templates",
        "GET /v3/templates/{template_id}",
        "GET /v3/brand-kits",
        "GET /v3/brand-glossaries",
        "GET /v3/brand-glossaries/{brand_glossary_id}",
        "GET /v3/audio/sounds",
    ),
)


def document() -> str:
    """The whole document with the tables as they should be; what people wrote around them stays."""
    text = DOCUMENT.read_text()
    for name, lines in zip(PARTS, (_operations(), _checks()), strict=True):
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, _, rest = text.partition(begin)
        text = before + begin + "".join(f"{line}\n" for line in lines) + end + rest.partition(end)[2]
    return text


def _operations() -> Iterator[str]:
    counts = [
        f"{sum(it.verdict == word for it in OPERATIONS)} {word}" for word in (SERVED, PASSED_ON, REFUSED)
    ]
    yield f"{len(OPERATIONS)} operations: {', '.join(counts)}."
    for area in dict.fromkeys(it.area for it in OPERATIONS):
        yield from ("", f"### {area}", "", "| Operation | Here | How, or why not |", "|---|---|---|")
        for it in OPERATIONS:
            if it.area == area:
                yield f"| `{it.name}` | {it.verdict} | {it.how} |"


def _checks() -> Iterator[str]:
    yield "| | What the client needs | Tests |"
    yield "|---|---|---|"
    for it in CHECKS:
        yield f"| {it.number} | {it.demand} | {'<br>'.join(f'`{test}`' for test in it.tests)} |"


if __name__ == "__main__":
    DOCUMENT.write_text(document())
    sys.stdout.write(f"{DOCUMENT.relative_to(PROJECT)} is written.\n")
