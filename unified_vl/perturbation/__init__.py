"""Inputs of evaluation, changed to see what a score depends on."""
