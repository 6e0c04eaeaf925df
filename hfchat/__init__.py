"""hfchat: a gated chat page and HTTP API in front of Hugging Face's router.

Two switches of the libraries below are read when they are imported, so they are set here, before any module of ours
imports them: without them gradio looks up api.gradio.app at start, and the hub client makes a blocking request to
huggingface.co inside the first chat.
"""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

__version__ = "0.1.0"
