#!/usr/bin/env bash
# Pillow 12.3.0 with tifffile 2026.3.3: in a TIFF whose PhotometricInterpretation is WhiteIsZero
# (0), as scanners and microscopes write it, 0 is white. At 8 bits Pillow turns the values over
# as it reads; at 16 bits and for floats it hands them out as they are stored, so that the
# picture is a negative, silently. Seen (what the stored value 0 becomes):
#   8 bits: 255 in mode L
#   16 bits: 0 in mode I;16
#   32 bits float: 0 in mode F
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pillow==12.3.0 tifffile==2026.3.3 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON' | tee seen
import numpy as np
import tifffile
from PIL import Image

for name, kind in (("8 bits", np.uint8), ("16 bits", np.uint16), ("32 bits float", np.float32)):
    tifffile.imwrite("a.tif", np.zeros((4, 4), kind), photometric="miniswhite")
    with Image.open("a.tif") as image:
        print(f"{name}: {image.getpixel((0, 0)):g} in mode {image.mode}")
PYTHON
diff seen - <<'SEEN'
8 bits: 255 in mode L
16 bits: 0 in mode I;16
32 bits float: 0 in mode F
SEEN
