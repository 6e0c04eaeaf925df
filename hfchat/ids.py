"""Random ids for requests and reservations: different in every process, and not secret."""

import os
import random

# `os.urandom` is a system call for each id, which costs more than the rest of making it.
_RANDOM = random.Random()
os.register_at_fork(after_in_child=_RANDOM.seed)


def random_id(bits: int) -> str:
    """An id of so many random bits, in hexadecimal."""
    return f"{_RANDOM.getrandbits(bits):0{bits // 4}x}"
