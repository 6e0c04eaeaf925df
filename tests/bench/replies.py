"""What the stub says and the load generator expects: how long a reply is, how fast it comes, and whose it is."""

import re
from dataclasses import dataclass
from functools import lru_cache

NUMBER = re.compile(rb"#(\d{8})#")
PROMPT_TOKENS = 12
# A chunk is "word12 ", or with the stub's clock "00000012.5@1234567890123456 ": so many in the tokenizers in use. Fewer would be
# a count that hfchat does not believe, so that it counts itself.
TOKENS_PER_CHUNK = 2
TOKENS_PER_PACED_CHUNK = 14


@dataclass(frozen=True)
class Shape:
    """A reply of so many chunks, all at once or paced. The model's name carries it through every contender."""

    chunks: int
    per_second: float = 0

    @property
    def tokens(self) -> int:
        """What the stub says of its completion tokens."""
        return self.chunks * (TOKENS_PER_PACED_CHUNK if self.per_second else TOKENS_PER_CHUNK)

    @property
    def model(self) -> str:
        return f"bench-{self.chunks}-{self.per_second:g}"

    @classmethod
    def of(cls, model: str) -> "Shape":
        """The shape that a model's name says. Raises: ValueError where it says none."""
        _, chunks, per_second = model.rsplit("-", 2)
        return cls(int(chunks), float(per_second))


TYPICAL = Shape(64)


@lru_cache
def words(chunks: int) -> list[str]:
    """The chunks of a reply that comes all at once, without its first word, which is the number of the question."""
    return [f"word{position % 997} " for position in range(1, chunks)]


@lru_cache
def ending(chunks: int) -> bytes:
    """The same as one text."""
    return "".join(words(chunks)).encode()


def is_whole(text: bytes, number: bytes, shape: Shape) -> bool:
    """Whether this is the reply to the question with this number: every chunk once, in its order."""
    if not shape.per_second:
        return text.startswith(number + b" ") and text[len(number) + 1 :] == ending(shape.chunks)
    return [token.rpartition(b"@")[0] for token in text.split()] == [
        b"%b.%d" % (number, n) for n in range(shape.chunks)
    ]


def paced_word(number: str, position: int, now_ns: int) -> str:
    """A chunk of a paced reply, with the stub's clock in it."""
    return f"{number}.{position}@{now_ns} "
