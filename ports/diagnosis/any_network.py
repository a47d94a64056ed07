"""Edits that fit a line of any network, in the notation of `grammar.py`; the likeliest first.

The rows there are about the note's own lines. These are about operators, axes, factors and masks, and
are tried for a network of one's own.
"""

from ports.diagnosis.grammar import FACTORS, SMALL, Rule

R = Rule

# fmt: off
ANY_NETWORK: tuple[Rule, ...] = (
    # --- a term or a factor left out, or of the other sign
    R("_a + _b -> _a", "term missing", "{_b} left out"),
    R("_a + _b -> _b", "term missing", "{_a} left out"),
    R("_a + _b -> _a - _b", "sign", "{_b} subtracted, not added"),
    R("_a - _b -> _a", "term missing", "{_b} left out"),
    R("_a - _b -> -_b", "term missing", "{_a} left out"),
    R("_a - _b -> _a + _b", "sign", "{_b} added, not subtracted"),
    R("_a - _b -> _b - _a", "sign", "{_b} - {_a} in the place of {_a} - {_b}"),
    R("-_a -> _a", "sign", "the sign of {_a}"),
    R("_a * _b -> _a", "factor missing", "{_b} left out of a product"),
    R("_a * _b -> _b", "factor missing", "{_a} left out of a product"),
    R("_a * _b -> _a / _b", "factor", "a division by {_b} in the place of a product"),
    R("_a * _b -> _a + _b", "operator", "{_a} + {_b} in the place of {_a} * {_b}"),
    R("_a * _b -> _a * _b * _b", "factor twice", "{_b} applied twice"),
    R("_a / _b -> _a", "factor missing", "no division by {_b}"),
    R("_a / _b -> _a * _b", "factor", "a product with {_b} in the place of a division"),
    R("_a / _b -> _a / _b / _b", "factor twice", "a division by {_b} twice"),
    R("_a *= _b -> pass", "factor missing", "no product with {_b}"),
    R("_a /= _b -> pass", "factor missing", "no division by {_b}"),
    R("_a += _b -> pass", "term missing", "{_b} left out"),
    R("_a -= _b -> pass", "term missing", "{_b} left out"),
    R("_a * _b + (1 - _a) * _c -> (1 - _a) * _b + _a * _c", "momentum", "{_a} and 1 - {_a} in each other's place"),
    R("(1 - _a) * _b + _a * _c -> _a * _b + (1 - _a) * _c", "momentum", "{_a} and 1 - {_a} in each other's place"),
    # --- powers and roots
    R("_a * _a -> _a", "square missing", "{_a} in the place of its square"),
    R("_a * _a -> np.abs(_a)", "square missing", "the absolute value of {_a} in the place of its square"),
    R("_a ** 2 -> _a", "square missing", "{_a} in the place of its square"),
    R("_a ** _b -> _a ** (_b + 1)", "exponent", "{_a} ** ({_b} + 1): the exponent one too large"),
    R("_a ** _b -> _a ** (_b - 1)", "exponent", "{_a} ** ({_b} - 1): the exponent one too small"),
    R("_a ** _b -> _a", "exponent", "no exponent {_b}"),
    R("1 - _a ** _b -> 1 - _a", "exponent", "no exponent {_b}"),
    R("1 - _a -> _a", "complement", "{_a} in the place of 1 - {_a}"),
    R("1 + _a -> _a", "term missing", "the 1 left out"),
    R("np.sqrt(_a) -> _a", "root missing", "no square root"),
    R("np.sqrt(_a + _b) -> np.sqrt(_a) + _b", "epsilon", "{_b} outside the root"),
    R("np.sqrt(_a) + _b -> np.sqrt(_a + _b)", "epsilon", "{_b} inside the root"),
    R("np.sqrt(_a + _b) -> np.sqrt(_a)", "epsilon", "{_b} left out"),
    R("np.sqrt(_a) + _b -> np.sqrt(_a)", "epsilon", "{_b} left out"),
    R("_a + _b -> _a + C", "epsilon", "{C} in the place of {_b}", SMALL, fits=True),
    # --- products of matrices
    R("_a @ _b -> _a @ _b.T", "transpose", "{_b} transposed"),
    R("_a @ _b.T -> _a @ _b", "transpose", "{_b} not transposed"),
    R("_a.T @ _b -> _a @ _b", "transpose", "{_a} not transposed"),
    R("_a.T @ _b -> _b.T @ _a", "transpose", "operands swapped"),
    R("_a.T @ _b -> (_b.T @ _a).T @ np.eye(len(_b.T @ _a))", "transpose", "operands swapped"),
    R("_a @ _b -> np.swapaxes(_a, -1, -2) @ _b", "transpose", "{_a} transposed"),
    R("_a @ _b -> _a @ np.swapaxes(_b, -1, -2)", "transpose", "{_b} transposed"),
    R("_a @ _b -> np.tanh(_a @ _b)", "activation", "a tanh on a product"),
    R("_a @ _b -> np.maximum(0, _a @ _b)", "activation", "a ReLU on a product"),
    # --- sums, means, variances and their axes
    R("np.sum(_a, axis=0, keepdims=True) -> np.mean(_a, axis=0, keepdims=True)", "factor 1/N", "a mean, not a sum"),
    R("np.sum(_a, axis=0) -> np.mean(_a, axis=0)", "factor 1/N", "a mean, not a sum"),
    R("np.sum(_a) -> np.mean(_a)", "factor 1/N", "a mean, not a sum"),
    R("np.mean(_a) -> np.sum(_a)", "factor N", "a sum, not a mean"),
    R("np.mean(_a, axis=0, keepdims=True) -> np.sum(_a, axis=0, keepdims=True)", "factor N", "a sum, not a mean"),
    R("np.mean(_a, axis=1, keepdims=True) -> np.sum(_a, axis=1, keepdims=True)", "factor N", "a sum, not a mean"),
    R("np.mean(_a, axis=0, keepdims=True) -> np.mean(_a, axis=1, keepdims=True)", "axis", "a mean over axis 1, not 0"),
    R("np.mean(_a, axis=1, keepdims=True) -> np.mean(_a, axis=0, keepdims=True)", "axis", "a mean over axis 0, not 1"),
    R("np.mean(_a, axis=0, keepdims=True) -> np.mean(_a, keepdims=True)", "axis", "a mean over all axes, not 0 alone"),
    R("np.mean(_a, axis=1, keepdims=True) -> np.mean(_a, keepdims=True)", "axis", "a mean over all axes, not 1 alone"),
    R("np.mean(_a) -> np.mean(_a[:-1])", "rows", "a mean without the last one"),
    R("np.sum(_a, axis=0, keepdims=True) -> np.sum(_a[:-1], axis=0, keepdims=True)", "rows", "a sum without the last row"),
    R("np.var(_a, axis=0, keepdims=True) -> np.var(_a, axis=0, keepdims=True, ddof=1)", "unbiased", "a variance divided by N - 1, not N"),
    R("np.var(_a, axis=1, keepdims=True) -> np.var(_a, axis=1, keepdims=True, ddof=1)", "unbiased", "a variance divided by N - 1, not N"),
    R("np.mean(_a * _a, axis=0, keepdims=True) -> np.sum(_a * _a, axis=0, keepdims=True) / (len(_a) - 1)", "unbiased", "a variance divided by N - 1, not N"),
    R("np.mean(_a * _a, axis=1, keepdims=True) -> np.sum(_a * _a, axis=1, keepdims=True) / (_a.shape[1] - 1)", "unbiased", "a variance divided by N - 1, not N"),
    R("_a / np.sum(_a, axis=2, keepdims=True) -> _a / np.sum(_a, axis=1, keepdims=True)", "softmax axis", "a softmax over axis 1, not 2"),
    R("_a / np.sum(_a, axis=1, keepdims=True) -> _a / np.sum(_a, axis=0, keepdims=True)", "softmax axis", "a softmax over axis 0, not 1"),
    # --- masks and choices
    R("_a > 0 -> _a >= 0", "ties", "a mask that is 1 where {_a} is exactly 0"),
    R("_a > 0 -> _a < 0", "mask", "the mask's complement"),
    R("_a * (_b > 0) -> _a", "mask missing", "the mask {_b} > 0 left out"),
    R("_a[_b] = 0 -> pass", "assignment missing", "the elements at {_b} not set to 0"),
    R("_a[_b] -= 1 -> pass", "assignment missing", "1 not subtracted at {_b}"),
    R("np.maximum(0, _a) -> _a", "activation", "no ReLU"),
    R("np.tanh(_a) -> _a", "activation", "no tanh"),
    R("np.tanh(_a) -> 1 / (1 + np.exp(-_a))", "activation", "a sigmoid in the place of tanh"),
    R("np.exp(_a) -> np.exp(2 * _a)", "factor 2", "a factor of 2 inside exp"),
    R("np.exp(_a) -> np.exp(0.5 * _a)", "factor 1/2", "a factor of 1/2 inside exp"),
    R("np.exp(_a) -> _a", "exp missing", "no exp"),
    R("np.log(_a) -> np.log(_a + C)", "epsilon", "{C} added inside the log", SMALL, fits=True),
    R("_a ** 3 -> _a ** 2", "exponent", "a square in the place of a cube"),
    # --- factors on the whole
    R("WHOLE -> C * WHOLE", "factor {C}", "a factor of {C}", FACTORS),
    R("WHOLE -> 0.5 * WHOLE", "factor 1/2", "a factor of 1/2"),
    R("WHOLE -> C * WHOLE", "factor", "a factor of {C}", fits=True),
)
# fmt: on
