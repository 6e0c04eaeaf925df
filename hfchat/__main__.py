"""`python -m hfchat`."""

import sys

from hfchat.cli.main import main

sys.exit(main())
