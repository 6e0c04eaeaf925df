"""Check, `python -m hfchat check`: prints whether everything is set up, and exits 1 with what is wrong."""

import argparse
import asyncio
import json
import logging
import os

from hfchat.check.answer import Answer
from hfchat.check.check import check, settings_refused
from hfchat.config.settings import SettingsError, find_dotenv, load_settings
from hfchat.i18n.language import Language, language_of
from hfchat.types import HUB_URL

_MARKS = {"good": "ok", "wrong": "NO", "unknown": "?"}


def check_command(args: argparse.Namespace) -> int:
    """Print each question with its answer, and what to do where it is not a plain yes."""
    logging.getLogger("hfchat").addHandler(logging.NullHandler())  # the answers say what the log would
    try:
        settings = load_settings(os.environ, find_dotenv())
    except SettingsError as error:
        answers = settings_refused(error)
    else:
        hub_url = (os.environ.get("HF_ENDPOINT", "").strip() or HUB_URL).rstrip("/")
        answers = asyncio.run(check(settings, hub_url=hub_url))
    language = _language()
    print(_json(answers, language) if args.json else _text(answers, language))
    return int(any(answer.status == "wrong" for answer in answers))


def _language() -> Language:
    """The language of the terminal (POSIX: LC_ALL, then LC_MESSAGES, then LANG)."""
    locale = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := os.environ.get(name))), "")
    return language_of(locale.partition(".")[0].replace("_", "-"))


def _text(answers: list[Answer], language: Language) -> str:
    lines = []
    for answer in answers:
        title, says, fix = answer.words(language)
        lines.append(f"{_MARKS[answer.status]:<4}{title}: {says}")
        lines += [f"    {fix}"] if fix else []
    return "\n".join(lines)


def _json(answers: list[Answer], language: Language) -> str:
    rows = [
        {"question": answer.question, "status": answer.status, **answer.words(language)._asdict()} for answer in answers
    ]
    ok = all(answer.status != "wrong" for answer in answers)
    return json.dumps({"ok": ok, "answers": rows}, ensure_ascii=False, indent=2)
