"""The configurations of a bucket, by the name under which each is kept."""

from enum import StrEnum


class Kind(StrEnum):
    ACCELERATE = "accelerate"
    ACL = "acl"
    ANALYTICS = "analytics"
    CORS = "cors"
    ENCRYPTION = "encryption"
    INTELLIGENT_TIERING = "intelligent-tiering"
    INVENTORY = "inventory"
    LIFECYCLE = "lifecycle"
    LIFECYCLE_PASS = "lifecycle-pass"
    """When the rules were last carried out, in epoch milliseconds."""
    LOCATION = "location"
    """What the bucket was made with, where that is another name of its region."""
    LOGGING = "logging"
    METRICS = "metrics"
    MFA_DELETE = "mfa-delete"
    OBJECT_LOCK = "object-lock"
    OWNERSHIP = "ownership"
    POLICY = "policy"
    PUBLIC_ACCESS_BLOCK = "public-access-block"
    REPLICATION = "replication"
    REQUEST_PAYMENT = "request-payment"
    TAGS = "tags"
    WEBSITE = "website"
