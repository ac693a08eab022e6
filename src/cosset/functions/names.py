"""How a caller names a function: its name, a partial ARN or the full ARN, each with or without a qualifier.

The characters were checked against AWS's model at the door; what is decided here is what the parts mean together.
Refuses nothing that exists: whether there is such a function is the registry's to say.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from cosset.functions import errors
from cosset.functions.model import LATEST, FunctionKey

_REFERENCE = re.compile(
    r"(?:arn:(?P<partition>(?:aws[a-zA-Z-]*)?):lambda:)?"
    r"(?:(?P<region>(?:eusc-)?[a-z]{2}(?:-gov|-iso[a-z]?)?-[a-z]+-\d):)?"
    r"(?:(?P<account>\d{12}):)?"
    r"(?:function:)?"
    r"(?P<name>[a-zA-Z0-9_.-]+)"
    r"(?::(?P<qualifier>\$LATEST(?:\.PUBLISHED)?|[a-zA-Z0-9_-]+))?"
)
_ALIAS = re.compile(r"(?!\d+$)[a-zA-Z0-9_-]+")

MAX_NAME_LENGTH = 64


@dataclass(frozen=True, slots=True)
class FunctionReference:
    """What a caller named. `qualifier` is a version, an alias, `$LATEST`, or None when none was given."""

    key: FunctionKey
    qualifier: str | None = None

    @property
    def arn(self) -> str:
        """The ARN with the qualifier exactly when the caller gave one."""
        return self.key.qualified_arn(self.qualifier) if self.qualifier else self.key.arn


@lru_cache(maxsize=4096)
def parse_reference(name: str, qualifier: str | None, *, account: str, region: str) -> FunctionReference:
    """Reads `FunctionName` and `Qualifier` together; account and region are the caller's, where the name has none.

    Raises:
        ServiceError: the two qualifiers differ (recorded: test_ops_with_arn_qualifier_mismatch), or the function lives
            in another partition or region.
    """
    match = _REFERENCE.fullmatch(name)
    if match is None:
        raise errors.invalid_parameter(f"Invalid function name: {name}")
    derived = match["qualifier"]
    if derived and qualifier and derived != qualifier:
        raise errors.invalid_parameter(
            "The derived qualifier from the function name does not match the specified qualifier."
        )
    if match["partition"] not in (None, "aws"):
        raise errors.function_not_found(name)
    if match["region"] and match["region"] != region:
        raise errors.not_found(f"Functions from '{match['region']}' are not reachable in this region ('{region}')")
    key = FunctionKey(match["account"] or account, match["region"] or region, match["name"])
    return FunctionReference(key, qualifier or derived)


def is_alias(qualifier: str) -> bool:
    """What could be an alias's name: `$LATEST` and numbers cannot."""
    return _ALIAS.fullmatch(qualifier) is not None


def check_new_name(name: str) -> None:
    """The limit on a new function's own name, which AWS checks by hand (recorded: function_name_too_long)."""
    if len(name) > MAX_NAME_LENGTH:
        raise errors.invalid_parameter(
            f"1 validation error detected: Value '{name}' at 'functionName' failed to satisfy constraint: "
            f"Member must have length less than or equal to {MAX_NAME_LENGTH}"
        )


@lru_cache(maxsize=4096)
def resource_arn(name: str, qualifier: str | None, *, account: str, region: str) -> str:
    """The ARN that IAM must allow; never raises, because the handler answers for what is wrong with the name."""
    match = _REFERENCE.fullmatch(name)
    if match is None:
        return f"arn:aws:lambda:{region}:{account}:function:{name}"
    key = FunctionKey(match["account"] or account, match["region"] or region, match["name"])
    chosen = qualifier or match["qualifier"]
    return key.qualified_arn(chosen) if chosen else key.arn


def version_of(qualifier: str | None) -> str:
    return qualifier or LATEST
