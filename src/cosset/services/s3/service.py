"""S3 as this installation serves it."""

from cosset.clock import Clock
from cosset.services.operation import Service
from cosset.services.s3.buckets import Buckets
from cosset.store.database import Store


def s3_service(store: Store, clock: Clock) -> Service:
    return Service.of("s3", [Buckets(store, clock)])
