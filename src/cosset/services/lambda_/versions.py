"""The operations on versions."""

from cosset.functions.registry import Functions
from cosset.services.lambda_.configuration import write_configuration, write_published
from cosset.services.lambda_.paging import page_size, read_marker, write_marker
from cosset.services.lambda_.references import key_of, on_function
from cosset.services.operation import Context, Params, Result, operation


class VersionOperations:
    """Handlers; the requirements stand beside each."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions

    @operation("PublishVersion", on_function("PublishVersion"))
    async def publish_version(self, ctx: Context, params: Params) -> Result:
        version = await self._functions.versions.publish(
            key_of(ctx, params),
            description=params.get("Description"),
            code_sha256=params.get("CodeSha256"),
            revision_id=params.get("RevisionId"),
        )
        return write_published(version)

    @operation("ListVersionsByFunction", on_function("ListVersionsByFunction"))
    async def list_versions_by_function(self, ctx: Context, params: Params) -> Result:
        size = page_size(params.get("MaxItems"))
        position = read_marker(params.get("Marker"), of=(int,))
        found = await self._functions.versions.list(
            key_of(ctx, params), after=-1 if position is None else int(position[0]), limit=size + 1
        )
        result: Result = {
            "Versions": [
                write_configuration(version, qualifier=version.version, listed=True) for version in found[:size]
            ]
        }
        if len(found) > size:
            result["NextMarker"] = write_marker([found[size - 1].number])
        return result
