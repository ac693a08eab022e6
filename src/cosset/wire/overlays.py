"""What botocore's models leave out about a service, as data. Keep it tiny; every entry says why.

Next: models.py, which lays an overlay over the model as it is read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Overlay:
    """All of it is empty for most services.

    - `protocols`: further protocols, by botocore's names.
    - `error_defaults`: members of every error body; `failure_defaults`: in their place, of those with status 500.
    - `bare_errors`: rest-xml errors without the `<ErrorResponse>` around them.
    - `malformed_body`: code and sentence for a body that cannot be read, where it is not SerializationException.
    - `hides_values`: no violation shows the value.
    - `own_sentences`: members (as violations name them) whose pattern, when all other constraints of the call hold, is
      refused in a sentence of its own.
    - `null_elements_named`: the constraints of elements end with "Member must not be null".
    - `payload_types`: the content type of an operation's blob payload, where it is not application/octet-stream.
    - `checked_by_hand`: shapes whose own constraints the service checks itself, under another code and sentence.
    - `members_checked_by_hand`: the same for single members, as violations name them.
    """

    protocols: tuple[str, ...] = ()
    error_defaults: Mapping[str, Any] = field(default_factory=dict)
    failure_defaults: Mapping[str, Any] = field(default_factory=dict)
    bare_errors: bool = False
    malformed_body: tuple[str, str] | None = None
    hides_values: bool = False
    own_sentences: Mapping[str, str] = field(default_factory=dict)
    null_elements_named: bool = False
    payload_types: Mapping[str, str] = field(default_factory=dict)
    checked_by_hand: frozenset[str] = frozenset()
    members_checked_by_hand: frozenset[str] = frozenset()


NOTHING = Overlay()

# IAM checks names and paths by hand: seen in reports of AttachRolePolicy, AttachUserPolicy, PutRolePolicy, CreateRole
# and ListPolicies, where the model's pattern would have been violated.
_IAM_NAMES = (
    *("roleName", "userName", "newUserName", "groupName", "newGroupName", "policyName", "instanceProfileName"),
)
_IAM_PATHS = {
    "path": "begin and end with /",
    "newPath": "begin and end with /",
    "pathPrefix": "begin with the / character",
}
_IAM_SENTENCES: Mapping[str, str] = {
    member: f"The specified value for {member} is invalid. It must contain only alphanumeric characters and/or the "
    "following: +=,.@_-"
    for member in _IAM_NAMES
} | {
    member: f"The specified value for {member} is invalid. It must {shape} and contain only alphanumeric characters "
    "and/or / characters."
    for member, shape in _IAM_PATHS.items()
}

OVERLAYS: Mapping[str, Overlay] = {
    # Every modelled error of Lambda has a member Type: AWS answers User (recorded for 400 to 429, seen for 502), and
    # Service in a ServiceException.
    # Its lists and maps refuse null by name (recorded: routing_config_exc_subzero), API Gateway's do not.
    "lambda": Overlay(
        error_defaults={"Type": "User"},
        failure_defaults={"Type": "Service"},
        null_elements_named=True,
        payload_types={"Invoke": "application/json"},
        # An unknown runtime of a function is an InvalidParameterValueException that names what there is.
        members_checked_by_hand=frozenset({"runtime"}),
    ),
    # Recorded: IAM shows no value in a violation (test_user_match_id_mismatch), though its model calls few sensitive.
    "iam": Overlay(hides_values=True, own_sentences=_IAM_SENTENCES),
    # A name that is too long has a sentence of its own (recorded: test_create_log_group_invalid_name_length).
    "logs": Overlay(checked_by_hand=frozenset({"LogGroupName", "LogStreamName"})),
    # Clients older than 2023 speak query; AWS still answers them, the model lists only json.
    "sqs": Overlay(protocols=("query",)),
    # noErrorWrapping is a trait of the Smithy model that botocore's format has no word for.
    "s3": Overlay(
        bare_errors=True,
        malformed_body=(
            "MalformedXML",
            "The XML you provided was not well-formed or did not validate against our published schema",
        ),
    ),
}
