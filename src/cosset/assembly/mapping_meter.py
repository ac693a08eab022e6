"""What the engine of mappings measures, taken to where it is kept."""

from cosset.observe.function_metrics import FunctionMeter, FunctionMetric, MeteredCall
from cosset.observe.mapping_metrics import MappingMetrics
from cosset.triggers.metrics import ITERATOR_AGE
from cosset.triggers.model import EventSourceMapping


class MappingMeter:
    """Implements triggers.metrics.TriggerMetrics: ages are the function's, counts of events the mapping's."""

    def __init__(self, meter: FunctionMeter, counts: MappingMetrics) -> None:
        self._meter = meter
        self._counts = counts

    def record(self, mapping: EventSourceMapping, name: str, value: float) -> None:
        if name == ITERATOR_AGE:
            function = mapping.function
            call = MeteredCall(function.key.account, function.key.region, function.key.name, function.qualifier)
            self._meter.measure(call, FunctionMetric.ITERATOR_AGE, value)
        else:
            self._counts.count(mapping.account, mapping.region, mapping.uuid, name, value)
