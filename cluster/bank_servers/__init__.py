"""Bank servers: the ranges of a memory, each opened by a few actors, one a node; docs/decisions/0027 says why."""
