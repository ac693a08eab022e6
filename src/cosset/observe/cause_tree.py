"""Trees of steps: what led to what, read from the record. Pure; what was not kept is where a tree ends.

One step may stand there several times (an event that was tried again): it is shown once, as it ended, with how often it
was tried. One with several causes stands under each of them, but not under a cause of its other causes.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from cosset.observe.causes import Step, StepKind, key_of

MAX_RELATED = 20_000
"""Steps that one answer looks at."""
MAX_STEPS = 2_000
"""Of one answer: what is beyond is counted."""
_BY_ID = (
    "request",
    StepKind.MESSAGE,
    StepKind.TOPIC_MESSAGE,
    StepKind.OBJECT,
    StepKind.LOG_EVENTS,
    StepKind.EXPORT,
)
"""Kinds of which people know the id."""
_NEAR, _NEAR_WIDTH = 8, 200
"""How many steps, and how many of each, are looked at to tell a nearer cause from a farther one."""


@dataclass(slots=True)
class Node:
    """A step and what it led to. `times`: how often it was tried. `is_asked`: it is what was asked for."""

    step: Step
    times: int = 1
    is_asked: bool = False
    is_again: bool = False
    children: list["Node"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Tree:
    """`roots` are the oldest known causes of what was asked for; `left_out` how many steps are not shown."""

    roots: Sequence[Node]
    left_out: int = 0


def related(read: Callable[[], Iterable[Step]], name: str, most: int = MAX_RELATED) -> list[Step]:
    """The steps that have to do with `name`, of all that `read` gives: its causes, and all that those led to.

    Reads twice: first who names whom, which is little of each step, then the steps that are wanted.
    """
    causes: dict[str, tuple[str, ...]] = {}
    effects: dict[str, list[str]] = defaultdict(list)
    finder = _Finder(name)
    for step in read():
        key = step.key
        finder.look(key, step)
        causes[key] = tuple(dict.fromkeys((*causes.get(key, ()), *step.causes)))
        for cause in step.causes:
            effects[cause].append(key)
    wanted = _reach(finder.found, causes, most)
    wanted |= _reach(wanted, effects, most)
    return [step for step in read() if step.key in wanted]


def _reach(start: Collection[str], leads: Mapping[str, Sequence[str]], most: int) -> set[str]:
    seen = set(start)
    waiting = deque(seen)
    while waiting and len(seen) < most:
        found = (key for key in leads.get(waiting.popleft(), ()) if key not in seen)
        fresh = list(dict.fromkeys(islice(found, most - len(seen))))
        seen.update(fresh)
        waiting.extend(fresh)
    return seen


class _Finder:
    """What a name means: a request, a message, an object or an alarm (the newest of its changes), a trace."""

    def __init__(self, name: str) -> None:
        self._keys = frozenset(key_of(name, kind) for kind in _BY_ID)
        self._name, self._path = name, name.removeprefix("s3://")
        self._exact: list[str] = []
        self._of_trace: dict[str, None] = {}
        self._moved: list[str] = []
        self._newest: tuple[int, str] | None = None

    def look(self, key: str, step: Step) -> None:
        if key in self._keys:
            self._exact = [key]
        elif step.root == self._name:
            self._of_trace[key] = None
        elif step.kind == StepKind.DEAD_LETTER:
            if step.id.partition("#")[0] == self._name:
                self._moved.append(key)
        elif self._path in _changed(step):
            self._newest = max(self._newest or (0, ""), (step.at_ms, key))

    @property
    def found(self) -> list[str]:
        found = self._exact or list(self._of_trace) or self._moved[:1]
        return found or ([self._newest[1]] if self._newest is not None else [])


class Steps:
    """The steps of one account and region, by their keys."""

    def __init__(self, steps: Iterable[Step]) -> None:
        self._steps: dict[str, Step] = {}
        self._times: dict[str, int] = {}
        for step in steps:
            key = step.key
            known = self._steps.get(key)
            self._steps[key] = step if known is None else _merge(known, step)
            self._times[key] = self._times.get(key, 0) + (step.kind == StepKind.INVOCATION)
        self._effects: dict[str, list[str]] = defaultdict(list)
        for key, step in self._steps.items():
            for cause in step.causes:
                if cause in self._steps and cause != key:
                    self._effects[cause].append(key)

    def find(self, name: str) -> list[str]:
        """The keys of what `name` means."""
        finder = _Finder(name)
        for key, step in self._steps.items():
            finder.look(key, step)
        return finder.found

    def tree(self, asked: Sequence[str], limit: int = MAX_STEPS) -> Tree:
        """Everything that led to these, and everything that it led to."""
        builder = _Builder(self._steps, self._times, self._effects, frozenset(asked), limit)
        roots = sorted(self._roots(asked), key=self._order)
        return Tree([node for root in roots if (node := builder.build(root)) is not None], builder.left_out)

    def _roots(self, asked: Sequence[str]) -> set[str]:
        roots: set[str] = set()
        seen: set[str] = set()
        waiting = list(asked)
        while waiting:
            key = waiting.pop()
            if key in seen:
                continue
            seen.add(key)
            causes = [cause for cause in self._steps[key].causes if cause in self._steps and cause != key]
            if not causes:
                roots.add(key)
            waiting += causes
        return roots or set(asked)  # nothing but a ring: where one asked

    def _order(self, key: str) -> tuple[int, str]:
        return self._steps[key].at_ms, key


class _Builder:
    """One tree. A step with two causes that both stand is spelled out under the first only."""

    def __init__(
        self,
        steps: dict[str, Step],
        times: dict[str, int],
        effects: dict[str, list[str]],
        asked: frozenset[str],
        limit: int,
    ) -> None:
        self._steps = steps
        self._times = times
        self._effects = effects
        self._asked = asked
        self._left = limit
        self._built: set[str] = set()
        self.left_out = 0

    def build(self, root: str) -> Node | None:
        """Without recursion: a chain may be longer than the interpreter's stack."""
        made = self._make(root)
        waiting = [(root, made)] if made is not None else []
        while waiting:
            key, node = waiting.pop()
            if node.is_again:
                continue
            for effect in sorted(self._direct(key), key=lambda each: (self._steps[each].at_ms, each)):
                child = self._make(effect)
                if child is None:
                    continue
                node.children.append(child)
                waiting.append((effect, child))
        return made

    def _make(self, key: str) -> Node | None:
        if not self._left:
            self.left_out += 1
            return None
        self._left -= 1
        is_again = key in self._built
        self._built.add(key)
        return Node(self._steps[key], max(1, self._times[key]), key in self._asked, is_again)

    def _direct(self, key: str) -> Iterable[str]:
        """What this step led to by itself: not what its own effects led to, though it may be named there as well."""
        mine = self._effects.get(key, ())
        for effect in dict.fromkeys(mine):
            between = (cause for cause in self._steps[effect].causes if cause != key and cause in self._steps)
            if not any(self._leads(key, cause) for cause in between):
                yield effect

    def _leads(self, key: str, other: str) -> bool:
        """Whether `other` comes of `key` by few steps: a dead letter that was a message of a call of an invocation."""
        waiting, seen = [other], {other}
        for _ in range(_NEAR):
            causes = {cause for each in waiting for cause in self._steps[each].causes if cause in self._steps}
            if key in causes:
                return True
            waiting = list(causes - seen)[:_NEAR_WIDTH]
            seen.update(waiting)
        return False


def _merge(known: Step, new: Step) -> Step:
    """An invocation says more than the call that asked for it; of two runs the later one is how it ended."""
    if (known.kind == StepKind.INVOCATION) != (new.kind == StepKind.INVOCATION):
        known, new = (new, known) if new.kind != StepKind.INVOCATION else (known, new)
    causes = tuple(dict.fromkeys((*known.causes, *new.causes)))
    return new._replace(causes=causes, source=new.source or known.source, root=new.root or known.root)


def _changed(step: Step) -> tuple[str, ...]:
    """The names of what a step is a change of, where people say it by name: `bucket/key`, `bucket/key@version`,
    `alarm:name`."""
    if step.kind == StepKind.OBJECT:
        return step.id.rpartition("#")[0], step.resource.removeprefix("arn:aws:s3:::")
    if step.kind == StepKind.ALARM:
        return step.resource, step.resource.split(":", 5)[-1]
    return ()
