"""Questions and answers drawn from documents: memorized, and asked."""
