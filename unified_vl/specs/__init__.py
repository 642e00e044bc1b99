"""Spec files as frozen objects, or what is wrong with them."""

import unified_vl.specs.reading.parse  # noqa: F401  # what parts made in Python are refused by
