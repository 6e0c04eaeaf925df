"""The model's provider: the request, the connection pool, the streamed reply, and its failures as errors of ours."""
