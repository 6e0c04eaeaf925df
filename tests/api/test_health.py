from pathlib import Path

import pytest

from tests.conftest import RunningApp, make_settings, running
from tests.support.raw_client import ask, bearer
from tests.support.rows import each_row


@each_row(("path", "said"), [("/healthz", {"status": "ok"}), ("/readyz", {"status": "ready"})])
@each_row(
    "headers",
    [{}, bearer(), {"Authorization": "Bearer x"}, {"Origin": "https://evil.example"}],
    ids=["a stranger", "a caller", "a bad token", "another origin"],
)
def test_a_running_program_is_alive_and_ready_for_everybody(
    offline_app: RunningApp, path: str, said: dict[str, str], headers: dict[str, str]
) -> None:
    answer = ask(offline_app, "GET", path, headers)
    assert (answer.status, answer.json) == (200, said)
    answer = ask(offline_app, "HEAD", path, headers)
    assert (answer.status, answer.body) == (200, b"")


def test_a_program_that_is_about_to_stop_is_alive_and_not_ready() -> None:
    with running(make_settings()) as app:
        app.in_loop(app.app.state.drain.begin)
        assert ask(app, "GET", "/healthz").json == {"status": "ok"}
        answer = ask(app, "GET", "/readyz")
        assert (answer.status, answer.json) == (503, {"status": "not_ready"})


@pytest.mark.whole
def test_a_program_whose_store_does_not_answer_is_alive_and_not_ready_until_it_does(tmp_path: Path) -> None:
    store, away = tmp_path / "ledger.db", tmp_path / "away.db"
    with running(make_settings(HFCHAT_STORE=f"sqlite:///{store}")) as app:
        assert ask(app, "GET", "/readyz").status == 200
        store.rename(away)
        assert ask(app, "GET", "/healthz").status == 200
        answer = ask(app, "GET", "/readyz")
        assert (answer.status, answer.json) == (503, {"status": "not_ready"})
        away.rename(store)
        assert ask(app, "GET", "/readyz").status == 200
