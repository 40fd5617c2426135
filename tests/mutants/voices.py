"""What keeps voices paid once, by accounts that are open, and each tenant's its own."""

from tests.mutants.mutant import Mutant, without

CALLS = "tests/api/test_paid_calls.py"
MAKING = "tests/api/test_voice_making.py"
RIGHTS = "tests/api/test_voice_rights.py"

INTAKE_PY = "app/api/asset_intake.py"
MAKING_PY = "app/api/voice_making.py"
PAID_PY = "app/api/paid_calls.py"
RIGHTS_PY = "app/api/voice_rights.py"
VOICES_PY = "app/api/voices.py"

DESIGN = f"{MAKING}::test_a_design_shows_public_voices_and_the_tenants_own_alone"
DESIGNED = f"{RIGHTS}::test_a_designed_voice_is_its_tenants_alone"
GATE = f"{MAKING}::test_the_accounts_gate_and_pauses_hold_what_is_paid"
UNDER_WAY = f"{CALLS}::test_simultaneous_repeats_call_once_and_the_others_are_told_to_come_back"

VOICES_MUTANTS = (
    without(
        "simultaneous repeats are each paid for",
        PAID_PY,
        "    if mine is None:\n",
        "    if False:\n",
        UNDER_WAY,
    ),
    without(
        "what died in a call is paid for again",
        PAID_PY,
        "    if found is not None and found.until <= now:\n",
        "    if False:\n",
        f"{CALLS}::test_the_key_of_a_process_that_died_is_used_up_until_keys_are_forgotten",
    ),
    without(
        "what may be paid for is paid for again",
        PAID_PY,
        "        end = lost if attempt.unsettled else delete(CallUnderWay)\n",
        "        end = delete(CallUnderWay)\n",
        f"{CALLS}::test_an_answer_that_got_lost_uses_its_key_up_and_a_new_key_pays_anew",
    ),
    without(
        "a repeat is another request to HeyGen",
        PAID_PY,
        "{once.key or uuid7().hex}",
        "{uuid7().hex}",
        f"{CALLS}::test_heygen_is_given_another_key_for_another_body",
    ),
    without(
        "another body gets what HeyGen said of the first",
        PAID_PY,
        "\\n{body_hash}",
        "",
        f"{CALLS}::test_heygen_is_given_another_key_for_another_body",
    ),
    without(
        "a call that was clearly not made keeps its key",
        PAID_PY,
        "        except (NotSent, Refused):\n            self.unsettled = False\n",
        "        except (NotSent, Refused):\n",
        f"{CALLS}::test_what_was_clearly_not_done_leaves_the_key_free",
    ),
    without(
        "an account that is paused goes on paying",
        PAID_PY,
        "        await _check_open(ctx, caller)\n",
        "",
        GATE,
    ),
    Mutant(
        "a foreign voice can be deleted",
        VOICES_PY,
        (
            ("    if voice_id not in visible:\n", "    if False:\n"),
            (
                "if grant is None and not is_private_voice(await readable(ctx, caller, voice_id, missing)):",
                "if False:",
            ),
        ),
        (DESIGNED,),
    ),
    without(
        "a design shows what others cloned",
        RIGHTS_PY,
        "    hidden = set(private) - rights.visible - set(made)\n",
        "    hidden: set[str] = set()\n",
        DESIGN,
    ),
    without(
        "a clone is nobody's",
        MAKING_PY,
        "        await _own(ctx, session, caller, [voice_id])\n",
        "",
        DESIGN,
    ),
    without(
        "a granted voice can be deleted",
        VOICES_PY,
        "    if grant is not None and not grant.owned:\n",
        "    if False:\n",
        f"{MAKING}::test_a_granted_voice_is_seen_and_used_but_not_deleted",
    ),
    without(
        "a voice is cloned from a foreign file",
        INTAKE_PY,
        "rows = select(Asset).where(col(Asset.id) == asset_id, col(Asset.tenant_id) == caller.tenant_id)\n",
        "rows = select(Asset).where(col(Asset.id) == asset_id)\n",
        f"{MAKING}::test_a_recording_of_ours_goes_up_once_however_it_is_named",
    ),
)
