"""What the SDKs of Genesys say about SCIM, statement by statement, and how simulator and dialect stand to it, as data.

Source: the SCIM models and operations of PureCloudPlatformClientV2 269.0.0 (Python) and purecloud-platform-client-v2
259.0.0 (JavaScript), which agree. `facts` puts the table into docs/simulator-facts.md; tests hold it against the SDKs.
"""

# ruff: noqa: E501  (a table: one statement a line)

from __future__ import annotations

from msgspec import Struct

#: how the simulator may stand to a statement
STANDINGS = {
    "checked": "a test holds the simulator to it",
    "open": "the statement leaves a choice, or others contradict it: a switch, whose first value is the reading",
    "beyond": "the simulator does more than is said, for the reason given",
}


class Statement(Struct, frozen=True):
    """What is said of one or several members of one or several models or operations."""

    of: tuple[str, ...]  #: models, or operations without their family: `get_users`
    names: tuple[str, ...]  #: members or parameters as the SDK for Python spells them on the wire; "" for itself
    says: str
    stands: str  #: one of STANDINGS
    dialect: str  #: the field of `scim.dialect.GENESYS`, or the attribute there, that follows it; "" for none
    switch: str
    test: str


_PLAIN, _SERVICE, _SDK = "integration/test_simulator", "integration/test_simulator_service", "conformance/test_sdks"
_READ = (_SDK, "the_python_sdk_reads_every_answer")
_CALLED = (_SDK, "every_scim_operation_of_the_sdk_is_called")


def _say(  # noqa: PLR0913, PLR0917 - one row of the table
    of: str, names: str, says: str, stands: str, test: tuple[str, str], dialect: str = "", switch: str = ""
) -> Statement:
    file, name = test
    return Statement(
        tuple(of.split()), tuple(names.split()) or ("",), says, stands, dialect, switch, f"tests/{file}.py::test_{name}"
    )


_LISTS = "ScimUserListResponse ScimGroupListResponse ScimConfigResourceTypesListResponse ScimV2SchemaListResponse"
_USERS, _BODIES = (
    "ScimV2User ScimV2CreateUser",
    "ScimV2User ScimV2CreateUser ScimV2Group ScimServiceProviderConfig ScimConfigResourceType",
)
_URNS = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User urn:ietf:params:scim:schemas:extension:genesys:purecloud:2.0:User"

