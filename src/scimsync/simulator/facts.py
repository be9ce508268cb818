"""What the simulator holds true about the service, as data: section, fact, tag, switch, and the test that holds it.

`tools/simulator-facts` writes docs/simulator-facts.md from it; a test keeps both together.
"""

# ruff: noqa: E501  (a table: one fact a line)

from __future__ import annotations

from msgspec import Struct

from scimsync.simulator import statements
from scimsync.simulator.directory import GROUPED, HISTORY
from scimsync.simulator.drift import STEPS
from scimsync.simulator.faults import KINDS
from scimsync.simulator.options import explain
from scimsync.simulator.permissions import ROLES
from scimsync.simulator.requests import LOGGED
from scimsync.simulator.statements import STANDINGS

_PLAIN, _SERVICE, _FAULTS, _PLATFORM = (
    f"tests/integration/test_simulator{part}.py" for part in ("", "_service", "_faults", "_platform")
)


class Fact(Struct, frozen=True):
    """One fact of the reference (genesys-scim.md); `test` is `file::name`."""

    section: str
    text: str
    tag: str
    switch: str
    test: str


def _facts(file: str, *rows: tuple[str, str, str, str, str]) -> tuple[Fact, ...]:
    return tuple(Fact(section, text, tag, switch, f"{file}::test_{test}") for section, text, tag, switch, test in rows)


