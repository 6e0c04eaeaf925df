"""`python -m hfchat deploy` in a process that may be killed at any call. It is a copy of one that has imported all it needs."""

import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(["hfchat.cli.deploy", "hfchat.cli.main", __name__])


def deploying(clone: Path, folder: Path, endpoint: str, token: str, *arguments: str) -> BaseProcess:
    """The process, which the caller starts: it deploys this clone, with the `.env` of the folder."""
    return CONTEXT.Process(target=_run, args=(clone, folder, endpoint, token, arguments))


def _run(clone: Path, folder: Path, endpoint: str, token: str, arguments: tuple[str, ...]) -> None:
    from hfchat.cli import deploy, main

    for name in list(os.environ):
        if name.startswith(("HF_", "HFCHAT_", "JWT_", "HUGGINGFACE_", "SPACE_")):
            del os.environ[name]
    os.environ.update(HF_ENDPOINT=endpoint, HF_TOKEN=token)
    os.chdir(folder)
    deploy.POLL_S, deploy.ROOT = 0.0, clone
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        status = main.main(["deploy", *arguments])
    sys.exit(status)
