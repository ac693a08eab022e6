"""What others must know of S3 before it is imported."""

CHANGES = "s3"
"""Announced, with the bucket's name, when what the evaluator or the door knows of a bucket changes."""

NOTIFICATIONS = "s3-notifications"
"""The durable queue of notifications on their way: what is in it is delivered by whichever node finds it."""

REPLICATION = "s3-replication"
"""The durable queue of versions that are to be in other buckets, too."""

REQUEST_PAYER = "cosset:requestpayer"
"""A condition key of our own: who is to pay for the call, as the caller says."""

POSTED = "PostedByForm"
"""Beside the parameters of PutObject, where a browser's form brought the object: no call can say so by itself."""

IF_RANGE = "IfRange"
"""Beside the parameters of GetObject and HeadObject: the range counts where the object is still this one."""
