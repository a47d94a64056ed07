"""Arithmetic: what a conforming floating-point machine may do.

Each figure is a promise of the number format or of a library's documentation, never a
fit to observed errors. The standard model (Higham, *Accuracy and Stability of Numerical
Algorithms*, 2nd ed., section 2.2): fl(x op y) = (x op y)(1 + d), |d| <= u.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

#: The arithmetic that the reference itself is evaluated in.
FLOAT64_ROUNDOFF = 2.0**-53

#: The error of exp, log, sin and cos in units in the last place: the worst that any library documents.
#: Intel SVML inside NumPy at most 4 (numpy#19478); NumPy float32 log 3.83 (numpy#13134);
#: JAX log 1.5, sin 2.5 (its accuracy page); CUDA 2; SLEEF in PyTorch 1.
FUNCTION_ULPS = 4.0
#: The same for exp in float32: NumPy 2.52 (numpy#13134), JAX 2.0, CUDA 2, SLEEF 1.
FLOAT32_EXP_ULPS = 2.52
#: XLA computes a quotient on a CPU as x * fl(1 / y), with two roundings.
DIVISION_ROUNDINGS = 2
#: Triton and XLA use CUDA's div.full.f32, which promises 2 ulps, each at most 2u relative.
ACCELERATOR_DIVISION_ROUNDINGS = 4
#: IEEE 754 rounds a square root once. PTX's sqrt.approx.f32 promises 2**-23 relative, which is 2u.
ROOT_ROUNDINGS, ACCELERATOR_ROOT_ROUNDINGS = 1, 2
#: Triton computes a float32 exp as 2**(x * log2(e)) with the hardware's approximation, as CUDA's __expf
#: does. That promises 2 + floor(|1.173 x|) ulps (CUDA C++ Programming Guide, intrinsic functions).
ACCELERATOR_EXP_ULPS_PER_UNIT = 1.173


class Unbounded(ValueError):
    """No finite bound exists: an operation may divide by zero, overflow, or take the log of 0."""


@dataclass(frozen=True)
class Arithmetic:
    """What a port's dtype, device and precision settings promise.

    Attributes:
        name: the dtype's name.
        roundoff: u, half the distance from 1 to the next number.
        smallest_normal: results below it may be flushed to zero.
        largest: the largest finite number.
        product_input_roundoff: relative rounding of the inputs of matrix products
            (TF32 2**-11, bfloat16 2**-8; 0 for none).
        exp_ulps, exp_ulps_per_unit: a and b in the worst error of exp(x), a + b|x| ulps.
        division_roundings, root_roundings: how many roundings a quotient and a square root may cost.
    """

    name: str
    roundoff: float
    smallest_normal: float
    largest: float
    product_input_roundoff: float = 0.0
    exp_ulps: float = FUNCTION_ULPS
    exp_ulps_per_unit: float = 0.0
    division_roundings: int = DIVISION_ROUNDINGS
    root_roundings: int = ROOT_ROUNDINGS

    @cached_property
    def unit(self) -> float:
        """One rounding in the port and one in the float64 reference, together."""
        return self.roundoff + FLOAT64_ROUNDOFF

    @cached_property
    def exp(self) -> float:
        """Relative error of exp at 0: an ulp is at most 2u relative."""
        return 2 * self.exp_ulps * self.roundoff + 2 * FUNCTION_ULPS * FLOAT64_ROUNDOFF

    @cached_property
    def exp_per_unit(self) -> float:
        """What each unit of |x| adds to the relative error of exp(x)."""
        return 2 * self.exp_ulps_per_unit * self.roundoff

    @cached_property
    def function(self) -> float:
        """Relative error of log, sin or cos: here too, an ulp is at most 2u relative."""
        return 2 * FUNCTION_ULPS * self.unit

    @cached_property
    def division(self) -> float:
        """Relative error of one division."""
        return self.gamma(self.division_roundings)

    def gamma(self, n: int) -> float:
        """gamma_n = nu / (1 - nu), the error constant of n roundings (Higham, Lemma 3.1)."""
        if n * self.unit >= 0.5:
            raise Unbounded(
                f"{n} roundings in {self.name} have no useful bound (n*u = {n * self.unit:.2g}); "
                "use a wider dtype or fewer examples."
            )
        return n * self.unit / (1 - n * self.unit)

    def dot(self, n: int) -> float:
        """Error of a dot product of length n relative to |a|.|b|, with that of its rounded inputs."""
        rounded_inputs = (1 + self.product_input_roundoff) ** 2 - 1
        return self.gamma(n) * (1 + rounded_inputs) + rounded_inputs

    def constant(self, c: float) -> float:
        """How far the machine's copy of the constant c may be off: 0 if it holds c exactly."""
        if abs(c) > self.largest:
            raise Unbounded(f"the constant {c:.6g} overflows {self.name}: use a wider dtype.")
        if abs(c) < self.smallest_normal:
            return abs(c)
        mantissa = math.frexp(c)[0]
        return 0.0 if (mantissa / self.roundoff).is_integer() else self.roundoff * abs(c)

    def on_accelerator(self) -> "Arithmetic":
        """The same number format on a GPU, whose division and float32 exp promise less."""
        per_unit = ACCELERATOR_EXP_ULPS_PER_UNIT if self.name == "float32" else 0.0
        return replace(
            self,
            division_roundings=ACCELERATOR_DIVISION_ROUNDINGS,
            root_roundings=ACCELERATOR_ROOT_ROUNDINGS,
            exp_ulps_per_unit=per_unit,
        )

    def with_product_inputs(self, roundoff: float) -> "Arithmetic":
        """The same machine, which first rounds the inputs of matrix products."""
        return replace(self, product_input_roundoff=roundoff)


FLOAT64 = Arithmetic("float64", 2.0**-53, 2.0**-1022, 2.0**1023 * (2 - 2.0**-52))
FLOAT32 = Arithmetic(
    "float32", 2.0**-24, 2.0**-126, 2.0**127 * (2 - 2.0**-23), exp_ulps=FLOAT32_EXP_ULPS
)
BFLOAT16 = Arithmetic("bfloat16", 2.0**-8, 2.0**-126, 2.0**127 * (2 - 2.0**-7))
FLOAT16 = Arithmetic("float16", 2.0**-11, 2.0**-14, 65504.0)

#: The arithmetics by name. The soundness tests run on each.
ARITHMETICS = {a.name: a for a in (FLOAT64, FLOAT32, BFLOAT16, FLOAT16)}
#: The dtypes that the matrix runs in, wherever a framework has them.
DTYPES = [FLOAT64.name, FLOAT32.name]
#: The project's own dtypes: every process knows them.
OWN_DTYPES = frozenset(DTYPES)


def register_dtype(arithmetic: Arithmetic) -> None:
    """Add a dtype to the matrix. NumPy must know a dtype of that name.

    Raises ValueError, in one sentence, if the matrix has it already, or if it is finer than float64: the
    reference computes in float64, and holds in float64 what a port has recorded.
    """
    if arithmetic.name in DTYPES:
        raise ValueError(f"the matrix has the dtype {arithmetic.name} already")
    if arithmetic.roundoff < FLOAT64_ROUNDOFF:
        raise ValueError(
            f"{arithmetic.name} is finer than float64, in which the reference computes: "
            "there is nothing to certify it against"
        )
    ARITHMETICS[arithmetic.name] = arithmetic
    DTYPES.append(arithmetic.name)
