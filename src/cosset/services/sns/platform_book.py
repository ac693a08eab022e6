"""Platform applications and their endpoints: what they are called, and their rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import and_, delete, insert, select, tuple_, update

from cosset.services.sns.errors import invalid
from cosset.services.sns.tables import sns_platform_applications as applications
from cosset.services.sns.tables import sns_platform_endpoints as endpoints
from cosset.store.transaction import Transaction
from cosset.wire.errors import ServiceError


@dataclass(frozen=True, slots=True)
class ApplicationKey:
    account: str
    region: str
    platform: str
    name: str

    @property
    def arn(self) -> str:
        return f"arn:aws:sns:{self.region}:{self.account}:app/{self.platform}/{self.name}"

    @classmethod
    def of_arn(cls, arn: str) -> "ApplicationKey":
        """Raises ServiceError InvalidParameter."""
        account, region, path = _path_of(arn, "PlatformApplicationArn", "app", 3)
        return cls(account, region, path[1], path[2])


@dataclass(frozen=True, slots=True)
class EndpointKey:
    application: ApplicationKey
    id: str

    @property
    def arn(self) -> str:
        of = self.application
        return f"arn:aws:sns:{of.region}:{of.account}:endpoint/{of.platform}/{of.name}/{self.id}"

    @classmethod
    def of_arn(cls, arn: str, parameter: str = "EndpointArn") -> "EndpointKey":
        """Raises ServiceError InvalidParameter."""
        account, region, path = _path_of(arn, parameter, "endpoint", 4)
        return cls(ApplicationKey(account, region, path[1], path[2]), path[3])


@dataclass(frozen=True, slots=True)
class PlatformEndpoint:
    """`attributes` are those shown, but for the token."""

    key: EndpointKey
    token: str
    attributes: Mapping[str, str]

    @property
    def shown(self) -> dict[str, str]:
        return {**self.attributes, "Token": self.token}


def _path_of(arn: str, parameter: str, kind: str, parts: int) -> tuple[str, str, list[str]]:
    """Account, region and the relative portion, in its parts."""
    elements = arn.split(":")
    if len(elements) < 6:
        raise invalid(f"{parameter} Reason: An ARN must have at least 6 elements, not {len(elements)}")
    path = elements[5].split("/")
    if len(path) != parts:
        # Recorded: test_set_platform_endpoint_attributes_invalid_arn.
        raise invalid(f"{parameter} Reason: Wrong number of slashes in relative portion of the ARN.")
    if elements[:3] != ["arn", "aws", "sns"] or len(elements) != 6 or path[0] != kind or not all(path):
        raise invalid(parameter)
    return elements[4], elements[3], path


def need_application(tx: Transaction, key: ApplicationKey) -> Mapping[str, str]:
    """Its attributes. Raises ServiceError NotFound."""
    found = tx.execute(select(applications.c.attributes).where(_is(key))).one_or_none()
    if found is None:
        raise ServiceError("NotFound", "PlatformApplication does not exist", status=404)
    return dict(found.attributes)


def put_application(tx: Transaction, key: ApplicationKey, attributes: Mapping[str, str], credentials: str) -> None:
    """Credentials are written over by those that are given; an empty object leaves them."""
    values: dict[str, Any] = {"attributes": dict(attributes)}
    if credentials != "{}":
        values["credentials"] = credentials
    if tx.execute(update(applications).where(_is(key)).values(**values)).rowcount:
        return
    of = {"account": key.account, "region": key.region, "platform": key.platform, "name": key.name}
    tx.execute(insert(applications).values(**of, **{"credentials": credentials, **values}))


def remove_application(tx: Transaction, key: ApplicationKey) -> None:
    """With its endpoints."""
    tx.execute(delete(endpoints).where(_of(key)))
    tx.execute(delete(applications).where(_is(key)))


def list_applications(
    tx: Transaction, account: str, region: str, after: Sequence[str], limit: int
) -> list[tuple[ApplicationKey, Mapping[str, str]]]:
    columns = applications.c
    place = tuple_(columns.platform, columns.name)
    query = select(columns.platform, columns.name, columns.attributes).where(
        columns.account == account, columns.region == region, place > tuple(after)
    )
    rows = tx.execute(query.order_by(columns.platform, columns.name).limit(limit))
    return [(ApplicationKey(account, region, row.platform, row.name), dict(row.attributes)) for row in rows]


def find_endpoint(tx: Transaction, key: EndpointKey) -> PlatformEndpoint | None:
    row = tx.execute(select(endpoints).where(_of(key.application), endpoints.c.id == key.id)).one_or_none()
    return None if row is None else PlatformEndpoint(key, row.token, dict(row.attributes))


def need_endpoint(tx: Transaction, key: EndpointKey) -> PlatformEndpoint:
    """Raises ServiceError NotFound."""
    found = find_endpoint(tx, key)
    if found is None:
        raise ServiceError("NotFound", "Endpoint does not exist", status=404)
    return found


def find_by_token(tx: Transaction, key: ApplicationKey, token: str) -> PlatformEndpoint | None:
    row = tx.execute(select(endpoints).where(_of(key), endpoints.c.token == token)).first()
    return None if row is None else PlatformEndpoint(EndpointKey(key, row.id), row.token, dict(row.attributes))


def add_endpoint(tx: Transaction, key: ApplicationKey, token: str, attributes: Mapping[str, str]) -> EndpointKey:
    made = EndpointKey(key, str(uuid4()))
    of = {"account": key.account, "region": key.region, "platform": key.platform, "application": key.name}
    tx.execute(insert(endpoints).values(**of, id=made.id, token=token, attributes=dict(attributes)))
    return made


def change_endpoint(tx: Transaction, key: EndpointKey, token: str, attributes: Mapping[str, str]) -> None:
    here = and_(_of(key.application), endpoints.c.id == key.id)
    tx.execute(update(endpoints).where(here).values(token=token, attributes=dict(attributes)))


def remove_endpoint(tx: Transaction, key: EndpointKey) -> None:
    tx.execute(delete(endpoints).where(_of(key.application), endpoints.c.id == key.id))


def list_endpoints(tx: Transaction, key: ApplicationKey, after: str, limit: int) -> list[PlatformEndpoint]:
    query = select(endpoints).where(_of(key), endpoints.c.id > after).order_by(endpoints.c.id).limit(limit)
    rows = tx.execute(query)
    return [PlatformEndpoint(EndpointKey(key, row.id), row.token, dict(row.attributes)) for row in rows]


def _is(key: ApplicationKey) -> Any:
    columns = applications.c
    here = and_(columns.account == key.account, columns.region == key.region)
    return and_(here, columns.platform == key.platform, columns.name == key.name)


def _of(key: ApplicationKey) -> Any:
    columns = endpoints.c
    here = and_(columns.account == key.account, columns.region == key.region)
    return and_(here, columns.platform == key.platform, columns.application == key.name)
