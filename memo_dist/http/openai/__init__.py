"""What OpenAI's clients say and hear: bodies of requests, answers spelled as choices."""
