"""What keeps avatars and files apart: foreign tenants, grants, consent, and what a deletion takes along."""

from tests.mutants.mutant import without

ASSETS = "tests/api/test_asset_lists.py"
CHANGES = "tests/api/test_avatar_changes.py"
GRANTS = "tests/api/test_grants.py"
TWINS = "tests/api/test_twins.py"
VOICES = "tests/api/test_voice_rights.py"

CONSENTS_PY = "app/worker/consents.py"
GRANTS_PY = "app/grants.py"
GROUPS_PY = "app/api/groups.py"
LIFECYCLE_PY = "app/lifecycle.py"
LOOKS_PY = "app/api/looks.py"
OWN_LOOKS_PY = "app/api/own_looks.py"
REMOVAL_PY = "app/api/removal.py"

DELETED_GROUP = f"{CHANGES}::test_a_deleted_group_takes_all_its_looks_along"
DELETED_LOOK = f"{CHANGES}::test_a_deleted_look_is_gone_at_once_and_at_heygen_later_and_its_group_with_it"
GRANTED = f"{GRANTS}::test_granted_looks_and_groups_are_listed_read_and_used"
WAITING = f"{TWINS}::test_a_twin_waits_for_consent_for_days_and_holds_up_nobody"

AVATARS_MUTANTS = (
    without(
        "a designed voice is everybody's to speak with",
        "app/api/voice_rights.py",
        "    if voice_id in rights.hidden:\n        raise missing\n",
        "",
        f"{VOICES}::test_a_designed_voice_is_its_tenants_alone",
    ),
    without(
        "the worker takes a designed voice for a public one",
        "app/worker/submit.py",
        "return job.tenant_id in holders or not (holders or private)",
        "return job.tenant_id in holders or not private",
        f"{VOICES}::test_the_worker_finds_out_that_a_designed_voice_is_anothers",
    ),
    without(
        "only the first voices of a batch are checked",
        "app/api/video_looks.py",
        "_missing(it) if it in rights.hidden else _untold(it, rights) for it in voice_ids}",
        "_untold(it, rights) for it in voice_ids}",
        f"{VOICES}::test_another_tenants_voice_is_found_among_more_than_heygen_is_asked_about",
    ),
    without(
        "a copy that is not used is taken for HeyGen's own",
        "app/asset_copies.py",
        "    for kept in (AssetCopy, AssetUpload):\n        stored",
        "    for kept in (AssetUpload,):\n        stored",
        f"{ASSETS}::test_no_copy_of_a_file_that_several_workers_send_at_once_is_taken_for_heygens_own",
    ),
    without(
        "a foreign group can be deleted",
        OWN_LOOKS_PY,
        "    living = select(Group).where(col(Group.tenant_id) == caller.tenant_id, _lives(Group, deleted_since))\n",
        "    living = select(Group).where(_lives(Group, deleted_since))\n",
        DELETED_GROUP,
    ),
    without(
        "a foreign look can be deleted",
        OWN_LOOKS_PY,
        "    living = select(Look).where(col(Look.tenant_id) == caller.tenant_id, _lives(Look, deleted_since))\n",
        "    living = select(Look).where(_lives(Look, deleted_since))\n",
        DELETED_GROUP,
    ),
    without(
        "the last look leaves its group behind",
        REMOVAL_PY,
        "            group.deleted_at = by.now\n",
        "            pass\n",
        DELETED_LOOK,
    ),
    without(
        "any look takes its group along",
        REMOVAL_PY,
        "if not own_looks.is_adopted(group) and not await living_looks(session, [group_id]):",
        "if not own_looks.is_adopted(group):",
        DELETED_LOOK,
    ),
    without(
        "a deleted look is still made videos of",
        REMOVAL_PY,
        "gone.values(deleted_at=by.now, reuse_hash=None)",
        "gone.values(reuse_hash=None)",
        DELETED_LOOK,
    ),
    without(
        "a deleted look is handed out again",
        REMOVAL_PY,
        "gone.values(deleted_at=by.now, reuse_hash=None)",
        "gone.values(deleted_at=by.now)",
        DELETED_LOOK,
    ),
    without(
        "HeyGen keeps what was deleted",
        REMOVAL_PY,
        '        "due_at": case((at_heygen, by.now), else_=col(Job.due_at)),\n',
        "",
        DELETED_LOOK,
    ),
    without(
        "what was not granted is seen",
        LOOKS_PY,
        "    if not granted and (held or (look.status is not None and not caller.account_wide)):\n",
        "    if not granted and held:\n",
        GRANTED,
    ),
    without(
        "what was granted can be changed",
        LOOKS_PY,
        "    if changing and (held or not caller.account_wide):\n",
        "    if changing and held:\n",
        GRANTED,
    ),
    without(
        "a granted group can be deleted",
        GROUPS_PY,
        "    if changing and (held or not caller.account_wide):\n",
        "    if changing and held:\n",
        GRANTED,
    ),
    without(
        "a grant is everybody's",
        GRANTS_PY,
        "col(Grant.tenant_id) == holder.tenant_id, col(Grant.account_id) == holder.account_id\n    )",
        "col(Grant.account_id) == holder.account_id\n    )",
        GRANTED,
    ),
    without(
        "a twin without consent holds its slot",
        LIFECYCLE_PY,
        '            return {"due_at": fact.retry_at, "lease_until": None, "slot_account_id": None}\n'
        "        case Completed():",
        '            return {"due_at": fact.retry_at, "lease_until": None}\n        case Completed():',
        WAITING,
    ),
    without(
        "each poll of a twin is an event",
        CONSENTS_PY,
        "        return None if look.consent_owed else fact\n",
        "        return fact\n",
        WAITING,
    ),
    without(
        "a group that HeyGen has deleted keeps our looks for ever",
        "app/api/group_changes.py",
        "        if adopted is None or not caller.account_wide or not isinstance(error.__cause__, Missing):\n",
        "        if True:\n",
        "tests/api/test_avatar_changes.py"
        "::test_what_was_made_in_a_group_goes_although_heygen_has_deleted_the_group_already",
    ),
)
