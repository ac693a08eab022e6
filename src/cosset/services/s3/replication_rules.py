"""What a replication configuration says of an object version: where it goes, and how. Values only.

Read next: bucket_replication.py (what is refused), replication_outbox.py (when), replicator.py (how).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cosset.services.s3.versions import ObjectVersion

_ARN = "arn:aws:s3:::"


@dataclass(frozen=True, slots=True)
class Goal:
    """A bucket that a version is to be in, too. `storage_class` None: the source's."""

    bucket: str
    storage_class: str | None = None


def goals_of(document: Mapping[str, Any], version: ObjectVersion) -> list[Goal]:
    """Of the rules for one destination that of the highest priority counts."""
    found: dict[str, Goal] = {}
    ordered: Sequence[Mapping[str, Any]] = sorted(document["Rules"], key=lambda rule: -(rule.get("Priority") or 0))
    for rule in ordered:
        destination = rule["Destination"]
        name = str(destination["Bucket"]).removeprefix(_ARN)
        if rule["Status"] == "Enabled" and name not in found and _takes(rule, version):
            found[name] = Goal(name, destination.get("StorageClass"))
    return list(found.values())


def _takes(rule: Mapping[str, Any], version: ObjectVersion) -> bool:
    given: Mapping[str, Any] = rule.get("Filter") or {}
    inside: Mapping[str, Any] = given.get("And") or {}
    prefix = rule.get("Prefix") or given.get("Prefix") or inside.get("Prefix") or ""
    tags = [given["Tag"]] if given.get("Tag") else inside.get("Tags") or ()
    there: Mapping[str, str] = version.facts.get("tags") or {}
    if not version.key.startswith(prefix) or any(there.get(tag["Key"]) != tag["Value"] for tag in tags):
        return False
    if version.is_marker:
        return _takes_markers(rule) and not tags
    kept: Mapping[str, Any] = version.facts.get("encryption") or {}
    if "customer" in kept:
        return False
    return not kept or _takes_keys(rule)


def _takes_markers(rule: Mapping[str, Any]) -> bool:
    """Rules of the older kind, without a filter, always do."""
    if rule.get("Filter") is None:
        return True
    return bool((rule.get("DeleteMarkerReplication") or {}).get("Status") == "Enabled")


def _takes_keys(rule: Mapping[str, Any]) -> bool:
    criteria = (rule.get("SourceSelectionCriteria") or {}).get("SseKmsEncryptedObjects") or {}
    return bool(criteria.get("Status") == "Enabled")
