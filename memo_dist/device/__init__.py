"""Where arrays live and work: NumPy or CuPy, and orders of work on a GPU."""
