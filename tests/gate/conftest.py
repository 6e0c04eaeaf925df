"""The provider with whom people sign in, one for the files that need it; as it was made, in each test."""

from collections.abc import Iterator

import pytest

from tests.support.openid_provider import OpenIdProvider, openid_provider


@pytest.fixture(scope="module")
def shared_provider() -> Iterator[OpenIdProvider]:
    with openid_provider() as provider:
        yield provider


@pytest.fixture
def provider(shared_provider: OpenIdProvider) -> OpenIdProvider:
    shared_provider.reset()
    return shared_provider
