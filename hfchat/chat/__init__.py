"""Chat turn: authorize, reserve, stream, settle. Knows no web framework, no provider, no store."""
