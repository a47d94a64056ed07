"""16-bit formats that compute: each operation rounds to 16 bits, and subnormal numbers may be flushed.

No framework sums in 16 bits throughout. With so few digits, and few numbers below 1, an error in a rule
shows. The formats that frameworks have are here as `STORED_...`.
"""

from dataclasses import replace

from reference.agreement.arithmetic import BFLOAT16 as STORED_BFLOAT16
from reference.agreement.arithmetic import FLOAT16 as STORED_FLOAT16

BFLOAT16, FLOAT16 = (
    replace(stored, accumulator=None, partial_sums=None, fuses=False, flushes=True)
    for stored in (STORED_BFLOAT16, STORED_FLOAT16)
)
