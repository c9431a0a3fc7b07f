"""Reflect: questions and answers drawn from documents by a language model."""
