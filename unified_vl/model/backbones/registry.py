"""The families that are known; an architecture that is not one of them is refused."""

from __future__ import annotations

from unified_vl.model.backbones.bart import BART, M2M_100, MBART
from unified_vl.model.backbones.family import Family
from unified_vl.model.backbones.florence2 import FLORENCE2
from unified_vl.model.backbones.t5gemma2 import T5GEMMA2

FAMILIES: dict[str, Family] = {
    family.model_type: family for family in (T5GEMMA2, FLORENCE2, BART, MBART, M2M_100)
}
