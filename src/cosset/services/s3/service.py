"""S3 as this installation serves it."""

from cosset.clock import Clock
from cosset.services.operation import Service
from cosset.services.s3.buckets import Buckets
from cosset.services.s3.deletes import Deletes
from cosset.services.s3.lists import Lists
from cosset.services.s3.object_files import ObjectFiles
from cosset.services.s3.objects import Objects
from cosset.store.database import Store


def s3_service(store: Store, files: ObjectFiles, clock: Clock) -> Service:
    parts = [Buckets(store, clock), Objects(store, files, clock), Deletes(store, files, clock), Lists(store)]
    return Service.of("s3", parts)
