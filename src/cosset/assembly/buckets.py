"""S3, wired: made when it is first called."""

from cosset.assembly.ground import Ground
from cosset.clock import Clock
from cosset.services.operation import Service
from cosset.settings import Settings


def make_s3(settings: Settings, ground: Ground, clock: Clock) -> Service:
    from cosset.services.s3.object_files import ObjectFiles
    from cosset.services.s3.service import s3_service

    files = ObjectFiles(ground.data / "objects", min_free_mb=settings.min_free_mb)
    return s3_service(ground.store, files, clock)
