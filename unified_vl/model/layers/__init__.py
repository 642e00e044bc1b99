"""What the encoder, the decoder and the image branch are put together from."""
