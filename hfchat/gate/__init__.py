"""Access control in front of every route: bearer, session cookie, CSRF and CORS checks, sign-in, response headers."""
