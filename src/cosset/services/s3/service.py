"""S3 as this installation serves it."""

from dataclasses import replace

from cosset.clock import Clock
from cosset.services.operation import Service
from cosset.services.s3.attributes import Attributes
from cosset.services.s3.bucket_parts import bucket_parts, owners_checked
from cosset.services.s3.completions import Completions
from cosset.services.s3.copies import Copies
from cosset.services.s3.deletes import Deletes
from cosset.services.s3.finding import Finder
from cosset.services.s3.lists import Lists
from cosset.services.s3.mfa_deletes import MfaDeletes
from cosset.services.s3.multipart import Multipart
from cosset.services.s3.notifications import Notifications
from cosset.services.s3.object_acls import ObjectAcls
from cosset.services.s3.object_encryption import ObjectEncryption
from cosset.services.s3.object_files import ObjectFiles
from cosset.services.s3.object_locks import ObjectLocks
from cosset.services.s3.object_tags import ObjectTags
from cosset.services.s3.object_writes import ObjectWrites
from cosset.services.s3.objects import Objects
from cosset.services.s3.ports import Rights, SecondFactors
from cosset.services.s3.replication_outbox import Hearers, ReplicationOutbox
from cosset.services.s3.restores import Restores
from cosset.services.s3.selections import Selections
from cosset.services.s3.upload_lists import UploadLists
from cosset.services.s3.version_lists import VersionLists
from cosset.store.database import Store


def s3_service(
    store: Store,
    files: ObjectFiles,
    clock: Clock,
    rights: Rights,
    notifications: Notifications,
    replication: ReplicationOutbox,
    devices: SecondFactors,
) -> Service:
    events = Hearers((notifications.outbox, replication))
    writes, finder = ObjectWrites(store, files, clock, events), Finder(store, rights)
    multipart, mfa = Multipart(writes), MfaDeletes(devices)
    parts = [
        *bucket_parts(store, files, clock, mfa),
        notifications,
        Objects(writes, finder),
        Copies(writes, finder, multipart, rights),
        multipart,
        Completions(writes),
        Deletes(writes, rights, mfa),
        ObjectEncryption(writes),
        ObjectTags(writes, finder),
        ObjectAcls(writes, finder),
        ObjectLocks(writes, finder),
        Restores(writes),
        Attributes(finder),
        Selections(writes, finder),
        Lists(store),
        VersionLists(store),
        UploadLists(store),
    ]
    service = owners_checked(Service.of("s3", parts), store)
    reading = {name: replace(service.operations[name], refused=finder.refused) for name in ("GetObject", "HeadObject")}
    return replace(service, operations={**service.operations, **reading})
