"""Deployment to a Hugging Face Space by the Hub's API. Every step is repeatable: what is there already is not done again."""
