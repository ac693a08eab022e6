"""CloudWatch as this installation serves it: metrics, alarms, dashboards. Values are kept by `store/metrics.py`.

What functions do is measured by `observe/metric_buffer.py`, which writes to the same store. Alarms are evaluated by
`watch.py`, whether anybody calls this service or not.
"""

from cosset.clock import Clock
from cosset.services.cloudwatch.alarm_records import ACTIONS_QUEUE
from cosset.services.cloudwatch.alarms import Alarms
from cosset.services.cloudwatch.dashboards import Dashboards
from cosset.services.cloudwatch.datapoints import Datapoints
from cosset.services.cloudwatch.listing import Listing
from cosset.services.cloudwatch.metric_data import MetricData
from cosset.services.cloudwatch.metric_streams import MetricStreams
from cosset.services.cloudwatch.tags import Tags
from cosset.services.operation import Service
from cosset.store.database import Store
from cosset.store.metrics import MetricStore
from cosset.store.queue import DurableQueue


def cloudwatch_service(store: Store, metrics: MetricStore, clock: Clock) -> Service:
    parts = [
        Datapoints(metrics, clock),
        Listing(metrics, clock),
        MetricData(metrics, clock),
        Alarms(store, DurableQueue(store, ACTIONS_QUEUE, clock), clock),
        Dashboards(store, clock),
        MetricStreams(store, clock),
        Tags(store),
    ]
    return Service.of("cloudwatch", parts, validation_code="ValidationError")
