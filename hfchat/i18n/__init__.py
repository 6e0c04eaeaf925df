"""Sentences that people read, in each language: one JSON file a language, and the code that finds and fills them."""
