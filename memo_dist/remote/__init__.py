"""Memories in object stores: how they lie there, going up, coming down, and being read by range."""
