"""How fast messages go to a subscription whose delivery policy bounds it (`maxReceivesPerSecond`).

A message that has its turn later goes back into the queue until then, and comes again marked, so that it is sent at
once and the time before counts as no attempt. Every node keeps its own pace: two nodes send at twice the rate.
"""

import math
from collections import OrderedDict

from cosset.clock import Clock

_KEPT = 1_000
"""Subscriptions whose pace is known; of more, those that were sent to longest ago are forgotten."""
_MARK = b",1]"


class Paces:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next_ms: OrderedDict[str, float] = OrderedDict()

    def delay_ms(self, subscription_arn: str, per_second: float) -> int:
        """How long the next message waits for its turn, which is taken herewith."""
        now_ms = self._clock.now_ms()
        turn_ms = max(float(now_ms), self._next_ms.pop(subscription_arn, 0.0))
        self._next_ms[subscription_arn] = turn_ms + 1000 / per_second
        if len(self._next_ms) > _KEPT:
            self._next_ms.popitem(last=False)
        return math.ceil(turn_ms - now_ms)


def marked(body: bytes) -> bytes:
    """A packed message (model.py) that has its turn when it comes again."""
    return body[:-1] + _MARK


def is_marked(body: bytes) -> bool:
    return body.endswith(_MARK)