FACTS: tuple[Fact, ...] = (
    *_facts(
        _PLAIN,
        ("§1.2", "client credentials come as Basic or in the form", "documented", "", "the_client_may_send_its_secret_in_the_form"),
        ("§1.2", "token errors are OAuth bodies, not ErrorBodies", "documented", "", "a_wrong_secret_is_answered_with_an_oauth_error"),
        ("§1.2", "login throttling is HTTP 400 invalid_request", "documented", "login_limit", "login_throttling_is_a_400"),
        ("§1.2", "a token lives as long as expires_in says, and dies when it is revoked", "documented", "expires_in", "an_expired_and_a_revoked_token_are_refused"),
        ("§1.1", "tokens come from a host of their own", "documented", "", "the_login_port_alone_gives_tokens"),
        ("§2", "two path families with the same operations, in any case", "documented", "", "both_families_answer_in_any_case"),
        ("§2.2", "25 a page; the listing holds active people only", "documented", "", "a_listing_has_25_active_people_a_page"),
        ("§2.2", "inactive people need filter=active eq false", "documented", "", "inactive_people_need_their_own_filter"),
        ("§2.2", "whether another filter finds inactive people", "inferred", "filter_finds_inactive", "inactive_people_need_their_own_filter"),
        ("§2.2", "count=0 gives the total only", "documented", "", "count_0_gives_the_total_only"),
        ("§2.2", "attributes: repeated or with commas; some are always returned", "documented", "", "attributes_leave_only_what_was_asked_and_what_is_always_returned"),
        ("§2.2", "excludedAttributes never take the fixed ones away", "documented", "", "excluded_attributes_are_left_out_but_never_the_fixed_ones"),
        ("§2.2", "eq filters, bare and quoted, on the documented attributes", "documented", "", "the_documented_filters_find_people"),
        ("§2.2", "externalIds are filtered by authority and value", "documented", "", "external_ids_are_found_by_authority_and_value"),
        ("§2.2", "any other filter is 400 invalidFilter", "inferred", "", "other_filters_are_refused"),
        ("§2.2", "more than 25 users are a 429 unless externalId, roles, skills and languages are left out", "documented", "expensive_page_429", "a_large_page_with_expensive_attributes_is_429"),
        ("§2.2", "a filter on schemas is a 403", "documented", "", "the_service_describes_itself"),
        ("§2.1", "If-None-Match with the present version is a 304", "documented", "", "an_account_that_did_not_change_is_304"),
        ("§2.3", "errors are ErrorBodies with the correlation id as contextId", "documented", "", "without_a_token_the_answer_is_an_error_body"),
        ("§2.3", "an unknown id is a 404", "documented", "", "an_unknown_id_is_a_404_error_body"),
        ("§2.3", "another Content-Type is 415, a body that is too large 413", "documented", "request_bytes", "a_body_without_schemas_and_a_foreign_media_type_are_refused"),
        ("§2", "PATCH answers 200 with the whole user and the new version", "documented", "", "patch_answers_200_with_the_whole_user_and_a_new_version"),
        ("§4.1", "a stale version is 400 invalidVers, 409 or 412", "documented", "version_conflict", "a_stale_version_is_refused_as_the_switch_says"),
        ("§4.1", "whether meta.version holds quotes", "unknown", "meta_version_quoted", "meta_version_can_carry_its_quotes"),
        ("§4.1", "other writers move the version", "documented", "", "a_foreign_edit_moves_the_version_and_is_told_from_the_client"),
        ("§3.6", "dateHire reads back by its date, phones as E.164, the login mail mirrors userName", "documented", "", "what_was_written_is_read_back_in_normal_form"),
        ("§4.7", "unknown roles, skills, divisions and managers are refused", "inferred", "unknown_reference", "unknown_references_can_be_passed_over"),
        ("§4.2", "all operations of a PATCH or none; ScimErrors name the kind", "inferred", "", "a_bad_value_is_a_scim_error_and_changes_nothing"),
        ("§4.2", "an empty text does not overwrite; remove clears", "folklore", "empty_value", "an_empty_text_does_not_overwrite_but_remove_clears"),
        ("§4.3", "PUT replaces what can be written", "unknown", "put_absent", "put_replaces_what_can_be_written"),
        ("§4.4", "a new user without roles is an employee; passwords are never returned", "documented", "default_role", "a_new_user_gets_201_an_id_and_the_default_role"),
        ("§4.4", "DELETE is soft; the name brings the old record back", "inferred", "post_on_deleted", "delete_is_soft_and_the_name_brings_the_old_record_back"),
        ("§4.4", "an inactive person is in the other listing", "documented", "", "deactivating_moves_a_person_from_one_listing_to_the_other"),
        ("§4.5", "a taken userName is 409 uniqueness, whatever its case", "documented", "", "a_taken_name_is_409_uniqueness"),
        ("§4.6", "members are changed on the group and show on the user", "documented", "", "members_are_changed_on_the_group_and_show_on_the_user"),
        ("§4.6", "groups are not made and not renamed; an admin renames them", "documented", "", "groups_are_never_made_nor_renamed"),
        ("§3.1", "the type of a group reference is that of a resource: Group", "documented", "", "members_are_changed_on_the_group_and_show_on_the_user"),
        ("§3.5", "seven schemas, five resource types, a provider configuration", "documented", "", "the_service_describes_itself"),
        ("§7", "300 requests a minute and token, in a window of 60 s; 429 with Retry-After", "documented", "rate_limit", "a_token_has_its_share_of_requests_a_minute"),
    ),
    *_facts(
        _SERVICE,
        ("§1.3", "each area of a write needs its permission: missing.permissions names it; missing.any.permissions where none of the listed is held", "inferred", "permissions", "each_area_needs_its_own_permission"),
        ("§1.3", "reading users needs a token only; groups need directory:group:edit", "documented", "permissions", "reading_users_needs_a_token_only_and_groups_need_a_permission"),
        ("§13", "the Platform API lists roles, divisions, skills and languages by pageNumber and pageSize", "documented", "", "names_are_listed_in_pages"),
        ("§13", "each list of names has a permission of its own", "inferred", "permissions", "each_list_of_names_needs_a_permission"),
        ("§1.2", "a disabled client's tokens are refused", "documented", "", "clients_have_roles_of_their_own_and_can_be_disabled"),
        ("§1.2", "an unused token dies (HIPAA: after 15 minutes)", "documented", "idle_timeout", "an_idle_token_dies"),
        ("§2.1", "application/scim+json and application/json, both ways", "documented", "", "both_media_types_are_taken_and_given"),
        ("§4.1", "If-Match takes lists and a star; weak tags", "unknown", "weak_if_match", "if_match_takes_lists_a_star_and_weak_tags"),
        ("§2.1", "the ETag is a number in quotes", "documented", "etag_form", "the_etag_can_have_other_forms"),
        ("§2.1", "the provider configuration has an ETag", "documented", "", "the_provider_configuration_has_a_version"),
        ("§2", "201 and 204; 200 is listed too", "documented", "create_status", "success_codes_that_are_also_listed"),
        ("§2", "201 and 204; 200 is listed too", "documented", "delete_status", "success_codes_that_are_also_listed"),
        ("§2", "POST and DELETE of groups are refused", "unknown", "group_create", "groups_are_never_made_nor_deleted"),
        ("§2.2", "attribute names that are not listed", "unknown", "unknown_attribute", "only_the_listed_attribute_names_are_known"),
        ("§2.2", "more than 25 groups with members are a 429", "documented", "expensive_group_page_429", "groups_have_attribute_names_and_fixed_ones_too"),
        ("§2.2", "active may be asked of groups, which have none", "documented", "group_active", "active_of_groups_is_accepted_or_refused"),
        ("§3.1", "userName is an e-mail address", "documented", "login_form", "a_login_is_an_address_and_a_password_has_a_length"),
        ("§3.1", "a password keeps to the policy of the organisation", "inferred", "password_length", "a_login_is_an_address_and_a_password_has_a_length"),
        ("§3.2", "dateHire is published as a text, and is a date", "documented", "", "the_day_of_hire_is_published_as_a_text_and_is_a_date"),
        ("§4.5", "leaving out SCIM's own external id in a list", "unknown", "reserved_dropped", "a_reserved_external_id_that_a_list_leaves_out_comes_back"),
        ("§4.5", "leaving out SCIM's own external id in a list", "unknown", "reserved_dropped", "leaving_out_a_reserved_external_id_can_be_refused"),
        ("§4.5", "leaving out SCIM's own external id in a list", "unknown", "reserved_dropped", "leaving_out_a_reserved_external_id_can_be_obeyed"),
        ("§2.2", "there is no sorting", "documented", "sort", "sorting_is_passed_over_or_refused"),
        ("§2", "groups may need a filter in the versioned family", "documented", "v2_groups_filter_required", "groups_without_filter_can_be_refused_in_one_family"),
        ("§3.2", "types are closed on write; external ids at most 100, with authority and value; proficiency 0 to 5", "documented", "", "values_are_held_against_the_models"),
        ("§3.2", "at most 50 skills", "documented", "", "no_more_than_50_skills"),
        ("§3.2", "phone types are open on read", "documented", "", "phone_types_are_open_on_read"),
        ("§4.2", "writes to read-only and immutable values", "unknown", "readonly_write", "a_written_reserved_external_id_can_be_passed_over"),
        ("§4.8", "the form in which phones are read back", "inferred", "phone_readback", "readback_forms_follow_their_switches"),
        ("§4.7", "rounding of proficiency", "unknown", "proficiency_step", "readback_forms_follow_their_switches"),
        ("§4.7", "case of division names", "unknown", "division_case", "readback_forms_follow_their_switches"),
        ("§4.8", "one entry of each type", "inferred", "duplicate_type", "readback_forms_follow_their_switches"),
        ("§7", "a body has at most 512,000 bytes", "folklore", "request_bytes", "a_body_over_the_limit_names_the_limit"),
        ("§4.1", "which areas move the version", "unknown", "version_covers", "the_version_covers_the_areas_that_are_named"),
        ("§4.2", "a write of nothing", "unknown", "no_op_moves_version", "a_change_of_nothing_can_move_the_version"),
        ("§4.2", "a remove that selects nothing", "unknown", "remove_no_match", "a_remove_of_nothing_can_be_an_error"),
        ("§4.2", "a replace that selects nothing", "unknown", "create_on_replace", "a_remove_of_nothing_can_be_an_error"),
        ("§4.3", "a PUT may keep what it leaves out", "unknown", "put_absent", "a_put_can_keep_what_it_leaves_out"),
        ("§4.4", "roles go when a person becomes inactive and do not come back (newest page)", "documented", "inactive_roles", "roles_go_when_a_person_becomes_inactive_and_do_not_come_back"),
        ("§4.4", "roles of inactive people are kept (older page)", "documented", "inactive_roles", "inactive_people_may_keep_their_roles"),
        ("§4.4", "a restored account is in Home and in no group", "documented", "", "a_restored_account_keeps_its_data_and_its_home"),
        ("§4.5", "a taken name on PATCH and PUT", "unknown", "rename_conflict", "a_taken_name_on_rename_is_409_or_400"),
        ("§4.5", "externalId is scoped by client", "inferred", "external_id_scope", "each_client_sees_its_own_external_id"),
        ("§4.5", "an external id resolves to one user", "unknown", "external_id_taken", "an_external_id_of_another_user_can_be_refused"),
        ("§4.9", "lists and filters lag, reads by id do not", "inferred", "search_lag_ms", "searches_lag_and_reads_by_id_do_not"),
        ("§4.6", "members are users or groups", "documented", "nested_groups", "members_are_users_or_groups_and_batches_can_be_limited"),
        ("§4.6", "members that one request may move", "unknown", "group_batch", "members_are_users_or_groups_and_batches_can_be_limited"),
        ("§4.6", "which kinds of group can be written", "unknown", "group_types_writable", "members_are_users_or_groups_and_batches_can_be_limited"),
        ("§3.3", "a PUT of a group needs displayName and replaces the members", "documented", "", "a_put_of_a_group_needs_its_name_and_replaces_members"),
        ("§7", "the 429 names the limit; the headers may show another", "documented", "rate_shown", "the_429_names_the_limit_and_can_come_again_after_the_wait"),
        ("§7", "the call after the wait is refused again", "folklore", "refuse_again", "a_minute_that_refused_can_be_followed_by_more_refusals"),
    ),
    *_facts(
        "tests/integration/test_target_scim.py",
        ("§2.2", "a provider may cap the page", "unknown", "max_count", "a_provider_with_a_page_limit_is_read_too"),
    ),
    *_facts(
        _PLATFORM,
        ("§16", "GET /api/v2/users lists active, inactive, deleted or all people by pageNumber and pageSize", "documented", "", "people_are_listed_in_every_state"),
        ("§16", "a page of people has at most 500", "folklore", "", "people_are_listed_in_every_state"),
        ("§16", "one person is read by id; a deleted one only where state says so", "inferred", "", "one_person_is_read_by_id_in_the_state_that_is_asked_for"),
        ("§16", "PATCH with a state brings a deleted person back: same id, division Home, no roles", "documented", "", "a_deleted_person_comes_back_by_id_without_roles"),
        ("§13", "a state is changed alone; another version is 409 general.conflict", "documented", "", "a_state_is_changed_alone_and_under_its_version"),
        ("§16", "people over the Platform API need directory:user:view, changes directory:user:edit", "documented", "permissions", "people_need_permissions_that_scim_does_not_ask_for"),
        ("§16", "subjects/me tells the own roles and permissions, and needs no permission", "documented", "permissions", "a_client_may_always_ask_what_it_may_do"),
        ("§16", "a client sees some divisions only, and nobody of another", "inferred", "divisions", "people_of_other_divisions_are_not_there"),
        ("§16", "inactive people beyond 10,000 are not listed: 400", "documented", "inactive_wall", "inactive_people_beyond_the_wall_are_not_listed"),
        ("§16", "custom attributes: a record for each person and schema, read, replaced, amended, deleted; over the Platform API alone", "documented", "", "custom_attributes_are_a_record_for_each_person_and_schema"),
        ("§16", "employerInfo and locations are written with PATCH under the version, and move it", "inferred", "", "employer_and_locations_are_written_under_the_version_and_move_it"),
        ("§16", "expand is best effort: a listing may leave out what is asked for", "documented", "expand_listed", "a_listing_may_leave_out_what_expand_asks_for"),
        ("§16", "locations are listed without a permission, work teams by a cursor with groups:team:view", "documented", "permissions", "locations_and_work_teams_are_listed"),
        ("§16", "members of a work team are added and removed with groups:team:assign; nobody is in two", "documented", "permissions", "a_person_is_in_one_work_team"),
        ("§16", "an invitation that is outstanding is sent again by force alone; needs directory:user:add", "documented", "", "an_invitation_is_sent_once"),
        ("§16", "a record of custom attributes has no version and moves none; a value must fit its schema", "inferred", "", "custom_attributes_fit_their_schema_and_move_no_version"),
        ("§7", "the limits of the namespaces scim and platform.api can be read without a permission; keys and values are guesses", "unknown", "", "the_limits_can_be_read"),
        ("§16", "license/infer names the licences that follow from roles, and needs no permission", "documented", "", "licences_follow_from_roles"),
        ("§16", "which licence a role needs, and what licences are called", "unknown", "", "licences_follow_from_roles"),
    ),
    *_facts(
        _FAULTS,
        ("§5.8", "partial effects of a PATCH", "inferred", "", "a_write_can_be_applied_in_part_and_answered_with_500_or_200"),
        ("§5.9", "schema drift", "inferred", "", "schemas_drift_while_it_runs_and_writes_are_refused"),
        ("§1.2", "clocks differ, tokens die early", "inferred", "clock_skew", "the_clock_can_be_wrong_and_tokens_die_early"),
        ("§1.2", "clocks differ, tokens die early", "inferred", "token_skew", "the_clock_can_be_wrong_and_tokens_die_early"),
    ),
)  # fmt: skip


