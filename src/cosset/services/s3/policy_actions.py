"""The actions that bucket policies may name, in lower case: those about objects, and those about the bucket.

Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html. Actions on the account
(ListAllMyBuckets) are about neither.
"""


def _named(*lines: str) -> frozenset[str]:
    return frozenset(name.lower() for line in lines for name in line.split())


OBJECT_ACTIONS = _named(
    "AbortMultipartUpload BypassGovernanceRetention DeleteObject DeleteObjectTagging DeleteObjectVersion",
    "DeleteObjectVersionTagging GetObject GetObjectAcl GetObjectAttributes GetObjectLegalHold GetObjectRetention",
    "GetObjectTagging GetObjectTorrent GetObjectVersion GetObjectVersionAcl GetObjectVersionAttributes",
    "GetObjectVersionForReplication GetObjectVersionTagging GetObjectVersionTorrent InitiateReplication",
    "ListMultipartUploadParts ObjectOwnerOverrideToBucketOwner PutObject PutObjectAcl PutObjectLegalHold",
    "PutObjectRetention PutObjectTagging PutObjectVersionAcl PutObjectVersionTagging ReplicateDelete ReplicateObject",
    "ReplicateTags RestoreObject UpdateObjectEncryption",
)

CONDITION_KEYS = _named(
    "AccessGrantsInstanceArn AccessPointNetworkOrigin DataAccessPointAccount DataAccessPointArn DestinationRegion",
    "ExistingJobOperation ExistingJobPriority InventoryAccessibleOptionalFields JobSuspendedCause LocationConstraint",
    "ObjectCreationOperation RequestJobOperation RequestJobPriority RequestObjectTagKeys ResourceAccount TlsVersion",
    "VersionId authType delimiter if-match if-none-match isReplicationPauseRequest max-keys prefix replicationdate",
    "signatureAge signatureversion",
)
"""Of S3; those about tags (`ExistingObjectTag/security` ...), locks and headers are known by how they begin."""
CONDITION_KEY_STARTS = (
    *("accesspointtag/", "buckettag/", "existingobjecttag/", "requestobjecttag/", "object-lock-", "x-amz-"),
)

BUCKET_ACTIONS = _named(
    "CreateBucket CreateBucketMetadataTableConfiguration DeleteBucket DeleteBucketMetadataTableConfiguration",
    "DeleteBucketOwnershipControls DeleteBucketPolicy DeleteBucketWebsite GetAccelerateConfiguration",
    "GetAnalyticsConfiguration GetBucketAbac GetBucketAcl GetBucketCORS GetBucketLocation GetBucketLogging",
    "GetBucketMetadataTableConfiguration GetBucketNotification GetBucketObjectLockConfiguration",
    "GetBucketOwnershipControls GetBucketPolicy GetBucketPolicyStatus GetBucketPublicAccessBlock",
    "GetBucketRequestPayment GetBucketTagging GetBucketVersioning GetBucketWebsite GetEncryptionConfiguration",
    "GetIntelligentTieringConfiguration GetInventoryConfiguration GetLifecycleConfiguration GetMetricsConfiguration",
    "GetReplicationConfiguration ListBucket ListBucketMultipartUploads ListBucketVersions ListTagsForResource",
    "PauseReplication PutAccelerateConfiguration PutAnalyticsConfiguration PutBucketAbac PutBucketAcl PutBucketCORS",
    "PutBucketLogging PutBucketNotification PutBucketObjectLockConfiguration PutBucketOwnershipControls",
    "PutBucketPolicy PutBucketPublicAccessBlock PutBucketRequestPayment PutBucketTagging PutBucketVersioning",
    "PutBucketWebsite PutEncryptionConfiguration PutIntelligentTieringConfiguration PutInventoryConfiguration",
    "PutLifecycleConfiguration PutMetricsConfiguration PutReplicationConfiguration TagResource UntagResource",
    "UpdateBucketMetadataInventoryTableConfiguration UpdateBucketMetadataJournalTableConfiguration",
)
