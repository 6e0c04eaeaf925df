"""What the settings name, built: what checks tokens, and the ledger. The server and the command line share it."""

from hfchat.auth.jwks import Jwks
from hfchat.auth.verifier import Verifier
from hfchat.config.settings import Settings
from hfchat.ledger.ledger import Accounts
from hfchat.ledger.open_store import open_ledger
from hfchat.ledger.store import Ledger


def make_verifier(settings: Settings) -> Verifier:
    """What checks tokens, as the settings say."""
    secret, algorithms = settings.jwt_secret, settings.jwt_algorithms
    return Verifier(
        policy=settings.policy,
        secret=secret.get_secret_value() if secret else None,
        public_key=settings.jwt_public_key,
        jwks=Jwks(settings.jwt_jwks_url) if settings.jwt_jwks_url else None,
        algorithms=frozenset(algorithms) if algorithms else None,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        subject_claim=settings.jwt_subject_claim,
    )


def make_accounts(settings: Settings, ledger: Ledger | None = None) -> Accounts:
    """Everybody's account in the ledger that the settings name, or in this one."""
    return Accounts(ledger or open_ledger(settings.hfchat_store))
