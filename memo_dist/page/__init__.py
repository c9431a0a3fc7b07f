"""The page for people: its files, as `serve` answers them, and a traced text as one file that shows itself."""
