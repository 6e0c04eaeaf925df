"""Factory: the verifier and the ledger from the settings, for the server and the command line."""

from hfchat.auth.credit import Credit
from hfchat.auth.jwks import Jwks
from hfchat.auth.openid import OpenIdProvider
from hfchat.auth.verifier import Verifier
from hfchat.config.settings import Settings
from hfchat.ledger.ledger import Ledger
from hfchat.ledger.open_store import open_store
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
    return Ledger(store or open_store(settings.hfchat_store))
