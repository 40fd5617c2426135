"""What a registered endpoint is told, whose secret signs it, and what is kept for one that does not answer."""

from tests.mutants.mutant import without

ENDPOINTS = "tests/end_to_end/test_endpoints.py"
TOLD = f"{ENDPOINTS}::test_an_event_goes_to_everybody_who_asked_for_it_and_is_signed_for_each"
ROTATED = f"{ENDPOINTS}::test_a_secret_that_was_rotated_away_signs_for_another_day"
GONE = f"{ENDPOINTS}::test_an_endpoint_that_is_gone_is_disabled_and_what_it_is_owed_is_held"

ENDPOINTS_MUTANTS = (
    without(
        "an end is told to its callback_url alone",
        "app/webhooks/outbox.py",
        "        if hears(endpoint, event.type, subject.id)\n",
        "        if False\n",
        TOLD,
    ),
    without(
        "every endpoint of a tenant is told of everything",
        "app/webhooks/outbox.py",
        "        if hears(endpoint, event.type, subject.id)\n",
        "",
        TOLD,
    ),
    without(
        "an endpoint is told what happens to strangers",
        "app/webhooks/outbox.py",
        "        col(Endpoint.tenant_id) == subject.tenant_id, col(Endpoint.deleted_at)",
        "        col(Endpoint.deleted_at)",
        TOLD,
    ),
    without(
        "a secret that was rotated away signs no more",
        "app/api/webhook_endpoints.py",
        "endless.values(expires_at=now + OVERLAP)",
        "endless.values(expires_at=now)",
        ROTATED,
    ),
    without(
        "a secret that was rotated away signs for ever",
        "app/worker/deliver.py",
        "            col(WebhookSecret.expires_at).is_(None) | (col(WebhookSecret.expires_at) > ctx.clock.now()),\n",
        "",
        ROTATED,
    ),
    without(
        "an endpoint that is gone is asked again",
        "app/worker/receivers.py",
        '"gone" if status == GONE else ',
        "",
        GONE,
    ),
    without(
        "what was held for an endpoint stays where it is",
        "app/api/webhook_endpoints.py",
        '    if wanted.status == "enabled":\n',
        "    if False:\n",
        GONE,
    ),
)
