"""Memory directories: written whole or not at all, read lazily, checked; published in a few bits."""
