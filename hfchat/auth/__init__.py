"""Tokens: what is signed, verified, revoked, and what a policy allows. A token becomes a `Caller` here."""
