"""Factory of the parts, not of the application (see app.py): the verifier and the ledger from the settings, for the server and
the command line.
"""

from hfchat.auth.credit import Credit
from hfchat.auth.jwks import Jwks
from hfchat.auth.openid import OpenIdProvider
from hfchat.auth.verifier import Verifier
from hfchat.config.settings import Settings
from hfchat.ledger.bucket import Bucket
from hfchat.ledger.command_store import CommandStore
from hfchat.ledger.copied_store import COPY_TIMEOUT_S, CopiedStore
from hfchat.ledger.ledger import Ledger
from hfchat.ledger.open_store import open_store, sqlite_path
from hfchat.ledger.sqlite_store import SqliteStore
from hfchat.ledger.store import Store


def make_verifier(settings: Settings) -> Verifier:
    """The verifier of tokens, with the keys in the settings."""
    algorithms = settings.jwt_algorithms
    return Verifier(
        policy=settings.policy,
        secret=settings.signing_key,
        public_key=settings.jwt_public_key,
        jwks=Jwks(settings.jwt_jwks_url) if settings.jwt_jwks_url else None,
        algorithms=frozenset(algorithms) if algorithms else None,
        issuers=settings.jwt_issuer,
        audiences=settings.jwt_audience,
        required_scope=settings.jwt_required_scope,
        subject_claim=settings.jwt_subject_claim,
    )


def make_credit(settings: Settings) -> Credit:
    """Who pays for people who sign in with Hugging Face."""
    if not settings.hub_sign_in:
        return Credit()
    return Credit(frozenset(settings.hfchat_members), owner=not settings.offline, own=settings.own_credit)


def make_provider(settings: Settings, client_id: str, redirect_uri: str) -> OpenIdProvider:
    """Hugging Face, for the OAuth app in the settings, or else for the one with this `client_id`."""
    secret = settings.oauth_client_secret
    return OpenIdProvider(
        settings.openid_provider_url,
        settings.oauth_client_id or client_id,
        secret.get_secret_value() if secret else None,
        scopes=tuple(settings.oauth_scopes.split()),
        redirect_uri=redirect_uri,
    )


def make_ledger(settings: Settings, store: Store | None = None) -> Ledger:
    """The ledger on the store in the settings, or on this one."""
    if store is not None or settings.hfchat_store_copy is None:
        return Ledger(store or open_store(settings.hfchat_store))
    local = SqliteStore(sqlite_path(settings.hfchat_store))
    return Ledger(CopiedStore(local, make_bucket(settings)), timeout_s=COPY_TIMEOUT_S)


def make_command_ledger(settings: Settings) -> Ledger:
    """The ledger for a command, which may run beside the server: of two, one alone may use a copy."""
    if settings.hfchat_store_copy is None:
        return make_ledger(settings)
    return Ledger(CommandStore(make_bucket(settings)), timeout_s=COPY_TIMEOUT_S)


def make_bucket(settings: Settings, endpoint: str | None = None) -> Bucket:
    """The bucket of HFCHAT_STORE_COPY, which is set; `endpoint` is another Hub than the one that HF_ENDPOINT names."""
    from hfchat.upstream.hub_bucket import HubBucket  # the hub's client takes long to import

    hf_token = settings.huggingface_api_token
    return HubBucket(
        settings.hfchat_store_copy or "", hf_token=hf_token.get_secret_value() if hf_token else "", endpoint=endpoint
    )