def table() -> str:
    """The page docs/simulator-facts.md."""
    lines = [
        "# What the simulator takes for true",
        "",
        "Written by `tools/simulator-facts`; change `src/scimsync/simulator/facts.py` instead. Sections are those of the",
        "reference on Genesys Cloud SCIM. Tags: documented, inferred from documents, folklore (one unverified voice),",
        "unknown (nobody says: a guess, and a switch).",
        "",
        "## Facts",
        "",
        "| Section | Fact | Tag | Switch | Test |",
        "|---|---|---|---|---|",
    ]
    order = sorted(FACTS, key=lambda f: [int(n) for n in f.section.removeprefix("§").split(".")])
    for fact in order:
        switch = f"`{fact.switch}`" if fact.switch else ""
        lines.append(f"| {fact.section} | {fact.text} | {fact.tag} | {switch} | `{fact.test.partition('::')[2]}` |")
    lines += [
        "",
        "## Switches",
        "",
        "| Switch | Values | Default | Tag | Section | Meaning |",
        "|---|---|---|---|---|---|",
    ]
    for told in explain():
        values = str(told["values"]).replace(" | ", ", ")
        default = str(told["default"]).lower() if isinstance(told["default"], bool) else str(told["default"])
        head = f"| `{told['name']}` | {values} | {default} "
        lines.append(f"{head}| {told['tag']} | {told['section']} | {told['text']} |")
    lines += ["", "## Faults", "", "| Kind | What it does |", "|---|---|"]
    lines += [f"| `{kind}` | {text} |" for kind, text in KINDS.items()]
    lines += ["", "## What the SDKs say", "", *_SDKS, *(f"- *{word}*: {text}" for word, text in STANDINGS.items()), ""]
    lines += statements.table()
    lines += _CONTROL
    return "\n".join(lines) + "\n"


