"""What the evaluator answers: yes or no, which layer said no, and the statements that matched.

The sentences are AWS's: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
"""

from dataclasses import dataclass
from enum import Enum


class Layer(Enum):
    """The kinds of policy, by what AWS calls them in a refusal."""

    IDENTITY = "identity-based policy"
    RESOURCE = "resource-based policy"
    BOUNDARY = "permissions boundary"
    SESSION = "session policy"
    TRUST = "role trust policy"

    @property
    def one(self) -> str:
        if self is Layer.TRUST:
            return f"the {self.value}"
        return f"an {self.value}" if self is Layer.IDENTITY else f"a {self.value}"


@dataclass(frozen=True, slots=True)
class MatchedStatement:
    """A statement that had a say. `policy` is its policy's ARN or name, `sid` its Sid or its place in the policy."""

    layer: Layer
    policy: str
    sid: str
    allows: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """`layer` refused: by an explicit Deny, or because nothing in it allows. None when the call is allowed.
    `is_at_home`: the resource is the caller's account's."""

    allowed: bool
    layer: Layer | None = None
    explicit: bool = False
    matched: tuple[MatchedStatement, ...] = ()
    is_at_home: bool = True

    def reason(self, action: str) -> str:
        """How AWS's refusal ends: `because no ... allows the ... action`, `with an explicit deny in ...`."""
        if self.layer is None:
            return ""
        if self.explicit:
            return f"with an explicit deny in {self.layer.one}"
        return f"because no {self.layer.value} allows the {action} action"
