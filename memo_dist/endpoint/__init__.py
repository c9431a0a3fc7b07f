"""Endpoints: language models behind an OpenAI-compatible interface, asked many things, resumably."""
