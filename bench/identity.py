"""What deciding a call costs: decided before, decided anew, and a policy compiled, in microseconds.

The floor is a plain dict look-up by the same question. Run: `python -m bench identity`. The figures to watch: the
decision that was made before, which every call on the hot path takes (at most 5 microseconds), and the share that the
whole call of the authorizer has in the CPU time of a warm invocation (at most 5 per cent).
"""

import json
import os
import timeit
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
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


def node_cpu_us(launcher_pid: int) -> float:
    """CPU time of the server process so far: the launcher's child, which parses, decides and dispatches."""
    children = Path(f"/proc/{launcher_pid}/task/{launcher_pid}/children").read_text().split()
    fields = Path(f"/proc/{children[0]}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") * 1e6


def warm_invocation_us() -> float:
    """CPU time of the server a warm invocation, signature, decision and all."""
    from bench.node import HANDLER, WARM_CALLS, Caller, create

    from cosset.testing.server import CossetServer

    with CossetServer() as server:
        create(server, "warm", HANDLER)
        send = Caller(server).prepare("warm")
        for _ in range(200):
            send()
        before = node_cpu_us(server.pid)
        for _ in range(WARM_CALLS):
            send()
        return (node_cpu_us(server.pid) - before) / WARM_CALLS


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
        whole = measure(_whole_call(text))
        print(f"{name + ': the whole call':<44}{whole:8.2f} us")
        print(f"{name + ': decided anew':<44}{measure(anew):8.2f} us")
        print(f"{name + ': compiled':<44}{measure(lambda text=text: PolicyCompiler().compile(text)):8.2f} us")
    warm = warm_invocation_us()
    print(f"{'a warm invocation, CPU of the server':<44}{warm:8.2f} us")
    print(f"{'  of that the authorizer, with conditions':<44}{whole / warm:8.1%}")


if __name__ == "__main__":
    main()
