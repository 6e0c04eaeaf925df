"""hfchat: a gated chat page and HTTP API in front of Hugging Face's router.

Switches of the libraries below are read when they are imported, so they are set here, before any module of ours imports
them: without them gradio looks up api.gradio.app at start, the hub client makes a blocking request to huggingface.co inside
the first chat, reports its uploads, and draws a bar for each on the terminal.
"""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_XET_TELEMETRY_ENABLED"] = "0"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"

__version__ = "0.1.0"
