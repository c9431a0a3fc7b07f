"""The HTTP service without Ray: what OpenAI's clients say and hear, and answers from one opened memory."""
