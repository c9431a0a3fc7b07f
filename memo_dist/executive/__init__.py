"""The executive: a language model that asks a memory until it can answer a question."""
