"""Asking a memory: continuation, prompts in text, scores of given tokens, which passages are held."""
