"""A dtype from outside the project: float16 where each operation rounds to it, as in NumPy."""

from reference.agreement.arithmetic import Arithmetic, register_dtype

register_dtype(
    Arithmetic(
        "half",  # NumPy's name for it
        roundoff=2.0**-11,
        smallest_normal=2.0**-14,
        largest=65504.0,
    )
)
