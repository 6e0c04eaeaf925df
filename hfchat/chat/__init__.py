"""One turn of a chat: authorize, reserve, stream, settle. No web framework, no provider, no store is known here."""
