"""The published experiments of MeMo (arXiv 2502.12851), run again: random tokens, decoys, layers, capacity."""
