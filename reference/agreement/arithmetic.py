"""Arithmetic: what a conforming floating-point machine may do.

Each figure is a promise of the number format or of a library's documentation, never a
fit to observed errors. The standard model (Higham, *Accuracy and Stability of Numerical
Algorithms*, 2nd ed., section 2.2): fl(x op y) = (x op y)(1 + d), |d| <= u.

A 16-bit format only stores. A kernel computes in float32, the *accumulator*, and rounds its result to
storage. docs/bounds.md has the table of promises: which framework promises what, and where it says so.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

#: The arithmetic that the reference itself is evaluated in.
FLOAT64_ROUNDOFF = 2.0**-53

#: The error of exp, log, log1p, log2, sin and cos in units in the last place: the worst that any library
#: documents. (On JAX's accuracy page log1p has 3.0 and log2 2.5.)
#: Intel SVML inside NumPy at most 4 (numpy#19478); NumPy float32 log 3.83 (numpy#13134);
#: JAX log 1.5, sin 2.5 (its accuracy page); CUDA 2; SLEEF in PyTorch 1.
FUNCTION_ULPS = 4.0
#: The same for exp in float32: NumPy 2.52 (numpy#13134), JAX 2.0, CUDA 2, SLEEF 1.
FLOAT32_EXP_ULPS = 2.52
#: tanh: XLA approximates it; JAX's accuracy page has 5.5 for float32 and 7.0 for float64 (jax.lax.tanh).
TANH_ULPS = 7.0
#: expm1: JAX's accuracy page has 6.5 for float32 and 4.5 for float64 (jax.lax.expm1).
EXPM1_ULPS = 6.5
#: A power function: CUDA 4 (powf; pow 2), NumPy's SVML at most 4 (numpy#19478), SLEEF in PyTorch 1.
POWER_ULPS = 4.0
#: XLA computes a quotient on a CPU as x * fl(1 / y), with two roundings.
DIVISION_ROUNDINGS = 2
#: Triton and XLA use CUDA's div.full.f32, which promises 2 ulps, each at most 2u (PTX ISA, div).
ACCELERATOR_DIVISION_ROUNDINGS = 4
#: IEEE 754 rounds a square root once. But PyTorch on a CPU takes the root of a vector with Intel MKL,
#: which promises less than 1 ulp (oneMKL, high accuracy mode): 2u. PTX's sqrt.approx.f32 promises 2**-23
#: relative, which is 2u too, over all positive numbers (PTX ISA, sqrt).
ROOT_ROUNDINGS = 2
#: Triton computes a float32 exp as 2**(x * log2(e)) with the hardware's approximation, as CUDA's __expf
#: does. That promises 2 + floor(|1.173 x|) ulps (CUDA C++ Programming Guide, intrinsic functions).
ACCELERATOR_EXP_ULPS_PER_UNIT = 1.173


#: How many roundings each of the k additions in a product may cost on a tensor core. It adds b >= 4
#: products and a partial sum at once. Each of these b + 1 numbers is cut off at the last digit of the
#: largest, and their sum is cut off once more; each cut loses up to 2u. Of k products that makes at
#: most 2 (k + 2 ceil(k / b) - 1) <= 3k + 1 roundings. (Blanchard, Higham, Lopez, Mary and Pranesh,
#: SIAM J. Sci. Comput. 42, 2020; for the digits: Fasi, Higham, Mikaitis and Pranesh, PeerJ Comput.
#: Sci. 7, 2021.)
TENSOR_CORE_ROUNDINGS = 4
#: A product of split numbers, a = a1 + a2, adds a1 b1, a1 b2 and a2 b1.
SPLIT_PRODUCT_TERMS = 3
#: The precisions of float32 products, by PyTorch's names, and how much the inputs may be rounded. "high"
#: is TF32, whose inputs may be cut off after 11 digits, or pairs of bfloat16 numbers, which keep 16 and
#: drop a2 b2, or exact; "medium" is any of these, or single bfloat16 numbers. (PyTorch documents this at
#: torch.set_float32_matmul_precision, JAX at jax.default_matmul_precision.)
PRODUCT_PRECISIONS = {"highest": 0.0, "high": 2.0**-10, "medium": 2.0**-8}


class Unbounded(ValueError):
    """No finite bound exists: an operation may divide by zero, overflow, or take the log of 0."""


class Unfollowed(Unbounded):
    """No finite bound follows from the weights through the whole step."""


class PartialSums(NamedTuple):
    """How often a sum rounds its partial sums to storage.

    Windows of `window` terms are summed, then their sums likewise. Each window's sum is stored, or, if
    `each_addition`, each partial sum in it.
    """

    window: int
    each_addition: bool = False

    def roundings(self, terms: int) -> int:
        """How many roundings to storage a term goes through, at most, before the whole sum is stored."""
        stored = 0
        while terms > self.window:
            stored += self.window - 1 if self.each_addition else 1
            terms = -(-terms // self.window)
        return stored + (max(terms - 1, 0) if self.each_addition else 0)


#: XLA on the CPU sums in windows of 32 terms (TreeReductionRewriter), and rounds after each addition: a
#: reduction's function is the dtype's own addition. jax.numpy sums in float32 (reductions.py,
#: upcast_f16_for_computation); the gradient of a bias that was broadcast does not.
XLA_SUMS = PartialSums(32, each_addition=True)
#: PyTorch sums in float32, but threads share out a long sum in chunks of at least 32,768 terms
#: (at::internal::GRAIN_SIZE), whose sums are stored (TensorIteratorReduce.cpp, two_pass_reduction).
TORCH_SUMS = PartialSums(32768)
#: A GPU's product may be split along its length, and the parts' results stored (split-K).
SPLIT_PRODUCTS = PartialSums(32)


@dataclass(unsafe_hash=True)
class Mixture:
    """Which numbers of a mixed-precision port are narrower than its parameters.

    An operation is computed in the narrower format if the quantity that it is part of is stored in that,
    and an operand is, too. So are all matrix products, and the sums of what is stored in it. Every other
    operation is computed in the parameters' own format. What an operation takes from a wider format is
    rounded first; a result goes to a wider format as it is.

    Attributes:
        products: what matrix products are computed in.
        stored: the quantities that are stored in a narrower format, each with that.
        computing: the quantity that is being computed. Each run of a step has a mixture of its own.
    """

    products: "Arithmetic"
    stored: tuple[tuple[str, "Arithmetic"], ...] = ()
    computing: str = field(default="", compare=False)

    def each(self, change: Callable[["Arithmetic"], "Arithmetic"]) -> "Mixture":
        """The same mixture of changed formats."""
        stored = tuple((name, change(format)) for name, format in self.stored)
        return Mixture(change(self.products), stored)

    @property
    def is_narrow(self) -> bool:
        """Whether the quantity that is being computed is stored in a narrower format."""
        return any(name == self.computing for name, _ in self.stored)


@dataclass(frozen=True)
class Arithmetic:
    """What a port's dtype, device and precision settings promise.

    Attributes:
        name: the dtype's name.
        roundoff: u, half the distance from 1 to the next number.
        smallest_normal: results below it may be flushed to zero, or else lose digits.
        largest: the largest finite number.
        product_input_roundoff: relative rounding of the inputs of matrix products
            (TF32 2**-11, bfloat16 2**-8; 0 for none).
        product_roundings: how many roundings each addition in a product may cost.
        exp_ulps, exp_ulps_per_unit: a and b in the worst error of exp(x), a + b|x| ulps.
        division_roundings, root_roundings: how many roundings a quotient and a square root may cost.
        accumulator: what a kernel computes in before it rounds its result to this format, which only
            stores; None for a format that computes.
        partial_sums, partial_products: which partial sums of a sum, or of a dot product, may be stored;
            None if only the result is.
        fuses: whether kernels may be fused: a result may be used before it is stored.
        flushes: whether numbers below `smallest_normal` may be taken for zero.
        scale: the power of 2 that numbers are multiplied by before they are stored, as a gradient is
            where the loss is scaled.
        mixture: which quantities and products are narrower, in mixed precision.
    """

    name: str
    roundoff: float
    smallest_normal: float
    largest: float
    product_input_roundoff: float = 0.0
    product_roundings: int = 1
    exp_ulps: float = FUNCTION_ULPS
    exp_ulps_per_unit: float = 0.0
    division_roundings: int = DIVISION_ROUNDINGS
    root_roundings: int = ROOT_ROUNDINGS
    accumulator: "Arithmetic | None" = None
    partial_sums: PartialSums | None = None
    partial_products: PartialSums | None = None
    fuses: bool = False
    flushes: bool = True
    scale: float = 1.0
    mixture: Mixture | None = None

    @cached_property
    def inside(self) -> "Arithmetic":
        """What a kernel computes in."""
        return self.accumulator or self

    @cached_property
    def stores(self) -> int:
        """How often a kernel's result is rounded once more, to be stored: 1 behind an accumulator."""
        return int(self.accumulator is not None)

    @cached_property
    def unit(self) -> float:
        """One operation in the port and one rounding in the float64 reference, together."""
        once = self.roundoff + FLOAT64_ROUNDOFF
        return once + (1 + once) * self.accumulator.roundoff if self.accumulator else once

    @cached_property
    def flush(self) -> float:
        """The most that a result below the smallest normal number may be off."""
        return self.smallest_normal if self.flushes else self.roundoff * self.smallest_normal

    @cached_property
    def exp(self) -> float:
        """Relative error of exp at 0: an ulp is at most 2u relative."""
        if self.accumulator:
            return self._stored(self.accumulator.exp)
        return 2 * self.exp_ulps * self.roundoff + 2 * FUNCTION_ULPS * FLOAT64_ROUNDOFF

    @cached_property
    def exp_per_unit(self) -> float:
        """What each unit of |x| adds to the relative error of exp(x)."""
        if self.accumulator:
            return (1 + self.unit) * self.accumulator.exp_per_unit
        return 2 * self.exp_ulps_per_unit * self.roundoff

    @cached_property
    def function(self) -> float:
        """Relative error of log, log1p, log2, sin or cos."""
        return self.ulps(FUNCTION_ULPS)

    @cached_property
    def root(self) -> float:
        """Relative error of one square root."""
        if self.accumulator:
            return self._stored(self.accumulator.root)
        return self.gamma(roots=1)

    def ulps(self, n: float) -> float:
        """Relative error of a function that is off by n units in the last place, of at most 2u each."""
        if self.accumulator:
            return self._stored(self.accumulator.ulps(n))
        return 2 * n * self.unit

    @cached_property
    def division(self) -> float:
        """Relative error of one division."""
        return self.gamma(divisions=1)

    def _stored(self, relative: float) -> float:
        """A relative error in the accumulator, with the rounding to storage."""
        return relative + (1 + relative) * self.unit

    def gamma(
        self,
        roundings: int = 0,
        *,
        divisions: int = 0,
        roots: int = 0,
        terms: int = 1,
        additions: int = 0,
    ) -> float:
        """gamma_n = nu / (1 - nu), the error constant of n roundings (Higham, Lemma 3.1).

        These are `roundings`, those of so many divisions and roots, those of a sum of so many terms, and
        those of `additions` within a kernel. Where u differs from rounding to rounding, the lemma holds
        with their sum in the place of nu: the product of the factors 1 + u_i is at most exp(sum u_i).
        """
        wide = self.inside
        n = roundings + divisions * self.division_roundings + roots * self.root_roundings
        within = additions + terms - 1
        if self.stores:
            n += self.partial_sums.roundings(terms) if self.partial_sums else 0
            within += divisions * wide.division_roundings + roots * wide.root_roundings
        return self.gamma_of(n, within)

    def gamma_of(self, roundings: int, within: int) -> float:
        """`gamma` of so many roundings to this format, and so many more within kernels."""
        total = roundings * self.unit + within * self.inside.unit
        if total >= 0.5:
            raise Unbounded(
                f"{roundings + within} roundings in {self.name} have no useful bound "
                f"(n*u = {total:.2g}); use a wider dtype or fewer examples."
            )
        return total / (1 - total)

    def stored_products(self, n: int) -> int:
        """How often a dot product of length n rounds partial sums to storage."""
        return self.partial_products.roundings(n) if self.partial_products else 0

    def dot(self, n: int) -> float:
        """Error of a dot product of length n relative to |a|.|b|, with that of its rounded inputs.

        The result has yet to be stored.
        """
        rounded_inputs = (1 + self.product_input_roundoff) ** 2 - 1
        of_sum = self.gamma(self.stored_products(n), additions=n * self.product_roundings)
        return of_sum * (1 + rounded_inputs) + rounded_inputs

    def constant(self, c: float) -> float:
        """How far the machine's copy of the constant c may be off: 0 if it holds c exactly."""
        if abs(c) > self.largest:
            raise Unbounded(f"the constant {c:.6g} overflows {self.name}: use a wider dtype.")
        if abs(c) < self.smallest_normal:
            return min(abs(c), self.flush)
        mantissa = math.frexp(c)[0]
        return 0.0 if (mantissa / self.roundoff).is_integer() else self.roundoff * abs(c)

    def on_accelerator(self) -> "Arithmetic":
        """The same number format on a GPU, whose division and float32 exp promise less."""
        if self.accumulator:
            within = self.accumulator.on_accelerator()
            return replace(
                self,
                accumulator=within,
                partial_products=SPLIT_PRODUCTS,
                product_roundings=TENSOR_CORE_ROUNDINGS,
            )
        per_unit = ACCELERATOR_EXP_ULPS_PER_UNIT if self.name == "float32" else 0.0
        return replace(
            self,
            division_roundings=ACCELERATOR_DIVISION_ROUNDINGS,
            exp_ulps_per_unit=per_unit,
        )

    def with_product_inputs(self, roundoff: float) -> "Arithmetic":
        """The same machine, which first rounds the inputs of matrix products."""
        return replace(self, product_input_roundoff=roundoff)

    def in_precision(self, precision: str, device: str) -> "Arithmetic":
        """The same machine, whose float32 products may be less precise (see PRODUCT_PRECISIONS)."""
        if self.name != "float32" or precision == "highest":
            return self
        per_addition = 1 if device == "cpu" else TENSOR_CORE_ROUNDINGS
        rounded = self.with_product_inputs(PRODUCT_PRECISIONS[precision])
        return replace(rounded, product_roundings=SPLIT_PRODUCT_TERMS * per_addition)

    def computing(self) -> "Arithmetic":
        """The same number format on a machine that rounds to it after every operation, as NumPy does."""
        return replace(self, accumulator=None, partial_sums=None) if self.stores else self

    def scaled(self, scale: float) -> "Arithmetic":
        """The same machine, on which numbers are multiplied by a power of 2: its range moves."""
        return replace(
            self,
            smallest_normal=self.smallest_normal / scale,
            largest=self.largest / scale,
            accumulator=self.accumulator and self.accumulator.scaled(scale),
            scale=self.scale * scale,
        )

    def for_one_run(self) -> "Arithmetic":
        """The same machine for one run of a step, which says in `mixture` what it is computing."""
        return replace(self, mixture=replace(self.mixture)) if self.mixture else self

    @property
    def of_products(self) -> "Arithmetic":
        """What matrix products are computed in."""
        return self.mixture.products if self.mixture else self

    def format_of(self, quantity: str) -> "Arithmetic":
        """What a quantity is stored in."""
        return dict(self.mixture.stored).get(quantity, self) if self.mixture else self

    def dtype_of(self, quantity: str) -> str:
        """The dtype that a port shows a quantity in: this one, where it is scaled."""
        stored_in = self.format_of(quantity)
        return stored_in.name if stored_in.scale == self.scale else self.name

    def storing_all(self) -> "Arithmetic":
        """The same machine, which stores each result before anything uses it."""
        return replace(self, fuses=False) if self.fuses else self


