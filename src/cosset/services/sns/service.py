"""SNS as this installation serves it: topics, subscriptions of queues, functions and HTTP endpoints, publishing.

E-mail, and what leaves for telephones, are not there and say so by name; platform applications are kept as data.
"""

from cosset.clock import Clock
from cosset.services.operation import Service
from cosset.services.sns.deliveries import Deliveries
from cosset.services.sns.platforms import Platforms
from cosset.services.sns.publishing import Publishing
from cosset.services.sns.subscriptions import Subscriptions
from cosset.services.sns.telephones import Telephones
from cosset.services.sns.topics import Topics
from cosset.store.database import Store


def sns_service(store: Store, deliveries: Deliveries, publishing: Publishing, clock: Clock) -> Service:
    parts = [
        Topics(store),
        Subscriptions(store, deliveries, clock),
        publishing,
        Platforms(store),
        Telephones(store),
    ]
    return Service.of("sns", parts, validation_code="ValidationError")
