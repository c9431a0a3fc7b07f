"""Shards on Ray: placement, bounded feeding, the build, distributed recall. The only package that knows Ray."""
