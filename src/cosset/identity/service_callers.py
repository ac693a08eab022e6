"""Services of AWS that act in their own name: SNS sends to a queue, S3 calls a function, Logs writes to a bucket.

The policy of what they call decides, and may ask for what they act. Who works for a service on a role's behalf asks
`trust.py` instead.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cosset.identity.evaluation.context import CallContext, ContextValue
from cosset.identity.ports import Authorizer, Requirement
from cosset.identity.principal import Principal, PrincipalKind


@dataclass(frozen=True, slots=True)
class ServiceCaller:
    """`name` is the service's principal (`sns.amazonaws.com`); the source is what it acts for: a topic, a bucket."""

    name: str
    source_arn: str
    source_account: str

    async def authorize(
        self,
        authorizer: Authorizer,
        action: str,
        resource: str,
        now_ms: int,
        more: Mapping[str, ContextValue] | None = None,
    ) -> None:
        """Returns when the action is allowed. `more` are further condition keys. Raises what `Authorizer` does."""
        needed, call = self._asked(action, resource, now_ms, more or {})
        await authorizer.authorize(service_principal(self.name), [needed], call)

    def was_allowed(self, authorizer: Authorizer, action: str, resource: str, now_ms: int) -> bool:
        """As `Authorizer.has_allowed`: False says nothing."""
        needed, call = self._asked(action, resource, now_ms, {})
        return authorizer.has_allowed(service_principal(self.name), needed, call)

    def _asked(
        self, action: str, resource: str, now_ms: int, more: Mapping[str, ContextValue]
    ) -> tuple[Requirement, CallContext]:
        source = {"aws:SourceArn": self.source_arn, "aws:SourceAccount": self.source_account}
        return Requirement(action, resource, {**source, **more}), CallContext(now_ms, service=action.partition(":")[0])


def service_principal(name: str) -> Principal:
    return Principal(PrincipalKind.SERVICE, "", name, "")
