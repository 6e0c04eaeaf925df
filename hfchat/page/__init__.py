"""The chat page: Gradio's `ChatInterface`, its sessions, its scripts and styles."""
