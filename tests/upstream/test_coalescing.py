"""In a crowd of replies each is passed on in steps, whoever begins at once; a few, or slow ones, never wait."""

from hfchat.upstream.coalescing import BUSY_CHUNKS_PER_S, STEP_S, WINDOW_S, Coalescer


class Replies:
    """So many at once, each of so many pieces a second with so many events; time passes as they come."""

    def __init__(self) -> None:
        self.now = 100.0
        self.coalescer = Coalescer(lambda: self.now)

    def pass_on(self, replies: int, per_s: float, seconds: float, events: int = 1) -> list[float]:
        """The pauses of each piece; a reply's pieces that come while it pauses are one, as its reader gets them."""
        pauses, steps = [], int(seconds * 1000)
        passed, ready, waiting = [0.0] * replies, [0.0] * replies, [0] * replies
        due = [self.now + number / per_s / replies for number in range(replies)]
        for _ in range(steps):
            self.now += 0.001
            for one in range(replies):
                while due[one] <= self.now:
                    due[one] += 1 / per_s
                    waiting[one] += events
                if waiting[one] and ready[one] <= self.now:
                    delay_s, passed[one] = self.coalescer.delay_s(waiting[one], passed[one])
                    ready[one], waiting[one] = self.now + delay_s, 0
                    pauses.append(delay_s)
        return pauses


def test_a_few_replies_never_wait_however_fast_they_come() -> None:
    assert set(Replies().pass_on(4, 500, 1)) == {0}
    assert set(Replies().pass_on(4, 500, 1, events=100)) == {0}


def test_a_crowd_is_passed_on_in_steps_as_long_as_it_is_one_and_no_longer() -> None:
    replies = Replies()
    replies.pass_on(200, 50, 2 * WINDOW_S)
    in_steps = replies.pass_on(200, 50, 1)
    assert set(in_steps[400:]) == {STEP_S}  # each began anew
    assert len(in_steps) < 200 * 50 / 2
    replies.pass_on(10, 50, 2 * WINDOW_S)
    assert set(replies.pass_on(10, 50, 1)) == {0}


def test_a_reply_that_begins_or_comes_slowly_does_not_wait_in_a_crowd_either() -> None:
    replies = Replies()
    replies.pass_on(200, 50, 1)
    assert replies.coalescer.delay_s(1, 0.0)[0] == 0
    assert replies.coalescer.delay_s(1, replies.now - 3 * STEP_S)[0] == 0
    assert replies.coalescer.delay_s(1, replies.now - STEP_S)[0] == STEP_S


def test_a_crowd_is_more_than_one_core_passes_on_at_ease() -> None:
    assert set(Replies().pass_on(100, 0.9 * BUSY_CHUNKS_PER_S / 100, 1)) == {0}
