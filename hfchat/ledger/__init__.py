"""Rate limits, token budgets and usage: reserved before a turn and settled after it, in SQLite or Redis."""
