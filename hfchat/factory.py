"""Factory: the verifier and the ledger from the settings, for the server and the command line."""

from hfchat.auth.jwks import Jwks
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


def make_ledger(settings: Settings, store: Store | None = None) -> Ledger:
    """The ledger on the store in the settings, or on this one."""
    return Ledger(store or open_store(settings.hfchat_store))
