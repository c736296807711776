"""Quantisations of GGUF files, as their names tell them, and which of them people want. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

PREFERRED = (
    # Four bits: the usual trade of size for quality.
    "Q4_K_M UD-Q4_K_XL Q4_K_XL Q4_K_L Q4_K_S IQ4_NL IQ4_XS MXFP4 MXFP4_MOE Q4_1 Q4_0 Q4",
    # Then a little more, up to what loses nothing …
    "Q5_K_M UD-Q5_K_XL Q5_K_XL Q5_K_L Q5_K_S Q5_1 Q5_0 Q5 Q6_K UD-Q6_K_XL Q6_K_XL Q6_K_L Q6 Q8_0",
    "UD-Q8_K_XL Q8_K_XL Q8",
    # … then less, and at last what is not quantised at all.
    "UD-Q3_K_XL Q3_K_XL Q3_K_L Q3_K_M IQ3_M Q3_K_S IQ3_S IQ3_XS IQ3_XXS",
    "F16 BF16 F32",
)
ORDER = tuple(" ".join(PREFERRED).split())
EYE_ORDER = ("F16", "BF16", "F32", "Q8_0")
"""For an mmproj file, which is small and suffers from less."""

_LABEL = re.compile(
    r"(?<![A-Z0-9])(?:UD-)?(?:I?Q[1-8](?:_(?:\d{1,2}|K|NL|XXS|XS|S|M|L|XL))*|TQ[12]_0|"
    r"MXFP4(?:_MOE)?|NVFP4|BF16|FP?16|FP?32)(?![A-Z0-9])"
)


def label(path: str) -> str | None:
    """The quantisation that a file's name tells, else its folder's; None where neither does."""
    folder, _, name = path.upper().rpartition("/")
    for text in (name.removesuffix(".GGUF"), folder):
        found = _LABEL.findall(text)
        if found:
            return normal(found[-1])
    return None


def normal(quant: str) -> str:
    """One spelling for each: in capitals, and F16 for fp16."""
    quant = quant.upper()
    return quant.replace("FP", "F", 1) if quant in ("FP16", "FP32") else quant


def asked(wanted: str, there: Iterable[str]) -> str | None:
    """The one of the quantisations `there` that was asked for, None where there is none.

    Q4_K_XL also means UD-Q4_K_XL, where that is the only one.
    """
    labels, quant = set(there), normal(wanted)
    if quant in labels:
        return quant
    return f"UD-{quant}" if f"UD-{quant}" in labels else None


def best(there: Iterable[str], order: tuple[str, ...] = ORDER) -> str:
    """The first one in `order`; of those that are not in it, the first by name. `there` is not
    empty."""
    return min(there, key=lambda quant: (order.index(quant) if quant in order else 99, quant))
