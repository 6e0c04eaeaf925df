"""HTTP parts of the gate, the API and the page: bodies, validation, cookies, error responses, the connection."""
