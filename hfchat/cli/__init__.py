"""The command line: `python -m hfchat token`, `usage` and others."""
