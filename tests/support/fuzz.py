"""Fuzzing of tokens, and what an error carries with it."""

from hypothesis import settings
from hypothesis import strategies as st

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
# No database: what hypothesis finds is in its message, and nothing is written beside the tests.
FUZZ = settings(max_examples=150, deadline=None, database=None, derandomize=True)


def chain(error: BaseException | None) -> list[BaseException]:
    """The error, and those that it was raised from or while handling."""
    return [] if error is None else [error, *chain(error.__cause__ or error.__context__)]
