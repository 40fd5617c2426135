"""What keeps direct uploads honest: whose they are, what a link opens, which bytes count, and until when."""

from tests.mutants.mutant import Mutant, without

RACES = "tests/api/test_upload_races.py"
UPLOADS = "tests/api/test_direct_uploads.py"

VIEWS_PY = "app/api/asset_views.py"
ASSETS_PY = "app/api/assets.py"
LINK_PY = "app/api/upload_link.py"
LINKS_PY = "app/links.py"
STRAYS_PY = "app/worker/strays.py"
UPLOADS_PY = "app/api/direct_uploads.py"

BATCH = f"{UPLOADS}::test_a_batch_is_completed_file_by_file_and_one_bad_file_fails_no_other"
LINK = f"{UPLOADS}::test_a_link_opens_its_own_upload_for_an_hour_and_nothing_else"
REFUSED = f"{UPLOADS}::test_bytes_that_are_not_as_announced_are_refused_and_leave_nothing"

UPLOADS_MUTANTS = (
    without(
        "any link opens any upload",
        LINK_PY,
        "            if not verify(*signed, ctx.clock.now(), ctx.links.keys):\n",
        "            if False:\n",
        LINK,
    ),
    without(
        "a link never ends",
        LINKS_PY,
        "    return genuine and now.timestamp() < int(expires)",
        "    return genuine",
        "tests/test_links.py::test_a_link_ends_at_its_expiry_to_the_second",
    ),
    without(
        "a key sends what has failed because its link ended",
        LINK_PY,
        "    if upload.expires_at <= ctx.clock.now():\n",
        "    if False:\n",
        LINK,
    ),
    without(
        "any key opens any upload",
        LINK_PY,
        "    if upload is None or tenant_id not in {None, upload.tenant_id}:\n",
        "    if upload is None:\n",
        LINK,
    ),
    without(
        "a foreign upload can be completed",
        UPLOADS_PY,
        "where(col(Upload.id) == asset_id, col(Upload.tenant_id) == caller.tenant_id)",
        "where(col(Upload.id) == asset_id)",
        LINK,
    ),
    without(
        "a foreign batch can be completed",
        UPLOADS_PY,
        "        if batch is None or batch.tenant_id != caller.tenant_id:\n",
        "        if batch is None:\n",
        BATCH,
    ),
    without(
        "bytes with another checksum are taken",
        LINK_PY,
        "        if upload.checksum_sha256 is not None and stored.sha256 != upload.checksum_sha256:\n",
        "        if False:\n",
        REFUSED,
    ),
    without(
        "fewer bytes than announced are taken",
        LINK_PY,
        "expected_size=upload.size, limit=upload.size",
        "limit=upload.size",
        REFUSED,
    ),
    without(
        "bytes of any type are taken",
        VIEWS_PY,
        "    if upload.mime == TYPES[upload.content_type.lower()]:\n",
        "    if True:\n",
        f"{UPLOADS}::test_bytes_of_another_type_are_told_in_heygens_words_and_can_be_sent_anew",
    ),
    without(
        "late bytes take the place of an asset's",
        LINK_PY,
        "            raise NotFound.asset(upload_id)\n        _check_open(upload)\n",
        "            raise NotFound.asset(upload_id)\n",
        f"{RACES}::test_bytes_that_come_while_it_is_completed_change_nothing",
    ),
    without(
        "a file that HeyGen does not have is passed on to it",
        "app/api/video_files.py",
        " and named.id not in files.absent:\n",
        ":\n",
        "tests/api/test_heygen_assets.py"
        "::test_a_file_that_nobody_has_is_named_wherever_it_stands_and_nothing_is_stored",
    ),
    Mutant(
        "whoever withdraws an upload takes an asset's bytes",
        ASSETS_PY,
        (("        await session.execute(upload.with_for_update())  # whoever", "        # whoever"),),
        (f"{RACES}::test_an_upload_that_is_deleted_while_it_is_completed_is_an_asset_that_was_deleted",),
        "postgresql",
    ),
    without(
        "the bytes of an upload are swept away before it is completed",
        STRAYS_PY,
        "        named |= set(await session.scalars(select(col(Upload.storage_key)).where(col(Upload.id).in_(ids))))\n",
        "",
        "tests/worker/test_strays.py"
        "::test_an_upload_that_nobody_completed_is_given_up_with_its_bytes_once_no_key_names_it",
    ),
)
