"""Run hfchat: `python app.py`, or a Hugging Face Space's `app_file`. Everything it does is in the package `hfchat`."""

import sys

from hfchat.server import main

if __name__ == "__main__":
    sys.exit(main())
