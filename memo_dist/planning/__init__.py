"""How large a memory must be, what it takes to build it, and what a machine does a second."""
