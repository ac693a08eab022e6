"""S3 Control: what is said of buckets at the level of the account. Of its many operations block public access, and
tags of buckets."""

from cosset.services.operation import Service
from cosset.services.s3.account_blocks import AccountBlocks
from cosset.services.s3.resource_tags import ResourceTags
from cosset.store.database import Store


def s3control_service(store: Store) -> Service:
    return Service.of("s3control", [AccountBlocks(store), ResourceTags(store)])
