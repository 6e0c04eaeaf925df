"""The HTTP API: chat, OpenAI's form of it, models, usage, health, and their OpenAPI document."""
