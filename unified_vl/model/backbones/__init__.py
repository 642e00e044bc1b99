"""Encoder-decoders that `transformers` computes: one adapter, a thin file for each family."""
