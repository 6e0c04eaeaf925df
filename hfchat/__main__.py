"""`python -m hfchat`."""

import sys

from hfchat.cli import main

sys.exit(main())
