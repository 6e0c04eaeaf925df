"""JWT authentication: tokens are issued, verified and revoked; a token becomes a `Caller` with a policy."""
