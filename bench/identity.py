"""What deciding a call costs: decided before, decided anew, and a policy compiled, in microseconds.

The floor is a plain dict look-up by the same question. Run: `python bench/identity.py`. The figure to watch is the
decision that was made before, which every call on the hot path takes: at most 5 microseconds.
"""

import json
import timeit
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cosset.clock import SystemClock
from cosset.identity.authorizer import PolicyAuthorizer
from cosset.identity.evaluation.context import CallContext, RequestValues
from cosset.identity.evaluation.decision_cache import DecisionCache
from cosset.identity.evaluation.evaluator import (
    AccessRequest,
    NamedPolicy,
    PrincipalPolicies,
    ResourcePolicies,
    evaluate,
    relevant_keys,
)
from cosset.identity.evaluation.policy import PolicyCompiler
from cosset.identity.policy_sources import HeldPolicies, PolicyText
from cosset.identity.ports import Requirement
from cosset.identity.principal import Principal, PrincipalKind

ACCOUNT = "111111111111"
CALLER = Principal(
    PrincipalKind.ROLE,
    ACCOUNT,
    f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/s1",
    "AROAWORKER:s1",
    role_arn=f"arn:aws:iam::{ACCOUNT}:role/worker",
    is_temporary=True,
)
ACTION, RESOURCE = "lambda:InvokeFunction", f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:greet"
CALL = CallContext(1_767_323_045_000, "lambda", "eu-west-1", "192.0.2.1", "aws-cli/2")
PLAIN = [{"Effect": "Allow", "Action": [f"svc{at}:Get*", "lambda:Invoke*"], "Resource": "*"} for at in range(10)]
CONDITIONS: dict[str, Any] = {
    "IpAddress": {"aws:SourceIp": "192.0.2.0/24"},
    "StringEquals": {"aws:RequestedRegion": "eu-west-1", "aws:PrincipalTag/team": "blue"},
}


def measure(work: Callable[[], object]) -> float:
    """Microseconds a call: the best of five runs."""
    timer = timeit.Timer(work)
    number, _ = timer.autorange()
    return min(timer.repeat(5, number)) / number * 1e6


class _Held:
    """A PolicySource of one document."""

    def __init__(self, text: str) -> None:
        self._held = HeldPolicies((PolicyText("p", text),), tags={"team": "blue"})

    async def policies_of(self, principal: Principal) -> HeldPolicies:
        return self._held


def _whole_call(text: str) -> Callable[[], object]:
    """What the door pays for a call that was decided before, its context made anew; without an event loop."""
    authorizer = PolicyAuthorizer(_Held(text), {}, SystemClock())

    def call() -> object:
        coroutine = authorizer.authorize(CALLER, (Requirement(ACTION, RESOURCE),), replace(CALL))
        try:
            return coroutine.send(None)
        except StopIteration:
            return None

    call()
    return call


def main() -> None:
    plain_text = json.dumps({"Version": "2012-10-17", "Statement": PLAIN})
    conditional_text = json.dumps(
        {"Version": "2012-10-17", "Statement": [*PLAIN, PLAIN[0] | {"Condition": CONDITIONS}]}
    )
    question = (CALLER, ACTION, RESOURCE)
    dictionary = {question: True}
    print(f"{'floor: one dict look-up':<44}{measure(lambda: dictionary[(CALLER, ACTION, RESOURCE)]):8.2f} us")
    for name, text in (("10 statements", plain_text), ("11 statements, 3 condition keys", conditional_text)):
        own = PrincipalPolicies((NamedPolicy("p", PolicyCompiler().compile(text)),))
        there = ResourcePolicies(ACCOUNT)
        cache = DecisionCache()

        def values() -> RequestValues:
            return RequestValues(CALLER, CALL, {"team": "blue"}, {})

        def anew(own: PrincipalPolicies = own, there: ResourcePolicies = there) -> object:
            return evaluate(AccessRequest(CALLER, ACTION, RESOURCE, values()), own, there)

        decision = evaluate(AccessRequest(CALLER, ACTION, RESOURCE, values()), own, there)
        assert decision.allowed
        keys = relevant_keys(own, there, ACTION)
        cache.keep(question, keys, values(), decision, cache.generation)

        def before(cache: DecisionCache = cache) -> object:
            return cache.find((CALLER, ACTION, RESOURCE), values())

        assert before() is decision
        print(f"{name + ': decided before':<44}{measure(before):8.2f} us")
        print(f"{name + ': the whole call':<44}{measure(_whole_call(text)):8.2f} us")
        print(f"{name + ': decided anew':<44}{measure(anew):8.2f} us")
        print(f"{name + ': compiled':<44}{measure(lambda text=text: PolicyCompiler().compile(text)):8.2f} us")


if __name__ == "__main__":
    main()
