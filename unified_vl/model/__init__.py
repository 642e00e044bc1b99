"""The encoder-decoder."""

from unified_vl.torchvision_compat import define_missing_operators

define_missing_operators()  # before transformers or timm import torchvision
