"""What rounding probably does: constants that hold with a stated probability, beside the worst case.

They are information, and never a verdict: rounding errors are not random, and a port that leaves these
bounds may still conform. No module that judges imports this one.

The product of n factors (1 + d), |d| <= u, differs from 1 by at most

    gamma~_n(lambda) = exp(lambda sqrt(n) u + n u^2 / (1 - u)) - 1

with probability at least 1 - 2 exp(-lambda^2 (1 - u)^2 / 2), if the errors d are independent and of mean
zero (Higham and Mary, SIAM J. Sci. Comput. 41, A2815, 2019, Theorem 2.4). That they are independent of
the errors before them in the mean is enough (Connolly, Higham and Mary, ibid. 43, A566, 2021). The worst
case grows with n u instead.
"""

import math
from dataclasses import dataclass, fields

from reference.agreement.arithmetic import SPLIT_PRODUCT_TERMS, Arithmetic

#: The probability with which one term of a sum may leave its bound. A sum of n terms then keeps to its
#: own with probability at least 1 - n FAILURE, and so on: the probabilities of failure add up.
FAILURE = 1e-9


def confidence_parameter(roundoff: float) -> float:
    """The lambda with 2 exp(-lambda^2 (1 - u)^2 / 2) = FAILURE."""
    return math.sqrt(2 * math.log(2 / FAILURE)) / (1 - roundoff)


@dataclass(frozen=True)
class Probabilistic(Arithmetic):
    """An arithmetic whose sums and products keep to gamma~, where that is less than gamma.

    Functions, input errors, and how errors propagate from one operation to the next stay the worst case.
    """

    def gamma_of(self, roundings: int, within: int) -> float:
        """gamma~: where the bounds of the errors d differ, n u^2 is the sum of their squares."""
        squares = roundings * self.unit**2 + within * self.inside.unit**2
        exponent = confidence_parameter(self.unit) * math.sqrt(squares) + squares / (1 - self.unit)
        return min(super().gamma_of(roundings, within), math.expm1(exponent))


def probabilistic(arithmetic: Arithmetic) -> Probabilistic:
    """The same machine, with probabilistic constants.

    Raises ValueError for a tensor core: it cuts numbers off, so that its errors have a mean.
    """
    if arithmetic.product_roundings not in (1, SPLIT_PRODUCT_TERMS):
        raise ValueError(
            f"the errors of {arithmetic.name} products on a tensor core do not have the mean 0: "
            "no probabilistic bound is known for them"
        )
    same = {field.name: getattr(arithmetic, field.name) for field in fields(Arithmetic)}
    mixture = arithmetic.mixture and arithmetic.mixture.each(probabilistic)
    return Probabilistic(**(same | {"mixture": mixture}))
