"""S3, wired: made when it is first called."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cosset.assembly.bucket_logs import BucketLogs
from cosset.assembly.ground import Ground
from cosset.assembly.invocation import Outward
from cosset.assembly.notifications import BucketNotifications
from cosset.assembly.replication import BucketReplications
from cosset.clock import Clock
from cosset.gateway.bucket_ways import BucketWays, Calls
from cosset.identity.ports import Authorizer, Requirement
from cosset.services.operation import AnyService, Context, Service
from cosset.services.s3.destination import BucketDestination
from cosset.services.s3.lifecycle_watch import keep_lifecycle
from cosset.settings import Settings
from cosset.wire.errors import ServiceError

if TYPE_CHECKING:
    from cosset.services.s3.lifecycle import Lifecycle
    from cosset.services.s3.object_files import ObjectFiles

_FOLDER = "objects"
_LOOK_EVERY_S = 3_600


def open_files(settings: Settings, ground: Ground) -> "ObjectFiles":
    from cosset.services.s3.object_files import ObjectFiles

    return ObjectFiles(ground.data / _FOLDER, min_free_mb=settings.min_free_mb)


def make_s3(
    settings: Settings,
    ground: Ground,
    authorizer: Authorizer,
    notifications: BucketNotifications,
    replications: BucketReplications,
    clock: Clock,
) -> Service:
    from cosset.services.iam.mfa_devices import MfaBook
    from cosset.services.s3.service import s3_service

    files, rights = open_files(settings, ground), CallersRights(authorizer)
    devices = MfaBook(ground.store, clock)
    return s3_service(ground.store, files, clock, rights, notifications.operations(), replications.outbox(), devices)


def make_s3control(ground: Ground) -> Service:
    from cosset.services.s3.control import s3control_service

    return s3control_service(ground.store)


async def sweep_objects(ground: Ground, clock: Clock) -> None:
    """For a task: from the start on, or from when there first are objects. Nothing is imported before."""
    while not (ground.data / _FOLDER).is_dir():
        await clock.sleep(_LOOK_EVERY_S)
    from cosset.services.s3.object_files import ObjectFiles
    from cosset.services.s3.sweeps import Sweeps

    await Sweeps(ground.store, ObjectFiles(ground.data / _FOLDER), clock).serve()


def serve_bucket_destination(outward: Outward, services: Sequence[AnyService], ground: Ground, clock: Clock) -> None:
    """From here on records of failed events may go to buckets."""
    for service in services:
        if service.name == "s3":
            outward.destinations.serve("s3", BucketDestination(service, ground.causes, clock))


def make_bucket_ways(settings: Settings, ground: Ground, logs: BucketLogs, calls: Calls, clock: Clock) -> BucketWays:
    """The ways into buckets beside signed calls. Made on the first request for S3."""
    from cosset.gateway.post_forms import PostForms
    from cosset.gateway.sigv4 import Verifier
    from cosset.gateway.websites import Websites
    from cosset.services.s3.bucket_settings import BucketSettings

    configurations = BucketSettings(ground.store)
    forms = PostForms(calls, ground.directory, Verifier(clock, settings.max_clock_skew_s), clock)
    return BucketWays(configurations, logs.logs(), Websites(configurations, calls).answer, forms.answer)


async def serve_lifecycle(settings: Settings, ground: Ground, notifications: BucketNotifications, clock: Clock) -> None:
    """Carries out lifecycle rules until it is cancelled."""

    def make() -> "Lifecycle":
        from cosset.services.s3.lifecycle import Lifecycle

        files = open_files(settings, ground)
        return Lifecycle(ground.store, files, notifications.outbox(), clock, ground.causes)

    await keep_lifecycle(ground.store, clock, make)


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
