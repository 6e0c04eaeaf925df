"""Questions to an installation: is everything set up? For the command line, and for whoever else shows the answers."""
