"""The policies of a simulation: those that a call brings, and those that a user, group or role carries."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cosset.identity.arn import Arn
from cosset.identity.evaluation.evaluator import NamedPolicy
from cosset.identity.evaluation.policy import DENY_EVERYTHING, compile_policy
from cosset.identity.policy_document import MalformedPolicyError, PolicyDocument, parse_identity_policy, parse_policy
from cosset.services.iam.errors import invalid_input, no_such_entity
from cosset.services.iam.inline_policies import embedded_documents
from cosset.services.iam.owners import OwnerKind, need_group, need_role, need_user
from cosset.services.iam.policy_book import PolicyBook, attached_arns, name_of
from cosset.services.iam.policy_texts import Span, context_keys, statement_spans
from cosset.services.iam.records import Group, Role, User, groups_of
from cosset.store.database import Transaction


@dataclass(frozen=True, slots=True)
class SimulatedPolicy:
    """A policy as the evaluator wants it, and what results say of it. `keys`: see `policy_texts.context_keys`."""

    named: NamedPolicy
    spans: dict[str, Span]
    keys: dict[str, str]


@dataclass(frozen=True, slots=True)
class CarriedTexts:
    """What a user, group or role carries: (name in results, text). `boundary` None: it has none."""

    owner: User | Group | Role
    texts: tuple[tuple[str, str], ...]
    boundary: tuple[str, str] | None

    @property
    def tags(self) -> dict[str, str]:
        return {} if isinstance(self.owner, Group) else dict(self.owner.tags)


def given_policies(
    member: str, texts: Iterable[str], parse: Callable[[str], PolicyDocument] = parse_identity_policy
) -> list[SimulatedPolicy]:
    """Policies of a call: `PolicyInputList.1`.

    Raises:
        ServiceError: InvalidInput when one is no policy.
    """
    return [_given(f"{member}.{place}", text, parse) for place, text in enumerate(texts, start=1)]


def given_resource_policy(text: str) -> SimulatedPolicy:
    """Raises: ServiceError InvalidInput."""
    return _given("ResourcePolicy", text, parse_policy)


def carried_policy(name: str, text: str) -> SimulatedPolicy:
    """A kept one that cannot be read denies everything, as in every other call."""
    try:
        return SimulatedPolicy(NamedPolicy(name, compile_policy(parse_policy(text))), *_said_of(text))
    except MalformedPolicyError:
        return SimulatedPolicy(NamedPolicy(name, DENY_EVERYTHING), {}, {})


def find_carried(tx: Transaction, book: PolicyBook, account: str, arn: str, left_out: "Exclusions") -> CarriedTexts:
    """Raises: ServiceError NoSuchEntity, or InvalidInput for what carries no policies."""
    owner, kind = _need_source(tx, account, arn)
    texts = list(_texts_of(tx, book, kind, owner, left_out))
    if isinstance(owner, User):
        for group in groups_of(tx, account, owner.name):
            texts += _texts_of(tx, book, "group", group, left_out)
    boundary = None if isinstance(owner, Group) else owner.permissions_boundary
    if boundary is None or left_out.leave_out_boundary:
        return CarriedTexts(owner, tuple(texts), None)
    return CarriedTexts(owner, tuple(texts), (name_of(boundary), _default_text(tx, book, account, boundary)))


@dataclass(frozen=True, slots=True)
class Exclusions:
    """What PolicyExclusionList leaves out of a simulation. `inline`: (kind, owner, name)."""

    types: frozenset[str] = frozenset()
    arns: frozenset[str] = frozenset()
    inline: frozenset[tuple[str, str, str]] = frozenset()

    @classmethod
    def of(cls, listed: Sequence[dict[str, Any]]) -> "Exclusions":
        inline = [each["InlinePolicyIdentifier"] for each in listed if "InlinePolicyIdentifier" in each]
        return cls(
            frozenset(each["PolicyType"] for each in listed if "PolicyType" in each),
            frozenset(each["PolicyArn"] for each in listed if "PolicyArn" in each),
            frozenset((each["AttachmentType"], each["AttachmentName"], each["PolicyName"]) for each in inline),
        )

    @property
    def leave_out_boundary(self) -> bool:
        return "permission-boundary" in self.types

    def leaves_out(self, arn: str) -> bool:
        kind = "aws-managed" if arn.startswith("arn:aws:iam::aws:") else "user-managed"
        return kind in self.types or arn in self.arns


def _need_source(tx: Transaction, account: str, arn: str) -> tuple[User | Group | Role, OwnerKind]:
    parsed = Arn.parse(arn)
    kind, _, path = ("", "", "") if parsed is None else parsed.resource.partition("/")
    if parsed is None or parsed.service != "iam" or kind not in ("user", "group", "role"):
        raise invalid_input(f"Invalid Entity Arn: {arn} does not clearly define entity type and name.")
    name = path.rpartition("/")[2]
    found: User | Group | Role
    if kind == "user":
        found = need_user(tx, account, name)
    else:
        found = need_group(tx, account, name) if kind == "group" else need_role(tx, account, name)
    if found.arn != arn:
        raise no_such_entity(f"The {kind} with name {name} cannot be found.")
    return found, "user" if kind == "user" else "group" if kind == "group" else "role"


def _texts_of(
    tx: Transaction, book: PolicyBook, kind: OwnerKind, owner: User | Group | Role, left_out: Exclusions
) -> Iterable[tuple[str, str]]:
    for arn in attached_arns(tx, owner.account, kind, owner.name):
        if not left_out.leaves_out(arn):
            yield name_of(arn), _default_text(tx, book, owner.account, arn)
    if "inline" in left_out.types:
        return
    for name, text in embedded_documents(tx, owner.account, kind, owner.name).items():
        if (kind, owner.name, name) not in left_out.inline:
            yield f"{kind}_{owner.name}_{name}", text


def _default_text(tx: Transaction, book: PolicyBook, account: str, arn: str) -> str:
    policy = book.find(tx, account, arn)
    versions = [] if policy is None else book.versions(tx, account, policy)
    return next((each.document for each in versions if policy and each.number == policy.default_version), "")


def _given(name: str, text: str, parse: Callable[[str], PolicyDocument]) -> SimulatedPolicy:
    try:
        return SimulatedPolicy(NamedPolicy(name, compile_policy(parse(text))), *_said_of(text))
    except MalformedPolicyError as error:
        raise invalid_input(f"Invalid input for {name}: {error}") from None


def _said_of(text: str) -> tuple[dict[str, Span], dict[str, str]]:
    return statement_spans(text), context_keys(text)