_SDKS = (
    "Every statement about SCIM in the models and operations of the official SDKs (Python 269.0.0, JavaScript 259.0.0; they",
    "agree), and how the simulator stands to it. *Dialect* is the field of the dialect, or the attribute in it, by which the",
    "client follows. `tests/conformance/test_sdks.py` calls every operation with both SDKs, holds every answer against their",
    "models, and fails on a member of a model that has no row here.",
    "",
)
_CONTROL = f"""
## Control while it runs

No token is needed; GET shows, POST with JSON changes.

| Path below `/_simulator/` | What it does |
|---|---|
| `options`, `switches` | the switches by name; with their meaning |
| `faults` | POST sets the recipes, PATCH adds some |
| `drift` | POST `{{"steps": [...]}}` changes the published schemas; steps: {", ".join(STEPS)} |
| `clients` | OAuth clients: `client_id`, `client_secret`, `permissions` (roles: {", ".join(ROLES)}), `state` |
| `stats`, `stats/reset` | requests by kind, writes by user, effective writes |
| `history` | the last {HISTORY:,} effective changes: time, client, operations, version, correlation id |
| `history/requests` | the last {LOGGED:,} requests: path, names of parameters, status (0 = none sent), fault, changes made |
| `edit`, `groups`, `names`, `custom` | what an admin does: change or delete an account, rename or make a group, make names known, make a schema of custom attributes |
| `tokens/revoke` | all tokens end |
| `snapshot`, `restore` | POST `{{"name": "monday"}}`: a folder below the one given by `--snapshots` |

## Files

A snapshot, and what `--from` reads, is a folder: `users.ndjson` with one SCIM user a line, as the service answers
it, and `groups.ndjson` with one group a line. `userName` and `displayName` are needed; `id`, `meta.version` and
`meta.lastModified` are kept; `groups` is taken from the groups. Names of roles, skills, languages and divisions
become known. A snapshot also has `deleted.ndjson` and `state.json`, which another program need not write.

Of invented people the first {GROUPED:,} are members of the group of their department, so that a group stays readable.
""".rstrip().split("\n")
