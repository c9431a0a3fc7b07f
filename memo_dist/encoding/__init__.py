"""Encoders: tokens -> window hashes and associations."""
