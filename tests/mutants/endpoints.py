"""What keeps webhook endpoints apart: whose they are, what each is told, whose secret signs, and what ends with them."""

from tests.mutants.mutant import without

API = "tests/api/test_webhook_endpoints.py"
ENDPOINTS = "tests/end_to_end/test_endpoints.py"

DELIVER_PY = "app/worker/deliver.py"
ENDPOINTS_PY = "app/api/webhook_endpoints.py"
EVENTS_PY = "app/api/webhook_events.py"
OUTBOX_PY = "app/webhooks/outbox.py"
RECEIVERS_PY = "app/worker/receivers.py"
TENANCY_PY = "app/tenancy.py"

FOREIGN = f"{API}::test_an_endpoint_of_another_tenant_does_not_exist"
TOLD = f"{ENDPOINTS}::test_an_end_is_told_to_each_endpoint_of_its_tenant_that_asked_and_is_signed_with_its_own_secret"
ROTATED = f"{ENDPOINTS}::test_a_secret_that_was_rotated_away_signs_for_another_day"
OWN_ROTATED = f"{ENDPOINTS}::test_a_tenants_own_secret_that_was_rotated_away_signs_for_another_day_and_its_endpoints_stay"
WENT = f"{ENDPOINTS}::test_what_came_due_before_its_endpoint_went_is_not_attempted"

ENDPOINTS_MUTANTS = (
    without(
        "a foreign endpoint is seen and changed",
        ENDPOINTS_PY,
        "    return col(Endpoint.tenant_id) == caller.tenant_id, col(Endpoint.deleted_at).is_(None)\n",
        "    return (col(Endpoint.deleted_at).is_(None),)\n",
        FOREIGN,
    ),
    without(
        "a foreign endpoint can be deleted",
        ENDPOINTS_PY,
        "    own = (col(Endpoint.id) == endpoint_id, col(Endpoint.tenant_id) == caller.tenant_id)\n",
        "    own = (col(Endpoint.id) == endpoint_id,)\n",
        FOREIGN,
    ),
    without(
        "everybody reads what happened",
        EVENTS_PY,
        "    wanted = [col(Event.tenant_id) == caller.tenant_id, col(Event.type).isnot(None), *about]\n",
        "    wanted = [col(Event.type).isnot(None), *about]\n",
        f"{API}::test_what_happened_is_told_to_the_tenant_alone_by_type_and_by_video_or_batch",
    ),
    without(
        "endpoints of all tenants are told",
        OUTBOX_PY,
        "        col(Endpoint.tenant_id) == subject.tenant_id, col(Endpoint.deleted_at).is_(None)\n",
        "        col(Endpoint.deleted_at).is_(None)\n",
        TOLD,
    ),
    without(
        "one endpoint of several is told",
        OUTBOX_PY,
        "await session.scalars(registered)",
        "await session.scalars(registered.limit(1))",
        TOLD,
    ),
    without(
        "an endpoint is told what it did not ask for",
        OUTBOX_PY,
        "    subscribed = endpoint.event_types is None or event_type in endpoint.event_types\n",
        "    subscribed = True\n",
        TOLD,
    ),
    without(
        "every secret of the tenant signs for an endpoint",
        DELIVER_PY,
        "            col(WebhookSecret.endpoint_id).is_not_distinct_from(endpoint_id),\n",
        "",
        TOLD,
    ),
    without(
        "a rotated secret dies at once",
        TENANCY_PY,
        "    await session.execute(endless.values(expires_at=now + OVERLAP))\n",
        "    await session.execute(endless.values(expires_at=now))\n",
        ROTATED,
    ),
    without(
        "a tenant's rotation ends the secrets of its endpoints",
        TENANCY_PY,
        "        col(WebhookSecret.endpoint_id).is_not_distinct_from(endpoint_id),\n",
        "",
        OWN_ROTATED,
    ),
    without(
        "a rotated secret signs for ever",
        DELIVER_PY,
        "            col(WebhookSecret.expires_at).is_(None) | (col(WebhookSecret.expires_at) > ctx.clock.now()),\n",
        "",
        ROTATED,
    ),
    without(
        "a deleted endpoint is posted to",
        RECEIVERS_PY,
        "    if endpoint is None or endpoint.deleted_at is not None:\n",
        "    if endpoint is None:\n",
        WENT,
    ),
    without(
        "a disabled endpoint is posted to",
        RECEIVERS_PY,
        "    elif endpoint.status == EndpointStatus.DISABLED:\n",
        "    elif False:\n",
        WENT,
    ),
    without(
        "an endpoint that is gone is asked again",
        RECEIVERS_PY,
        '"gone" if status == GONE else ',
        "",
        f"{ENDPOINTS}::test_an_endpoint_that_is_gone_is_disabled_and_what_it_is_owed_is_held",
    ),
    without(
        "an old address disables its endpoint",
        RECEIVERS_PY,
        ", col(Endpoint.url) == endpoint.url\n",
        ",\n",
        f"{ENDPOINTS}::test_what_an_address_answered_counts_for_nothing_once_there_is_another",
    ),
    without(
        "what was held is never sent",
        ENDPOINTS_PY,
        "        dead | col(Delivery.due_at).is_(None),\n",
        "        dead,\n",
        f"{ENDPOINTS}::test_an_endpoint_that_is_gone_is_disabled_and_what_it_is_owed_is_held",
    ),
)
