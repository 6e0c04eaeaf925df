"""Parts of HTTP that the gate, the API and the page share: bodies, validation, cookies, error responses, the connection."""
