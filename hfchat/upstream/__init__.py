"""Upstream, the model's provider: the request, the connection pool, the streamed reply, and failures as errors of ours. The
protocol is `Upstream` in hfchat/types.py.
"""
