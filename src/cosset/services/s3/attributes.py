"""GetObjectAttributes: what is known of an object without its bytes. Recorded: test_get_object_attributes_versioned."""

from collections.abc import Mapping
from typing import Any

from cosset.services.operation import Context, Params, Result, operation
from cosset.services.s3.checksums import COMPOSITE
from cosset.services.s3.customer_keys import opens
from cosset.services.s3.errors import invalid_argument
from cosset.services.s3.finding import Finder, shown_version
from cosset.services.s3.object_facts import shown_checksum
from cosset.services.s3.object_requirements import on_attributes
from cosset.services.s3.versions import ObjectVersion
from cosset.wire.errors import ServiceError

_NAMES = frozenset({"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"})
_PAGE = 1_000


class Attributes:
    def __init__(self, finder: Finder) -> None:
        self._finder = finder

    @operation("GetObjectAttributes", on_attributes)
    async def get_object_attributes(self, ctx: Context, params: Params) -> Result:
        wanted = params.get("ObjectAttributes") or []
        if not any(wanted):
            raise no_attributes()
        unknown = [name for name in wanted if name not in _NAMES]
        if unknown:
            sentence = "Invalid attribute name specified."
            raise invalid_argument(sentence, "x-amz-object-attributes", ",".join(unknown))
        bucket, found = await self._finder.find(ctx, params, "GET")
        opens(found.facts.get("encryption", {}).get("customer"), params)
        result: Result = {"LastModified": found.modified_ms // 1000, **shown_version(bucket, found)}
        checksum = shown_checksum(found.facts)
        if "ETag" in wanted:
            result["ETag"] = found.etag
        if "Checksum" in wanted and checksum:
            result["Checksum"] = {name: value.partition("-")[0] for name, value in checksum.items()}
        if "ObjectParts" in wanted and found.parts is not None:
            result["ObjectParts"] = _parts(found, params)
        if "StorageClass" in wanted:
            result["StorageClass"] = found.facts.get("storage_class", "STANDARD")
        if "ObjectSize" in wanted:
            result["ObjectSize"] = found.size
        return result


def no_attributes() -> ServiceError:
    sentence = "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty"
    return ServiceError("InvalidRequest", sentence)


def _parts(found: ObjectVersion, params: Mapping[str, Any]) -> dict[str, Any]:
    """Single parts are shown where they have checksums of their own (recorded: full_object shows their count only)."""
    assert found.parts is not None
    shown: dict[str, Any] = {"TotalPartsCount": len(found.parts)}
    checksum = found.facts.get("checksum")
    if checksum is None or checksum["type"] != COMPOSITE:
        return shown
    after, limit = params.get("PartNumberMarker") or 0, min(params.get("MaxParts", _PAGE), _PAGE)
    rest = [part for part in found.parts if part.number > after]
    page = rest[:limit]
    shown |= {
        "PartNumberMarker": after,
        "NextPartNumberMarker": page[-1].number if page else 0,
        "MaxParts": limit,
        "IsTruncated": len(rest) > limit,
        "Parts": [
            {"PartNumber": part.number, "Size": part.size, f"Checksum{checksum['algorithm']}": part.checksum}
            for part in page
        ],
    }
    return shown