FLOAT64 = Arithmetic("float64", 2.0**-53, 2.0**-1022, 2.0**1023 * (2 - 2.0**-52))
FLOAT32 = Arithmetic(
    "float32", 2.0**-24, 2.0**-126, 2.0**127 * (2 - 2.0**-23), exp_ulps=FLOAT32_EXP_ULPS
)
BFLOAT16 = Arithmetic(
    "bfloat16",
    2.0**-8,
    2.0**-126,
    2.0**127 * (2 - 2.0**-7),
    accumulator=FLOAT32,
    partial_sums=XLA_SUMS,
    fuses=True,
)
#: Processors and GPUs compute with its subnormal numbers: conversions from and to float32 keep them
#: (Intel SDM, VCVTPS2PH; PTX ISA, half-precision instructions without .ftz).
FLOAT16 = Arithmetic(
    "float16",
    2.0**-11,
    2.0**-14,
    65504.0,
    accumulator=FLOAT32,
    partial_sums=XLA_SUMS,
    fuses=True,
    flushes=False,
)

#: The arithmetics by name. The soundness tests run on each.
ARITHMETICS = {a.name: a for a in (FLOAT64, FLOAT32, BFLOAT16, FLOAT16)}
#: The dtypes that the matrix runs in, wherever a framework has them.
DTYPES = [FLOAT64.name, FLOAT32.name, BFLOAT16.name, FLOAT16.name]
#: The project's own dtypes: every process knows them.
OWN_DTYPES = frozenset(DTYPES)


def by_device(device: str, dtype: str) -> Arithmetic:
    """The number format's own arithmetic; accelerators divide less exactly."""
    exact = ARITHMETICS[dtype]
    return exact if device == "cpu" else exact.on_accelerator()


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
