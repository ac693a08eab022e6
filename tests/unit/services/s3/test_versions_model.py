"""Versions and their lists against a model that a child could check, on both engines."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cosset.services.s3.listing import Walk, list_latest, list_versions
from cosset.services.s3.model import Bucket, Versioning
from cosset.services.s3.object_files import Stored
from cosset.services.s3.versions import (
    NULL_VERSION,
    ObjectVersion,
    delete_latest,
    delete_version,
    find_latest,
    find_version,
    given_at_ms,
    new_version_id,
    put_version,
    was_given,
)
from cosset.store.database import Store
from cosset.store.transaction import Transaction
from support.stores import OpenStore

KEYS = ("a", "a/b", "a/b/c", "a/c", "b", "é/x", "\U0001f600", "z")
Step = tuple[str, Any]
STEPS: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(KEYS)),
    st.tuples(st.just("put"), st.sampled_from(KEYS)),
    st.tuples(st.just("delete"), st.sampled_from(KEYS)),
    st.tuples(st.just("purge"), st.integers(0, 40)),
    st.tuples(st.just("versioning"), st.sampled_from([Versioning.ENABLED, Versioning.SUSPENDED])),
)


@dataclass
class Model:
    """Of each key its versions, the newest first: (id, is a delete marker)."""

    keys: dict[str, list[tuple[str, bool]]] = field(default_factory=dict)

    def put(self, key: str, version: str, *, is_marker: bool) -> None:
        versions = [each for each in self.keys.get(key, []) if not (version == NULL_VERSION and each[0] == version)]
        self.keys[key] = [(version, is_marker), *versions]

    def purge(self, key: str, version: str) -> None:
        self.keys[key] = [each for each in self.keys[key] if each[0] != version]
        if not self.keys[key]:
            del self.keys[key]

    def versions(self) -> list[tuple[str, str]]:
        return [(key, version) for key in sorted(self.keys, key=str.encode) for version, _ in self.keys[key]]

    def current(self) -> list[str]:
        return [key for key in sorted(self.keys, key=str.encode) if not self.keys[key][0][1]]

    def folded(self, names: Sequence[str], prefix: str, delimiter: str) -> list[str]:
        found: list[str] = []
        for name in names:
            if not name.startswith(prefix):
                continue
            end = name.find(delimiter, len(prefix)) if delimiter else -1
            entry = name if end < 0 else name[: end + len(delimiter)]
            if end < 0 or entry not in found:
                found.append(entry)
        return found


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, max_size=25), page=st.integers(1, 4), prefix=st.sampled_from(["", "a", "a/", "x"]))
def test_versions_are_as_in_the_model(open_store: OpenStore, steps: list[Step], page: int, prefix: str) -> None:
    async def main() -> None:
        async with open_store() as store:
            bucket = Bucket(f"b{uuid4().hex}", "0" * 12, "us-east-1", 0)
            model = await live(store, bucket, steps)
            for delimiter in ("", "/"):
                await check_lists(store, bucket, model, prefix, delimiter, page)

    asyncio.run(main())


async def live(store: Store, bucket: Bucket, steps: list[Step]) -> Model:
    model = Model()
    for number, (step, value) in enumerate(steps):
        if step == "versioning":
            bucket = replace(bucket, versioning=value)
        elif step == "put":
            new = ObjectVersion(value, "", True, False, 1, "e", number, Stored(inline=b"x"))
            replaced = await store.write(lambda tx, new=new, bucket=bucket: put_version(tx, bucket, new))
            assert replaced.version is not None
            model.put(value, replaced.version.version, is_marker=False)
        elif step == "delete":
            done = await store.write(
                lambda tx, key=value, bucket=bucket, at=number: delete_latest(tx, bucket, key, "0" * 12, at)
            )
            if done.version is not None:
                model.put(value, done.version.version, is_marker=True)
            else:
                model.keys.pop(value, None)
        elif model.versions():
            key, version = model.versions()[value % len(model.versions())]
            await store.write(lambda tx, key=key, version=version, bucket=bucket: purge(tx, bucket, key, version))
            model.purge(key, version)
        await check_latest(store, bucket, model)
    return model


def purge(tx: Transaction, bucket: Bucket, key: str, version: str) -> None:
    found = find_version(tx, bucket.name, key, version)
    assert found is not None
    delete_version(tx, bucket, found)


async def check_latest(store: Store, bucket: Bucket, model: Model) -> None:
    for key in KEYS:
        latest = await store.read(lambda tx, key=key: find_latest(tx, bucket.name, key))
        expected = model.keys.get(key)
        assert (latest and (latest.version, latest.is_marker)) == (expected and expected[0])


async def check_lists(store: Store, bucket: Bucket, model: Model, prefix: str, delimiter: str, page: int) -> None:
    base = Walk(bucket.name, prefix.encode(), delimiter.encode())
    current: list[str] = []
    walk, more = base, True
    while more:
        found, more = await store.read(lambda tx, walk=walk: list_latest(tx, walk, page))
        current += [each.name.decode() for each in found]
        walk = replace(base, after=found[-1].name) if found else walk
    assert current == model.folded(model.current(), prefix, delimiter)
    versions: list[str] = []
    walk, more = base, True
    while more:
        found, more = await store.read(lambda tx, walk=walk: list_versions(tx, walk, page))
        versions += [each.name.decode() for each in found]
        if found:
            last = found[-1]
            walk = replace(base, after=last.name, below=None if last.row is None else last.row.seq)
    assert versions == model.folded([key for key, _ in model.versions()], prefix, delimiter)


@pytest.mark.parametrize("now_ms", [0, 1, 1_790_000_000_000])
def test_an_id_says_to_us_that_it_was_given_and_when(now_ms: int) -> None:
    version = new_version_id(now_ms)
    assert len(version) == 32
    assert given_at_ms(version) == now_ms
    assert was_given(NULL_VERSION)
    changed = ("A" if version[0] != "A" else "B") + version[1:]
    for wrong in (changed, version[:-1], "", "HPniJFCxqTsMuIH9KX8K8wEjNUgmABCD", "é" * 32):
        assert not was_given(wrong)
