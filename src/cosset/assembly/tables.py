"""Every table there is: imported before the store is opened, so that all of them are made, and sealed anew, together.

A service is imported when it is first called; what it keeps must be there before. A `tables.py` imports SQLAlchemy and
nothing of its room.
"""

from cosset.functions import tables as functions
from cosset.functions import url_tables
from cosset.invocation import tables as invocation
from cosset.services.cloudwatch import tables as cloudwatch
from cosset.services.iam import tables as iam
from cosset.services.installation import tables as installation
from cosset.services.logs import tables as logs
from cosset.services.s3 import tables as s3
from cosset.services.sns import tables as sns
from cosset.services.sqs import tables as sqs
from cosset.store import metric_tables, queue_tables
from cosset.triggers import tables as triggers

EVERY_TABLE = (
    *(cloudwatch, functions, iam, installation, invocation, logs, metric_tables, queue_tables, s3, sns, sqs, triggers),
    url_tables,
)
