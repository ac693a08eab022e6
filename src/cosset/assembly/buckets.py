"""S3, wired: made when it is first called."""

from collections.abc import Sequence

from cosset.assembly.ground import Ground
from cosset.assembly.notifications import BucketNotifications
from cosset.clock import Clock
from cosset.identity.ports import Authorizer, Requirement
from cosset.services.operation import Context, Service
from cosset.settings import Settings
from cosset.wire.errors import ServiceError


def make_s3(
    settings: Settings, ground: Ground, authorizer: Authorizer, notifications: BucketNotifications, clock: Clock
) -> Service:
    from cosset.services.s3.object_files import ObjectFiles
    from cosset.services.s3.service import s3_service

    files = ObjectFiles(ground.data / "objects", min_free_mb=settings.min_free_mb)
    return s3_service(ground.store, files, clock, CallersRights(authorizer), notifications.operations())


class CallersRights:
    """Implements services.s3.ports.Rights with the one evaluator."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def may(self, ctx: Context, needed: Sequence[Requirement]) -> bool:
        try:
            await self._authorizer.authorize(ctx.principal, needed, ctx.call)
        except ServiceError as error:
            if error.status == 403:
                return False
            raise
        return True
