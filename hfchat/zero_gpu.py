"""ZeroGPU: registers one GPU function, which is never called: Hugging Face's platform stops a program without one.

On ZeroGPU the package `spaces` is there; it must be imported before gradio, and elsewhere it is not imported.
"""

from collections.abc import Mapping


def start_zero_gpu(environ: Mapping[str, str]) -> None:
    """Report one GPU function, which does nothing, where the program runs on ZeroGPU.

    `spaces` does so itself at `Blocks.launch`, which is never called here.
    """
    if environ.get("SPACES_ZERO_GPU", "").lower() not in ("1", "t", "true"):
        return
    import spaces  # type: ignore[import-not-found]

    @spaces.GPU  # type: ignore[untyped-decorator]
    def nothing() -> None:
        """No call needs a GPU here: the models are at their providers."""

    spaces.zero.startup()
