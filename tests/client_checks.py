"""What an unmodified HeyGen client needs of its server, measured with HeyGen's own command line, and the tests of it.

`docs/HEYGEN_API.md` shows this list: `python -m tests.operations` writes it.
"""

from dataclasses import dataclass

CLIENTS = "api/test_clients.py"
KEYS = "api/test_keys.py"
JSON = "api/test_json_body.py"
ASSETS = "api/test_assets.py"
LIMITS = "api/test_body_limits.py"
MIDDLEWARE = "api/test_middleware.py"
MESSAGES = "contract/test_messages.py"
VIDEOS = "api/test_videos.py"
HOOKS = "api/test_webhook_endpoints.py"
CONTENT = "api/test_content.py"


@dataclass(frozen=True)
class Check:
    """One demand; `tests` are `file::function` below tests/."""

    number: int
    demand: str
    tests: tuple[str, ...]


CHECKS = (
    Check(
        1,
        "No header is needed but the key, in any case or as bearer token; unknown ones do no harm",
        (
            f"{CLIENTS}::test_a_client_needs_no_header_but_its_key_and_may_send_any_other",
            f"{KEYS}::test_the_key_header_is_taken_in_any_case",
            f"{KEYS}::test_a_key_may_come_as_bearer_token",
        ),
    ),
    Check(
        2,
        "Keys in any order, escapes, `1` for `1.0` and nulls mean the same",
        (
            f"{JSON}::test_order_of_keys_and_spelling_of_numbers_do_not_change_the_meaning",
            f"{JSON}::test_a_null_in_an_object_means_nothing",
            "api/test_idempotency.py::test_a_repeat_is_recognised_by_meaning_and_gets_the_first_answers_bytes",
        ),
    ),
    Check(
        3,
        "An upload's bytes tell its type; odd names do no harm; text is refused",
        (
            f"{ASSETS}::test_the_bytes_tell_the_type_whatever_the_name_says",
            f"{ASSETS}::test_odd_file_names_do_no_harm",
            f"{ASSETS}::test_other_types_are_refused_and_leave_nothing",
        ),
    ),
    Check(
        4,
        "Who uploads too much sees the 413 every time",
        (
            f"{LIMITS}::test_a_refused_client_sees_why_every_time",
            f"{LIMITS}::test_an_endless_body_is_not_read_for_ever",
            f"{ASSETS}::test_a_file_beyond_the_limit_of_its_type_is_refused_visibly_and_not_kept",
        ),
    ),
    Check(
        5,
        "A POST without body or type rotates a secret",
        (f"{HOOKS}::test_a_create_and_a_rotation_happen_once_for_each_key",),
    ),
    Check(
        6,
        "Slashes and dots inside an id lead nowhere else; nothing is redirected",
        (
            f"{MIDDLEWARE}::test_an_encoded_slash_leads_to_no_other_route",
            f"{MIDDLEWARE}::test_several_slashes_count_as_one",
            f"{MIDDLEWARE}::test_an_unknown_path_is_a_404_and_never_a_redirect",
        ),
    ),
    Check(
        7,
        "An encoded comma separates ids; an absent limit is the documented one",
        (
            f"{CLIENTS}::test_every_success_is_a_json_object",
            f"{CLIENTS}::test_a_list_without_a_limit_is_as_long_as_at_heygen",
        ),
    ),
    Check(
        8,
        "Every success is a JSON object, deletes included",
        (
            f"{CLIENTS}::test_every_success_is_a_json_object",
            f"{CLIENTS}::test_every_delete_and_every_202_is_a_json_object_too",
        ),
    ),
    Check(
        9,
        "A create answers 200 with an id and a status",
        (f"{CLIENTS}::test_a_client_needs_no_header_but_its_key_and_may_send_any_other",),
    ),
    Check(
        10,
        "Fifty readers find a video right after it was created, at another process too",
        (
            f"{CLIENTS}::test_fifty_readers_find_a_video_right_after_it_was_created",
            f"{CLIENTS}::test_another_replica_finds_a_video_right_after_it_was_created",
        ),
    ),
    Check(
        11,
        "Four status words; whatever ended badly reads `failed`",
        (
            f"{MESSAGES}::test_our_api_keeps_the_contract",
            f"{VIDEOS}::test_a_canceled_video_is_never_sent_and_reads_failed",
            f"{CLIENTS}::test_a_wait_that_failed_says_why",
        ),
    ),
    Check(
        12,
        "`completed` means that the link answers, and stays as it is",
        (
            f"{CLIENTS}::test_a_video_that_reads_completed_can_be_downloaded_at_once_and_stays_as_it_is",
            "worker/test_poll.py::test_completed_is_said_only_once_the_link_answers",
        ),
    ),
    Check(13, "`failed` says why", (f"{CLIENTS}::test_a_wait_that_failed_says_why",)),
    Check(
        14,
        "Every answer is shaped as HeyGen's schemas say",
        (f"{MESSAGES}::test_our_api_keeps_the_contract",),
    ),
    Check(
        15,
        "Every list fills the columns that the client shows; times are whole seconds",
        (f"{CLIENTS}::test_every_list_fills_the_columns_that_the_client_shows",),
    ),
    Check(
        16,
        "A webhook endpoint's secret is shown once; its address is https",
        (
            f"{HOOKS}::test_an_endpoint_shows_its_secret_once_and_then_is_listed_changed_and_deleted",
            f"{HOOKS}::test_an_address_must_be_public_and_https_as_heygen_says",
        ),
    ),
    Check(
        17,
        "Every error, of the framework too, is HeyGen's envelope",
        (
            "api/test_errors.py::test_every_error_has_its_status_and_code",
            f"{MIDDLEWARE}::test_the_frameworks_errors_become_ours",
            f"{MIDDLEWARE}::test_a_crash_is_a_500_that_tells_nothing_but_its_id",
            "api/test_wire.py::test_what_is_no_http_is_told_so_in_the_envelope",
            "contract/test_refusal_messages.py::test_every_refusal_of_our_api_keeps_the_contract",
        ),
    ),
    Check(
        18,
        "Codes and statuses by which the client tells its user what to do",
        (
            f"{KEYS}::test_whatever_is_no_key_is_unauthorized_with_one_and_the_same_answer",
            f"{CLIENTS}::test_the_code_and_the_status_tell_the_client_what_to_do",
        ),
    ),
    Check(
        19,
        "A 429 says when to come back, soon, and has made nothing",
        (
            f"{KEYS}::test_creates_and_reads_have_limits_of_their_own_for_each_key",
            f"{KEYS}::test_a_full_queue_turns_new_work_away_until_some_has_left",
            f"{CLIENTS}::test_a_create_that_was_turned_away_twice_makes_one_video",
        ),
    ),
    Check(
        20,
        "A service that is killed between commit and answer has made one video",
        (
            "end_to_end/test_crashes.py::test_a_service_killed_in_the_middle_of_fifty_videos_makes_each_of_them_once",
        ),
    ),
    Check(
        21,
        "A client that hangs up has made one video, and finds it by its title",
        (f"{CLIENTS}::test_a_client_that_hangs_up_has_ordered_one_video_and_finds_it_by_its_title",),
    ),
    Check(
        22,
        "A repeated delete succeeds",
        (
            f"{CLIENTS}::test_every_success_is_a_json_object",
            f"{VIDEOS}::test_a_deleted_video_is_hidden_at_once_and_deleted_at_heygen",
        ),
    ),
    Check(
        23,
        "Links need no header, are never redirected, and end with a 403; a new read gives a fresh one",
        (
            f"{CONTENT}::test_a_link_gives_the_file_whole_and_in_parts_to_whoever_holds_it",
            f"{CLIENTS}::test_a_video_that_reads_completed_can_be_downloaded_at_once_and_stays_as_it_is",
        ),
    ),
    Check(
        24,
        "What stands in for the service never answers 200",
        (
            "api/test_absent_database.py::test_whatever_is_asked_of_an_absent_database_is_a_503_and_its_return_is_enough",
        ),
    ),
    Check(
        25,
        "Waiting costs nothing upstream, and nothing of the creates",
        (
            f"{CLIENTS}::test_waiting_costs_nothing_upstream_and_nothing_of_the_creates",
            f"{KEYS}::test_creates_and_reads_have_limits_of_their_own_for_each_key",
        ),
    ),
)
