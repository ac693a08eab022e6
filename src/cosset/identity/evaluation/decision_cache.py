"""Decisions that were made already, by caller, action, resource and the values of the condition keys that matter.

Which keys matter is known from the policies, so a call whose policies have no conditions is one look-up. Bounded:
when it is full it starts anew. Dropped whole when IAM or a resource's policy changes; what is being decided meanwhile
is not kept. Decisions on the time of day never are. Keys that follow from the caller alone are in the question.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field

from cosset.identity.evaluation.context import VOLATILE, is_fixed
from cosset.identity.evaluation.decision import Decision
from cosset.identity.evaluation.templates import Values

_MAX_CHARS = 2_048
"""Of a resource and the values of condition keys together: callers choose them, and memory is bounded."""

Question = tuple[Hashable, str, str]
"""Caller, action, resource."""


@dataclass(slots=True)
class _Known:
    keys: tuple[str, ...]
    decisions: dict[tuple[tuple[str, ...] | None, ...], Decision] = field(default_factory=dict)


class DecisionCache:
    """`limit` is the number of decisions in it, `generation` goes up when it is dropped."""

    def __init__(self, limit: int = 50_000) -> None:
        self._limit = limit
        self._known: dict[Question, _Known] = {}
        self._size = 0
        self.generation = 0

    def find(self, question: Question, values: Values) -> Decision | None:
        known = self._known.get(question)
        if known is None:
            return None
        if not known.keys:
            return known.decisions.get(())
        return known.decisions.get(tuple([values.get(key) for key in known.keys]))

    def keep(
        self, question: Question, keys: frozenset[str], values: Values, decision: Decision, generation: int
    ) -> None:
        """`keys` are all that the decision may depend on; `generation` is from before the policies were read."""
        if generation != self.generation or keys & VOLATILE:
            return
        if (
            len(question[2]) > _MAX_CHARS
            or sum(len(text) for key in keys for text in values.get(key) or ()) > _MAX_CHARS
        ):
            return
        if self._size >= self._limit:
            self._clear()
        known = self._known.get(question)
        if known is None:
            known = self._known[question] = _Known(tuple(sorted(key for key in keys if not is_fixed(key))))
        given = tuple([values.get(key) for key in known.keys])
        self._size += given not in known.decisions
        known.decisions[given] = decision

    def drop(self) -> None:
        """Nothing decided before holds any more."""
        self.generation += 1
        self._clear()

    def _clear(self) -> None:
        self._known.clear()
        self._size = 0
