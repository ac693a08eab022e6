"""The way in, wired: the services, function URLs, the door."""

from collections.abc import Sequence

from cosset.assembly.bucket_logs import BucketLogs
from cosset.assembly.buckets import make_bucket_ways, make_s3, make_s3control
from cosset.assembly.eventing import Eventing
from cosset.assembly.ground import Ground
from cosset.assembly.invocation import Running
from cosset.assembly.queues import make_sqs
from cosset.clock import Clock
from cosset.environments.pool import Pool
from cosset.gateway.call_steps import CallSteps
from cosset.gateway.door import Door
from cosset.gateway.function_urls import FunctionUrlGate
from cosset.gateway.health import PATH as HEALTH_PATH
from cosset.gateway.health import Health
from cosset.gateway.metrics_page import PATH as METRICS_PATH
from cosset.gateway.metrics_page import MetricsPage, process_gauges, read_token
from cosset.gateway.own_operations import PATH as OWN_PATH
from cosset.gateway.own_operations import OwnOperations
from cosset.gateway.plain import PlainRoute
from cosset.identity.authorizer import PolicyAuthorizer
from cosset.invocation.destinations import DeliveryRights
from cosset.services.lambda_.code_links import PATH as CODE_PATH
from cosset.services.lambda_.code_links import CodeLinks
from cosset.services.lambda_.url_calls import UrlCalls
from cosset.services.operation import AnyService, LateService, Service
from cosset.services.sns.places import CERTIFICATE_PATH
from cosset.settings import Settings
from cosset.wire.models import Catalogue


def make_services(
    settings: Settings,
    ground: Ground,
    running: Running,
    eventing: Eventing,
    rights: DeliveryRights,
    links: CodeLinks,
    authorizer: PolicyAuthorizer,
    clock: Clock,
) -> Sequence[AnyService]:
    """Each is imported and made when it is first called: a node with many services starts as fast as one with few."""

    def make_lambda() -> Service:
        from cosset.services.lambda_.service import lambda_service
        from cosset.triggers.mappings import EventSourceMappings

        functions = running.functions
        mappings = EventSourceMappings(ground.store, functions, eventing.triggers.sources, rights, clock)
        return lambda_service(functions, running.dispatcher, links, mappings, running.provisioner)

    def make_iam() -> Service:
        from cosset.services.iam.service import iam_service

        return iam_service(ground.store, clock)

    def make_sts() -> Service:
        from cosset.services.iam.mfa_devices import MfaBook
        from cosset.services.iam.oidc_book import OidcBook
        from cosset.services.sts.service import sts_service

        return sts_service(
            ground.directory, ground.directory.sessions, OidcBook(ground.store), MfaBook(ground.store, clock), clock
        )

    def make_logs() -> Service:
        from cosset.services.logs.service import logs_service

        filters, exports = eventing.subscriptions, eventing.exports.operations()
        return logs_service(ground.store, ground.segments, filters, filters, clock, exports)

    def make_cloudwatch() -> Service:
        from cosset.services.cloudwatch.service import cloudwatch_service

        return cloudwatch_service(ground.store, ground.metrics, clock)

    makers = {
        "lambda": make_lambda,
        "iam": make_iam,
        "sts": make_sts,
        "logs": make_logs,
        "cloudwatch": make_cloudwatch,
        "sqs": lambda: make_sqs(ground, clock),
        "sns": eventing.topics.service,
        "s3": lambda: make_s3(settings, ground, authorizer, eventing.notifications, eventing.replications, clock),
        "s3control": lambda: make_s3control(ground),
    }
    return [LateService(name, make) for name, make in makers.items()]


def make_own_operations(
    settings: Settings, ground: Ground, authorizer: PolicyAuthorizer, clock: Clock
) -> OwnOperations:
    def make() -> Service:
        from cosset.assembly.configured_edges import ConfiguredEdgesOf
        from cosset.services.iam.accounts import AccountBook
        from cosset.services.installation.service import installation_service

        book = AccountBook(ground.store, clock, ground.directory.account)
        configured = ConfiguredEdgesOf(ground.store, clock)
        return installation_service(
            ground.access_log,
            book,
            ground.metrics,
            ground.meter,
            ground.causes,
            configured,
            clock,
            audit=settings.dev,
        )

    return OwnOperations(
        LateService("cosset", make),
        keys=ground.directory,
        authorizer=authorizer,
        clock=clock,
        max_clock_skew_s=settings.max_clock_skew_s,
    )


def make_urls(
    settings: Settings, ground: Ground, running: Running, authorizer: PolicyAuthorizer, clock: Clock
) -> FunctionUrlGate:
    return FunctionUrlGate(
        running.functions.urls,
        UrlCalls(running.dispatcher),
        keys=ground.directory,
        authorizer=authorizer,
        clock=clock,
        max_clock_skew_s=settings.max_clock_skew_s,
        meter=ground.meter,
    )


def make_metrics_page(ground: Ground, pool: Pool) -> MetricsPage:
    def gauges() -> dict[str, float]:
        found = {"cosset_environments_alive": float(pool.alive), "cosset_environments_idle": float(pool.idle)}
        return found | process_gauges()

    return MetricsPage(read_token(ground.data), ground.meter, gauges)


def make_door(
    settings: Settings,
    ground: Ground,
    running: Running,
    eventing: Eventing,
    services: Sequence[AnyService],
    links: CodeLinks,
    health: Health,
    bucket_logs: BucketLogs,
    authorizer: PolicyAuthorizer,
    clock: Clock,
) -> Door:
    return Door(
        services=services,
        keys=ground.directory,
        authorizer=authorizer,
        settings=settings,
        clock=clock,
        catalogue=Catalogue(alone=True),
        routes=[
            PlainRoute("GET", HEALTH_PATH, health.answer),
            PlainRoute("GET", METRICS_PATH, make_metrics_page(ground, running.pool).answer),
            PlainRoute("GET", CODE_PATH, links.answer),
            PlainRoute("GET", CERTIFICATE_PATH, eventing.topics.certificate),
            PlainRoute("POST", OWN_PATH, make_own_operations(settings, ground, authorizer, clock).answer),
        ],
        urls=make_urls(settings, ground, running, authorizer, clock),
        uses=ground.uses,
        steps=CallSteps(ground.causes, ground.underway.header_of, clock),
        buckets=lambda door: make_bucket_ways(settings, ground, bucket_logs, door, clock),
    )
