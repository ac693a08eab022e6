"""ARN patterns: what Resource, NotResource and the Arn* operators hold.

The six segments are compared one by one, so a `*` in one does not reach into the next; the sixth keeps its own colons.
A Resource with fewer segments is taken to go on with stars, as AWS completes it; the Arn* operators want all six.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
"""

from dataclasses import dataclass

from cosset.identity.evaluation.templates import (
    Matcher,
    Template,
    Values,
    Wildcard,
    make_matcher,
    parse_template,
    split_template,
)

SEGMENTS = 6


@dataclass(frozen=True, slots=True)
class ArnPattern:
    """`matchers` has None where the segment has variables. `is_everything`: the pattern is `*`."""

    segments: tuple[Template, ...]
    matchers: tuple[Matcher | None, ...]
    keys: frozenset[str]
    is_everything: bool
    must_be_whole: bool

    def matches(self, value: str, values: Values) -> bool | None:
        """None when a variable has no value: then the pattern says nothing."""
        if self.is_everything:
            return True
        if self.must_be_whole and len(self.segments) < SEGMENTS:
            return False
        matchers: list[Matcher] = []
        for segment, static in zip(self.segments, self.matchers, strict=True):
            resolved = segment.resolve(values) if static is None else ()
            if resolved is None:
                return None
            matchers.append(static or make_matcher(resolved))
        parts = value.split(":", SEGMENTS - 1)
        # What names no resource (`*`) is only matched by `*`.
        if len(parts) != SEGMENTS:
            return False
        return all(matches(part) for matches, part in zip(matchers, parts, strict=False))


def parse_arn_pattern(text: str, *, variables: bool, must_be_whole: bool = False) -> ArnPattern:
    template = parse_template(text, variables=variables)
    segments = tuple(split_template(template, ":", SEGMENTS))
    return ArnPattern(
        segments,
        tuple(_static(segment) for segment in segments),
        template.keys,
        template.pieces == (Wildcard.RUN,),
        must_be_whole,
    )


def _static(segment: Template) -> Matcher | None:
    if segment.keys:
        return None
    resolved = segment.resolve({})
    return None if resolved is None else make_matcher(resolved)