STATEMENTS: tuple[Statement, ...] = (
    # operations
    _say("get_users get_user post_users put_user patch_user delete_user get_groups get_group put_group patch_group get_schemas get_schema get_resourcetypes get_resourcetype get_serviceproviderconfig", "", "fifteen operations, each in two path families", "checked", _CALLED, "base_path"),
    _say("get_users", "filter", "active people without one, inactive ones by `active eq false`", "checked", (_PLAIN, "inactive_people_need_their_own_filter"), "lists_active_only", "filter_finds_inactive"),
    _say("get_groups", "filter", "all groups without one; required in one family, not in the other", "open", (_SERVICE, "groups_without_filter_can_be_refused_in_one_family"), "", "v2_groups_filter_required"),
    _say("get_schemas", "filter", "403", "checked", (_PLAIN, "the_service_describes_itself")),
    _say("get_users get_groups", "startIndex", "counted from 1", "checked", (_PLAIN, "a_listing_has_25_active_people_a_page")),
    _say("get_users", "count", "0 gives the total; above 25 a 429 may come unless externalId, roles, skills and languages are left out", "open", (_PLAIN, "a_large_page_with_expensive_attributes_is_429"), "expensive", "expensive_page_429"),
    _say("get_groups", "count", "the same text, of attributes that groups do not have; here members count", "open", (_SERVICE, "groups_have_attribute_names_and_fixed_ones_too"), "expensive_page_size", "expensive_group_page_429"),
    _say("get_users get_user", "attributes excludedAttributes", "id, userName, active and meta always come", "checked", (_PLAIN, "attributes_leave_only_what_was_asked_and_what_is_always_returned")),
    _say("get_groups get_group", "attributes excludedAttributes", "id, active and meta always come; groups have no active", "open", (_SERVICE, "active_of_groups_is_accepted_or_refused"), "", "group_active"),
    _say("get_user get_group", "userId groupId If-None-Match", "the present version in quotes is a 304", "checked", (_PLAIN, "an_account_that_did_not_change_is_304")),
    _say("get_serviceproviderconfig", "If-None-Match", "the present version in quotes is a 304", "checked", (_SERVICE, "the_provider_configuration_has_a_version")),
    _say("put_user patch_user delete_user put_group patch_group", "userId groupId If-Match", "another version is 400 invalidVers (the response table says 409)", "open", (_PLAIN, "a_stale_version_is_refused_as_the_switch_says"), "counts_versions", "version_conflict"),
    _say("get_schema", "schemaId", "one schema by its URN", "checked", _CALLED),
    _say("get_resourcetype", "resourceType", "one of User, Group, ServiceProviderConfig, ResourceType, Schema", "checked", (_PLAIN, "the_service_describes_itself")),
    _say("post_users put_user patch_user put_group patch_group", "body", "ScimV2CreateUser, ScimV2User, ScimV2Group, ScimV2PatchRequest", "checked", _CALLED),
    # people
    _say("ScimV2User ScimV2Group", "id", "given by the service, read-only, always returned", "checked", (_PLAIN, "excluded_attributes_are_left_out_but_never_the_fixed_ones"), "id"),
    _say(_BODIES, "schemas", "the schemas of the resource", "checked", _READ),
    _say(_USERS, "active", "the administrative status", "checked", (_PLAIN, "deactivating_moves_a_person_from_one_listing_to_the_other"), "active"),
    _say(_USERS, "userName", "the e-mail address of the user; unique", "checked", (_SERVICE, "a_login_is_an_address_and_a_password_has_a_length"), "login_is_email", "login_form"),
    _say(_USERS, "displayName title", "plain texts", "checked", (_PLAIN, "patch_answers_200_with_the_whole_user_and_a_new_version"), "displayName"),
    _say(_USERS, "password", "never returned; keeps to the password policy, whose groups are not told", "open", (_SERVICE, "a_login_is_an_address_and_a_password_has_a_length"), "unwritable", "password_length"),
    _say(_USERS, "phoneNumbers emails roles", "lists of ScimPhoneNumber, ScimEmail, ScimUserRole", "checked", _READ, "phoneNumbers"),
    _say("ScimV2User ScimV2CreateUser ScimV2Group", "externalId", "set by the client, case-sensitive, can be written", "checked", (_SERVICE, "each_client_sees_its_own_external_id"), "externalId", "external_id_scope"),
    _say(_USERS, "groups", "read-only: changed on the group", "open", (_SERVICE, "a_written_reserved_external_id_can_be_passed_over"), "unwritable", "readonly_write"),
    _say(_USERS, _URNS, "the two extensions", "checked", _READ, "users"),
    _say("ScimV2User ScimV2Group ScimServiceProviderConfig ScimConfigResourceType ScimV2SchemaDefinition", "meta", "immutable", "checked", (_SERVICE, "values_are_held_against_the_models"), "meta"),
    _say("ScimEmail", "value type primary", "work, or other, which mirrors the login and is immutable", "checked", (_PLAIN, "a_bad_value_is_a_scim_error_and_changes_nothing"), "emails"),
    _say("ScimPhoneNumber", "value", "E.164 or a tel URI with an extension", "open", (_SERVICE, "readback_forms_follow_their_switches"), "phones_are_e164", "phone_readback"),
    _say("ScimPhoneNumber", "type primary", "one of eleven types", "checked", (_SERVICE, "values_are_held_against_the_models"), "phoneNumbers"),
    _say("ScimUserRole", "value", "the role by its name", "open", (_PLAIN, "unknown_references_can_be_passed_over"), "roles", "unknown_reference"),
    _say("ScimV2EnterpriseUser", "division department employeeNumber", "plain texts; a division is an existing name", "open", (_PLAIN, "unknown_references_can_be_passed_over"), "division", "division_case"),
    _say("ScimV2EnterpriseUser", "dateHire", "a text: YYYY-MM-DD", "checked", (_SERVICE, "the_day_of_hire_is_published_as_a_text_and_is_a_date"), "dateHire"),
    _say("ScimV2EnterpriseUser", "manager", "a Manager", "checked", _READ, "manager"),
    _say("Manager", "value $ref", "the id of the manager, and its address", "checked", (_PLAIN, "what_was_written_is_read_back_in_normal_form"), "manager"),
    _say("ScimUserExtensions", "routingSkills routingLanguages", "at most 50 of each", "checked", (_SERVICE, "no_more_than_50_skills"), "elements"),
    _say("ScimUserExtensions", "externalIds", "always with the immutable entry of SCIM itself (here: where there is an externalId); found by authority and value", "open", (_SERVICE, "a_reserved_external_id_that_a_list_leaves_out_comes_back"), "externalIds", "reserved_dropped"),
    _say("ScimUserRoutingSkill ScimUserRoutingLanguage", "name proficiency", "an existing name, case-sensitive; 0.0 to 5.0", "checked", (_SERVICE, "values_are_held_against_the_models"), "ranges", "proficiency_step"),
    _say("ScimGenesysUserExternalId", "authority value", "both required", "checked", (_SERVICE, "values_are_held_against_the_models"), "externalIds", "external_id_taken"),
    # groups and references
    _say("ScimV2Group", "displayName", "required in a PUT; who writes another name is refused", "checked", (_PLAIN, "groups_are_never_made_nor_renamed")),
    _say("ScimV2Group", "members", "a list of ScimV2MemberReference", "checked", (_PLAIN, "members_are_changed_on_the_group_and_show_on_the_user"), "members_at_once", "group_batch"),
    _say("ScimV2MemberReference", "type value $ref", "users or groups by id, with their address", "checked", (_SERVICE, "members_are_users_or_groups_and_batches_can_be_limited"), "", "nested_groups"),
    _say("ScimV2GroupReference", "type value $ref", "the type is that of a resource: Group", "checked", (_PLAIN, "members_are_changed_on_the_group_and_show_on_the_user"), "groups"),
    # what comes with a resource
    _say("ScimMetadata", "resourceType location", "one of five types, and the address", "checked", _READ),
    _say("ScimMetadata", "lastModified", "ISO-8601 with milliseconds and Z; not for schemas and resource types", "checked", _READ),
    _say("ScimMetadata", "version", "equals the ETag; not for schemas and resource types", "open", (_PLAIN, "meta_version_can_carry_its_quotes"), "counts_versions", "meta_version_quoted"),
    _say(_LISTS, "schemas totalResults startIndex itemsPerPage Resources", "the next page begins at startIndex + itemsPerPage; count=0 leaves Resources empty", "checked", (_PLAIN, "count_0_gives_the_total_only")),
    _say("ScimError", "schemas status scimType detail", "status is a text; one of ten types with a 400 (here also with the 409 of a taken name)", "beyond", (_PLAIN, "a_taken_name_is_409_uniqueness")),
    # PATCH
    _say("ScimV2PatchRequest", "schemas Operations", "schemas is required", "checked", (_PLAIN, "a_body_without_schemas_and_a_foreign_media_type_are_refused"), "operations_per_patch"),
    _say("ScimV2PatchOperation", "op path value", "add, replace, remove; a remove needs a path", "open", (_SERVICE, "a_remove_of_nothing_can_be_an_error"), "keeps_others", "remove_no_match"),
    # discovery
    _say("ScimServiceProviderConfig", "documentationUri patch filter etag sort bulk changePassword authenticationSchemes", "what is supported; the values are unpublished and inferred here", "checked", _READ),
    _say("ScimServiceProviderConfigSimpleFeature ScimServiceProviderConfigBulkFeature ScimServiceProviderConfigFilterFeature", "supported", "yes or no", "checked", _READ),
    _say("ScimServiceProviderConfigBulkFeature", "maxOperations maxPayloadSize", "limits of bulk, which is not supported", "checked", _READ),
    _say("ScimServiceProviderConfigFilterFeature", "maxResults", "results of a filtered query at most; here 0, for none", "checked", _READ),
    _say("ScimServiceProviderConfigAuthenticationScheme", "name description specUri documentationUri type primary", "one of five types; here oauthbearertoken", "checked", _READ),
    _say("ScimConfigResourceType", "id name description schema schemaExtensions endpoint", "the endpoint comes after the base address", "checked", (_PLAIN, "the_service_describes_itself")),
    _say("ScimConfigResourceTypeSchemaExtension", "schema required", "the two extensions of a user, neither required", "checked", _READ),
    _say("ScimV2SchemaDefinition", "id name description attributes", "no `schemas`, which is sent all the same: RFC 7643 §3 demands it of every resource, and the tools of others look for it", "beyond", _READ, "users"),
    _say("ScimV2SchemaAttribute", "name type subAttributes multiValued description required canonicalValues caseExact mutability returned uniqueness referenceTypes", "the words of RFC 7643 in its case", "checked", _READ, "users"),
)  # fmt: skip


def table() -> list[str]:
    """The table as lines of Markdown."""
    lines = [
        "| Model or operation | Member or parameter | What the SDKs say | Stands | Dialect | Switch | Test |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in STATEMENTS:
        of, names = (", ".join(f"`{name}`" for name in given if name) for given in (row.of, row.names))
        dialect, switch = (f"`{name}`" if name else "" for name in (row.dialect, row.switch))
        test = row.test.partition("::")[2]
        lines.append(f"| {of} | {names} | {row.says} | {row.stands} | {dialect} | {switch} | `{test}` |")
    return lines
