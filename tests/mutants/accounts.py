"""What keeps several accounts, and several processes, out of each other's way."""

from tests.mutants.mutant import Mutant, without

ACCOUNTS = "tests/test_accounts.py"
CLAIMS = "tests/worker/test_claims.py"
NOTICES = "tests/test_notices.py"

ACCOUNTS_PY, CONNECTIONS_PY = "app/accounts.py", "app/connections.py"

ACCOUNTS_MUTANTS = (
    without(
        "tenants leave an account with a stored key",
        ACCOUNTS_PY,
        "        col(Account.key_encrypted).is_(None), col(Account.id) != account.id\n",
        "        col(Account.id) != account.id\n",
        f"{ACCOUNTS}::test_tenants_follow_the_environments_key_but_not_away_from_a_stored_one",
    ),
    without(
        "a new key ends an operator's pause",
        ACCOUNTS_PY,
        "    if account.probe_at is not None:",
        "    if True:",
        f"{ACCOUNTS}::test_a_new_key_ends_the_pause_of_the_old_one_but_not_an_operators",
    ),
    without(
        "a free service begins to spend",
        CONNECTIONS_PY,
        "        if not self._free_only or simulated:\n",
        "        if True:\n",
        f"{ACCOUNTS}::test_a_service_that_costs_nothing_does_not_begin_to_spend",
    ),
    without(
        "who could not be asked at the start is never asked again",
        "app/main.py",
        "if settings.heygen_api_key is not None and not connections.joined:",
        "if False:",
        f"{ACCOUNTS}::test_an_account_that_could_not_be_asked_at_the_start_is_taken_up_when_it_answers",
    ),
    without(
        "a failure that nobody expected ends the asking",
        "app/main.py",
        '        except Exception:\n            log.exception("account_not_joined")\n',
        "        except NotImplementedError:\n            break\n",
        "tests/test_main.py::test_no_failure_ends_the_asking_for_an_account",
    ),
    Mutant(
        "the wait for a connection shifts the clock",
        "app/database_clock.py",
        (
            ("        before = clock.elapsed()\n", ""),
            (
                "    async with database.begin() as session:\n        # Only",
                "    before = clock.elapsed()\n    async with database.begin() as session:\n        # Only",
            ),
        ),
        ("tests/test_main.py::test_the_wait_for_a_connection_does_not_shift_the_clock",),
        database="postgresql",
    ),
    without(
        "a machine without the time starts in the past",
        "app/database_clock.py",
        "            clock.go_on_after(instant)\n",
        "            pass\n",
        "tests/test_main.py::test_a_machine_that_starts_without_the_time_goes_on_from_what_is_stored",
    ),
    without(
        "an unreadable key stops everybody",
        CONNECTIONS_PY,
        "            except CannotDecrypt:\n",
        "            except ZeroDivisionError:\n",
        f"{ACCOUNTS}::test_a_key_that_cannot_be_read_keeps_no_other_account_from_its_work",
    ),
    without(
        "a replaced key is not taken up",
        CONNECTIONS_PY,
        "if self._seen.get(account.id) == account.key_encrypted:",
        "if account.id in self._seen:",
        f"{ACCOUNTS}::test_an_account_that_is_added_is_taken_up_and_a_new_key_takes_the_old_ones_place",
    ),
    without(
        "the refusal of the old key stands against the new one",
        CONNECTIONS_PY,
        "            if replaced:\n",
        "            if False:\n",
        f"{ACCOUNTS}::test_a_key_that_is_taken_up_ends_what_the_old_one_met_after_it_was_stored[sqlite]",
    ),
    without(
        "a key that is taken up ends any pause",
        CONNECTIONS_PY,
        "            if account.paused_reason in REFUSED_KEY:\n",
        "            if True:\n",
        f"{ACCOUNTS}::test_a_key_that_is_taken_up_ends_what_the_old_one_met_after_it_was_stored[sqlite]",
    ),
)

NOTICES_MUTANTS = (
    Mutant(
        "who can take the work itself wakes everybody",
        "app/context.py",
        (("self.tell_others is not None and lane not in self._resting", "self.tell_others is not None"),),
        (f"{NOTICES}::test_a_lane_that_rests_here_takes_the_hint_for_itself",),
        database="postgresql",
    ),
    Mutant(
        "each hint is a notice",
        "app/notices.py",
        (("        await asyncio.sleep(GAP)\n", ""),),
        (f"{NOTICES}::test_many_hints_are_few_notices",),
        database="postgresql",
    ),
    Mutant(
        "a process wakes itself",
        "app/notices.py",
        (("        if pid != connection.get_server_pid():\n", "        if True:\n"),),
        (f"{NOTICES}::test_what_is_told_to_others_does_not_come_back",),
        database="postgresql",
    ),
)

PLACES_MUTANTS = (
    Mutant(
        "who comes second with a new key does not start",
        ACCOUNTS_PY,
        (("        with suppress(IntegrityError):\n", "        if True:\n"),),
        (
            f"{ACCOUNTS}::test_of_two_replicas_that_start_with_a_new_key_one_makes_the_account_and_both_have_it",
        ),
        database="postgresql",
    ),
    Mutant(
        "two claims at once count the same free place",
        "app/worker/deliver.py",
        (("    async with under_way.claiming:\n", "    if True:\n"),),
        (f"{CLAIMS}::test_two_who_claim_at_once_do_not_take_more_places_than_a_tenant_may_have",),
        database="postgresql",
    ),
)
