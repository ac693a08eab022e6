"""The live graph of what triggers what: steps counted by where they come from and where they lead. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cosset.observe.causes import Step, StepKind

MAX_EDGES = 5_000
_URL_ID = re.compile(r"/([a-z0-9]{32})(?:\.lambda-url\.|[/?]|$)", re.ASCII)
_MEANS = {StepKind.INVOCATION: "", StepKind.ALARM: "metric"}
"""What is said of steps whose name says something else: a version, a state."""


@dataclass(frozen=True, slots=True)
class Place:
    """From where to where: ARNs, of functions without a version."""

    source: str
    target: str


@dataclass(slots=True)
class Traffic:
    """`is_configured`: something there says that the one triggers the other, whether it has or not. `means` says what:
    `event source mapping`, `subscription`, or the operations that were called."""

    count: int = 0
    errors: int = 0
    last_ms: int = 0
    is_configured: bool = False
    means: str = ""


def count_edges(steps: Iterable[Step], since_ms: int, urls: Mapping[str, str] | None = None) -> dict[Place, Traffic]:
    """Of steps that began since then. At the bound new edges are left out. `urls`: see `named`."""
    edges: dict[Place, Traffic] = {}
    for step in steps:
        if step.at_ms < since_ms or not step.source or not step.resource:
            continue
        place = Place(_plain(step.source), named(_plain(step.resource), urls or {}))
        traffic = edges.get(place)
        if traffic is None:
            if len(edges) >= MAX_EDGES:
                continue
            traffic = edges[place] = Traffic()
        traffic.count += 1
        traffic.errors += bool(step.error)
        traffic.last_ms = max(traffic.last_ms, step.at_ms)
        said = _MEANS.get(step.kind, step.name)
        if said and said not in traffic.means and len(traffic.means) < 200:
            traffic.means = f"{traffic.means}, {said}" if traffic.means else said
    return edges


def named(endpoint: str, urls: Mapping[str, str]) -> str:
    """The ARN in the place of an address that is a function's URL. `urls` has the ARNs by the ids in such addresses."""
    found = _URL_ID.search(endpoint) if urls and endpoint.startswith("http") else None
    return urls.get(found[1], endpoint) if found is not None else endpoint


def _plain(arn: str) -> str:
    """A function without its version; an object by its bucket: the graph is of what there is, not of what passed."""
    parts = arn.split(":")
    if len(parts) > 7 and parts[2] == "lambda":
        return ":".join(parts[:7])
    if len(parts) == 6 and parts[2] == "s3":
        return ":".join((*parts[:5], parts[5].partition("/")[0]))
    return arn
