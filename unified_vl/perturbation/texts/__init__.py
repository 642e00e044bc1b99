"""Texts that are spelt otherwise."""
