"""S3, wired: made when it is first called."""

from cosset.assembly.ground import Ground
from cosset.clock import Clock
from cosset.services.operation import Service


def make_s3(ground: Ground, clock: Clock) -> Service:
    from cosset.services.s3.service import s3_service

    return s3_service(ground.store, clock)
