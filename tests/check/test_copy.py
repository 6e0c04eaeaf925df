"""What `check` says of the ledger's copy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hfchat.check.machine import ask_copy
from hfchat.upstream.hub_bucket import HubBucket
from tests.support.bucket_hub import BucketHub, bucket_hub

pytestmark = pytest.mark.anyio


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[BucketHub]:
    with bucket_hub(tmp_path) as stub:
        yield stub


def bucket_of(hub: BucketHub) -> HubBucket:
    return HubBucket("hf://buckets/me/ledger", hf_token=hub.token, endpoint=hub.url)


async def test_a_private_bucket_that_takes_changes_is_good_and_is_left_as_it_was(hub: BucketHub) -> None:
    assert (await ask_copy(bucket_of(hub))).reason == "copy_writable"
    assert hub.files == {}
    assert hub.requests.count("POST batch") == 2


async def test_a_public_bucket_is_wrong(hub: BucketHub) -> None:
    hub.private = False
    assert (await ask_copy(bucket_of(hub))).reason == "copy_public"


ROUTES = [("info", "there is no"), ("tree", "may not"), ("batch", "may not"), ("xet-write-token", "may not")]


@pytest.mark.parametrize(("route", "cause"), ROUTES)
async def test_what_the_hub_refuses_is_said(hub: BucketHub, route: str, cause: str) -> None:
    hub.failing = {route: 404 if route == "info" else 403}
    answer = await ask_copy(bucket_of(hub))
    assert (answer.status, answer.reason) == ("wrong", "copy_refuses")
    assert cause in answer.words("en").says
    assert "HUGGINGFACE_API_TOKEN" in answer.words("es").fix


async def test_other_files_are_wrong(hub: BucketHub) -> None:
    hub.files["notes.txt"] = {"type": "file", "path": "notes.txt", "size": 1, "xetHash": "a"}
    assert "notes.txt" in (await ask_copy(bucket_of(hub))).words("en").says
