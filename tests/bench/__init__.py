"""What standing between a person and a model costs: `python -m tests.bench`. No part of the test run."""
