"""Stops a function that runs again and again because of one event (lineage.py counts; the function may allow it)."""

import logging

from cosset.invocation import lineage
from cosset.invocation.api import Invocation, Target
from cosset.observe.causes import cause_in, key_of
from cosset.wire.errors import ServiceError

logger = logging.getLogger(__name__)


def follow(invocation: Invocation, target: Target, now_ms: int) -> Invocation:
    """The invocation with this run counted in its trace header, which is what the function gets, as the parent of what
    it will call; what led to it is kept in `causes`.

    Raises:
        ServiceError: RecursiveInvocationException, when the function has run LOOP_LIMIT times already.
    """
    causes = invocation.causes or cause_in(invocation.trace_id)
    begun = lineage.begin(invocation.trace_id, now_ms)
    header, before = lineage.enter(begun, target.function_arn, key_of(invocation.request_id))
    if before >= lineage.LOOP_LIMIT and not target.allows_recursion:
        logger.warning("a recursive loop through %s was stopped after %d runs", target.function_arn, before)
        raise ServiceError(
            "RecursiveInvocationException",
            "Lambda has detected your function being invoked in a recursive loop with other AWS resources and stopped "
            "your function's invocation.",
            fields={"Type": "User"},
        )
    return invocation._replace(trace_id=header, causes=causes)
