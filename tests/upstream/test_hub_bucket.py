"""A bucket through the hub's real client, on a stub of the Hub: files come back as written, and each failure is said."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from hfchat.errors import StoreUnavailable
from hfchat.upstream.hub_bucket import MAX_THREADS, HubBucket
from tests.support.bucket_hub import BucketHub, bucket_hub

pytestmark = pytest.mark.anyio


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[BucketHub]:
    with bucket_hub(tmp_path) as stub:
        yield stub


def bucket_of(hub: BucketHub, **options: Any) -> HubBucket:
    return HubBucket("hf://buckets/me/ledger", **{"hf_token": hub.token, "endpoint": hub.url, **options})


async def test_files_are_written_listed_read_and_deleted(hub: BucketHub) -> None:
    bucket = bucket_of(hub)
    assert await bucket.private()
    assert await bucket.names() == []
    large = bytes(range(256)) * 1000
    await bucket.write("states/1", b"one")
    await bucket.write("states/2", large)
    assert sorted(await bucket.names()) == ["states/1", "states/2"]
    assert await bucket.read("states/1") == b"one"
    assert await bucket.read("states/2") == large
    await bucket.delete(["states/1"])
    assert await bucket.names() == ["states/2"]


async def test_a_public_bucket_is_seen(hub: BucketHub) -> None:
    hub.private = False
    assert not await bucket_of(hub).private()


FAILURES: dict[str, tuple[dict[str, int], Callable[[HubBucket], Any], str]] = {
    "no bucket": ({"info": 404}, HubBucket.private, "there is no hf://buckets/me/ledger"),
    "may not read": ({"tree": 403}, HubBucket.names, "HUGGINGFACE_API_TOKEN may not"),
    "may not write": ({"batch": 403}, lambda bucket: bucket.write("a", b"x"), "HUGGINGFACE_API_TOKEN may not"),
    "no storage": ({"batch": 402}, lambda bucket: bucket.write("a", b"x"), "answered 402"),
    "too many requests": ({"info": 429}, HubBucket.private, "answered 429"),
    "the Hub is down": ({"info": 500}, HubBucket.private, "answered 500"),
    "no such file": ({}, lambda bucket: bucket.read("a"), "a file of it is missing"),
    "nothing to delete": ({}, lambda bucket: bucket.delete(["a"]), "me/ledger"),
}


@pytest.mark.parametrize(("failing", "call", "sentence"), FAILURES.values(), ids=FAILURES)
async def test_a_failure_is_said(
    hub: BucketHub, failing: dict[str, int], call: Callable[[HubBucket], Any], sentence: str
) -> None:
    hub.failing = failing
    with pytest.raises(StoreUnavailable) as failed:
        await call(bucket_of(hub))
    assert sentence in str(failed.value.__cause__)
    assert hub.token not in str(failed.value.__cause__)


async def test_a_token_that_is_wrong_is_said(hub: BucketHub) -> None:
    with pytest.raises(StoreUnavailable) as failed:
        await bucket_of(hub, hf_token="hf_of_another").names()
    assert "HUGGINGFACE_API_TOKEN may not" in str(failed.value.__cause__)


async def test_a_late_answer_is_given_up_and_hanging_calls_are_bounded(hub: BucketHub) -> None:
    hub.delay_s = 0.1
    bucket = bucket_of(hub, timeout_s=0.01)
    calls = await asyncio.gather(*(bucket.names() for _ in range(MAX_THREADS + 1)), return_exceptions=True)
    says = [str(call.__cause__) for call in calls if isinstance(call, StoreUnavailable)]
    assert says == ["the Hub did not answer within 0.01 s"] * MAX_THREADS + [f"{MAX_THREADS} requests to the Hub hang"]


async def test_a_lost_acknowledgement_is_a_failure(hub: BucketHub) -> None:
    hub.unacknowledged = True
    bucket = bucket_of(hub, timeout_s=0.5)
    with pytest.raises(StoreUnavailable):
        await bucket.write("states/1", b"one")
    assert await bucket.names() == ["states/1"]


async def test_no_server_is_said(tmp_path: Path) -> None:
    with bucket_hub(tmp_path) as stopped:
        bucket = bucket_of(stopped, timeout_s=0.5)
    with pytest.raises(StoreUnavailable):
        await bucket.names()
