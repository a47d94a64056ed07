"""The grammar of mistakes: small edits of a line, one per row, the likeliest first.

A row has what it changes, a short key, and a phrase. `pattern -> replacement` is code:

* a name that begins with an underscore stands for any expression, the same wherever it recurs; `_n` and
  `_m` stand for a single name only;
* `C` is a number. The row's `numbers` are tried, and where it `fits`, also the number that suits best;
* `N`, `K`, `D`, ... are the sizes; `last(_n)` is that tensor in the step before, `after(_n)` the parameter
  after the update, `before(_n)` what the ReLU that made it was given;
* `parameter` is the parameter whose gradient or next value the line computes; `WEIGHTS` and `BIAS`
  stand for each regularized and each other parameter in turn;
* `pass` leaves a statement out, and `;` separates two.

In the key and the phrase, braces quote what a name stands for. To teach the diagnosis another mistake,
add a row.
"""

from dataclasses import dataclass

#: Factors that are easily lost or applied twice.
FACTORS = ("N", "1/N", "2", "1/2", "-1", "K", "1/K", "step_size", "-step_size", "1/(N*K)", "N/(N-1)")
#: Numbers that people write to keep a logarithm or a quotient finite.
SMALL = tuple(f"1e-{digits}" for digits in (8, 12, 7, 10, 5, 6, 9, 15, 4, 3, 20, 16))
DIVISORS = ("N // K", "N // 2", "100", "N - 1", "K")
#: How many rows a slip takes.
ROWS = ("N // K", "N // 2", "1", "K", "N - 1")
SLOPES = ("0.01", "0.1", "0.2", "0.3", "0.001", "0.05")
DECAYS = ("reg", "2*reg", "reg/2", "1e-4", "5e-4", "1e-2")
MOMENTA = ("0.9", "0.99", "0.95", "0.5", "0.8", "0.1")


@dataclass(frozen=True)
class Rule:
    """One kind of edit.

    Attributes:
        change: "pattern -> replacement", as the module's docstring says.
        cause: a short key.
        says: a phrase that completes "the quantity is consistent with ...".
        numbers: code for numbers that `C` may be.
        fits: whether `C` may also be the number that suits the port's tensor best.
    """

    change: str
    cause: str
    says: str
    numbers: tuple[str, ...] = ()
    fits: bool = False


R = Rule

# fmt: off: a row a line
#: Edits of the model's own lines.
RULES: tuple[Rule, ...] = (
    # --- sums, means, axes
    R("np.sum(_a) / _n -> np.sum(_a)", "factor N", "a factor of N: the sum is not divided by {_n}"),
    R("_q /= _n -> pass", "factor N", "a factor of N: it is not divided by {_n}"),
    R(
        "np.sum(_a) / _n -> np.sum(_a) / _n / N",
        "factor 1/N",
        "a factor of 1/N: an average is averaged again",
    ),
    R("_q /= _n -> _q /= C", "factor", "a division by {C}, not by {_n}", DIVISORS, fits=True),
    R("_q /= _n -> _q = np.float32(_q) / _n", "float32", "{_q} in float32 before the division"),
    R("_a / _n -> _a / C", "factor", "a division by {C}, not by {_n}", DIVISORS, fits=True),
    R(
        "np.sum(_a, axis=0, keepdims=True) -> np.mean(_a, axis=0, keepdims=True)",
        "factor 1/N",
        "a factor of 1/N: a mean, not a sum",
    ),
    R(
        "np.sum(_a, axis=0, keepdims=True) -> np.max(_a, axis=0, keepdims=True)",
        "max",
        "a maximum, not a sum",
    ),
    R("np.sum(_a) -> np.max(_a)", "max", "a maximum, not a sum"),
    R(
        "np.sum(_a, axis=0, keepdims=True) -> np.sum(_a[:C], axis=0, keepdims=True)",
        "rows",
        "a sum over the first {C} rows only",
        ROWS,
    ),
    R(
        "np.sum(_a, axis=0, keepdims=True) -> np.sum(_a[C:], axis=0, keepdims=True)",
        "rows",
        "a sum without the first {C} rows",
        ROWS,
    ),
    R(
        "np.sum(_a, axis=0, keepdims=True) -> np.sum(_a[::2], axis=0, keepdims=True)",
        "rows",
        "a sum over every other row",
    ),
    R("np.sum(_a) / _n -> np.sum(_a[:C]) / _n", "rows", "a sum over the first {C} examples only", ROWS),
    R(
        "np.sum(_a) / _n -> np.sum(_a[:C]) / (C)",
        "rows",
        "a mean over the first {C} examples only",
        ROWS,
    ),
    R("np.sum(_a) / _n -> np.sum(_a[C:]) / _n", "rows", "a sum without the first {C} examples", ROWS),
    R(
        "np.sum(_a) / _n -> np.sum(_a[C:]) / (N - (C))",
        "rows",
        "a mean without the first {C} examples",
        ROWS,
    ),
    R("np.sum(_n) / _m -> np.max(_n)", "max", "a maximum, not a mean"),
    R("np.sum(_n) / _m -> _n[0]", "rows", "the first example's loss alone"),
    R("np.sum(_n) / _m -> _n[-1]", "rows", "the last example's loss alone"),
    # --- the regularization
    R("_a + reg_loss -> _a", "reg missing", "the regularization missing"),
    R("_a + reg * _w -> _a", "reg missing", "the regularization of {_w} missing"),
    R("_a + reg * _w -> _a + 2 * reg * _w", "reg doubled", "the regularization of {_w} doubled"),
    R("_a + reg * _w -> _a + 0.5 * reg * _w", "reg halved", "the regularization of {_w} halved"),
    R("_a + reg * _w -> _a - reg * _w", "reg sign", "the regularization of {_w} of the wrong sign"),
    R("_a + reg * _w -> _a + reg * _w / N", "reg divided by N", "the regularization divided by N"),
    R("np.dot(_a, _b) + reg * _w -> (np.dot(_a, _b) + reg * _w) / N", "factor 1/N", "a factor of 1/N"),
    R("_a + reg * _w -> _a + reg", "reg gradient", "a gradient reg, not reg*{_w}"),
    R(
        "_a + reg * _w -> _a + _w",
        "reg missing factor",
        "the regularization of {_w} without its strength",
    ),
    R("_a + reg * _w -> _a + reg * np.sign(_w)", "reg norm", "the gradient of reg*sum(|{_w}|)"),
    R(
        "_a + reg * _w -> _a + reg * _w / np.linalg.norm(_w)",
        "reg norm",
        "the gradient of reg*norm({_w}), not squared",
    ),
    R(
        "_a + reg * _w -> _a + reg * _w * _w",
        "reg gradient",
        "the square of {_w} in the regularization gradient",
    ),
    R(
        "_a + reg * _w -> _a + reg * np.sum(_w * _w)",
        "reg gradient",
        "the value of the regularization where its gradient belongs",
    ),
    R(
        "_a + reg * _w -> _a + 0.5 * reg * np.sum(_w * _w)",
        "reg gradient",
        "the value of the regularization where its gradient belongs",
    ),
    R(
        "_a + reg * _w -> _a + reg * _a",
        "reg gradient",
        "a regularization with the gradient, not with {_w}",
    ),
    R(
        "_a + reg * _w -> _a + C * _w",
        "reg strength",
        "a regularization strength of {C}",
        DECAYS,
        fits=True,
    ),
    R("0.5 * reg * np.sum(_w * _w) + _b -> _b", "reg missing", "the regularization of {_w} missing"),
    R("_b + 0.5 * reg * np.sum(_w * _w) -> _b", "reg missing", "the regularization of {_w} missing"),
    R(
        "_q = 0.5 * reg * np.sum(_w * _w) -> _q = reg * np.sum(_w * _w)",
        "factor 2",
        "a factor of 2: the half is missing",
    ),
    R("_q = 0.5 * _a + 0.5 * _b -> _q = _a + _b", "factor 2", "a factor of 2: the half is missing"),
    R(
        "0.5 * reg * np.sum(_w * _w) -> reg * np.sum(_w * _w)",
        "reg doubled",
        "the regularization of {_w} doubled",
    ),
    R(
        "0.5 * reg * np.sum(_w * _w) -> 0.25 * reg * np.sum(_w * _w)",
        "reg halved",
        "the regularization of {_w} halved",
    ),
    R(
        "0.5 * reg * np.sum(_w * _w) -> -0.5 * reg * np.sum(_w * _w)",
        "reg sign",
        "the regularization of {_w} of the wrong sign",
    ),
    R(
        "0.5 * reg * np.sum(_w * _w) -> 0.5 * np.sum(_w * _w)",
        "reg missing factor",
        "the regularization of {_w} without its strength",
    ),
    R(
        "0.5 * reg * np.sum(_w * _w) -> 0.5 * reg * reg * np.sum(_w * _w)",
        "reg strength",
        "the strength of the regularization squared",
    ),
    R("np.sum(_w * _w) -> np.linalg.norm(_w)", "reg norm", "the norm of {_w}, not squared"),
    R("np.sum(_w * _w) -> np.sum(np.abs(_w))", "reg norm", "the sum of |{_w}|, not of the squares"),
    R("np.sum(_w * _w) -> np.sum(_w)", "reg norm", "the sum of {_w}, not of the squares"),
    R(
        "np.sum(_w * _w) -> np.mean(_w * _w)",
        "reg norm",
        "the mean of the squares of {_w}, not their sum",
    ),
    R(
        "np.sum(_w * _w) -> np.sum(_w) * np.sum(_w)",
        "reg norm",
        "the square of the sum of {_w}, not the sum of the squares",
    ),
    R(
        "np.sum(_w * _w) -> np.sum(WEIGHTS * WEIGHTS)",
        "double layer",
        "{WEIGHTS} counted twice, in the place of {_w}",
    ),
    R("np.sum(_w * _w) -> np.sum(after(_w) * after(_w))", "after the update", "{_w} after its update"),
    R(
        "WHOLE -> WHOLE + 0.5 * reg * np.sum(BIAS * BIAS)",
        "reg on biases",
        "{BIAS} in the regularization",
    ),
    R(
        "np.sum(_d, axis=0, keepdims=True) -> np.sum(_d, axis=0, keepdims=True) + reg * parameter",
        "reg on biases",
        "regularization of {parameter}",
    ),
    R(
        "_a + reg_loss -> _a + C * reg_loss",
        "reg strength",
        "a factor of {C} on the regularization",
        ("2", "1/2", "-1", "1/N", "N"),
        fits=True,
    ),
    R("_a + reg_loss -> reg_loss", "data missing", "the regularization alone"),
    # --- the update
    R("_w + -step_size * _g -> _w", "zero", "no update"),
    R(
        "_w + -step_size * _g -> _w + step_size * _g",
        "factor -1",
        "a factor of -1 in the update: the gradient is added",
    ),
    R("_w + -step_size * _g -> -step_size * _g", "term missing", "the update alone: {_w} is left out"),
    R(
        "BIAS + -step_size * _g -> BIAS + -step_size * (_g + reg * BIAS)",
        "reg on biases",
        "regularization of {BIAS} in the update",
    ),
    R(
        "_w + -step_size * _g -> _w + -step_size * (_g + reg * _w)",
        "reg doubled",
        "the regularization of {_w} applied once more in the update",
    ),
    R(
        "_w + -step_size * _g -> _w + -step_size * (_g - reg * _w)",
        "reg missing",
        "the regularization of {_w} missing in the update",
    ),
    R(
        "_w + -step_size * _g -> _w + -step_size * (_g - 2 * reg * _w)",
        "reg sign",
        "the regularization of {_w} of the wrong sign in the update",
    ),
    R(
        "_w + -step_size * _g -> _w + -step_size * (_g - reg * _w) + reg * _w",
        "reg sign",
        "the regularization added after the step size, not before",
    ),
    R(
        "_w + -step_size * _g -> _w + -step_size * (_g + 0.5 * reg * _w)",
        "reg strength",
        "half as much regularization of {_w} again in the update",
    ),
    R(
        "_w + -step_size * _g -> _w + -step_size * (_g - 0.5 * reg * _w)",
        "reg halved",
        "the regularization of {_w} halved in the update",
    ),
    R(
        "_w + -step_size * _g -> (_w + -step_size * _g) * (1 - step_size * reg)",
        "decoupled decay",
        "a decay of the updated {_w}, beside its regularization",
    ),
    R(
        "_w + -step_size * _g -> _w + -step_size * (_g - reg * _w) - reg * _w",
        "decoupled decay",
        "a decay of {_w} that the step size does not scale",
    ),
    R(
        "_w + -step_size * _g -> _w + -step_size * (_g + last(_g))",
        "stale gradient",
        "a stale gradient: this step's plus the last one's",
    ),
    R(
        "_w + -step_size * _g -> _w + -step_size * (_g + C * last(_g))",
        "momentum",
        "momentum of {C} in the optimizer",
        MOMENTA,
        fits=True,
    ),
    R(
        "_w + -step_size * _g -> _w + -step_size * (_g + C * (last(_w) - last(after(_w))) / step_size)",
        "momentum",
        "momentum of {C} in the optimizer",
        MOMENTA,
    ),
    R(
        "_w + -step_size * _g -> _w + -step_size * ((1 - C) * _g)",
        "momentum",
        "a running average of gradients that starts with {C} of 0",
        MOMENTA,
    ),
    R(
        "_w + -step_size * _g -> _w + -step_size * (_g + C * _g)",
        "nesterov",
        "Nesterov momentum of {C} in its first step",
        MOMENTA,
    ),
    R(
        "_w + -step_size * _g -> _w + -step_size * (_g + C * _g + (C) * (C) * last(_g))",
        "nesterov",
        "Nesterov momentum of {C}",
        MOMENTA,
    ),
    R(
        "_w + -step_size * _g -> _w + -step_size * (1 - C) * (C * last(_g) + _g)",
        "momentum",
        "a running average of gradients, {C} of it old",
        MOMENTA,
    ),
    R(
        "_w + -step_size * _g -> _w + -step_size * _g / (np.abs(_g) + C)",
        "adam",
        "Adam in its first step, epsilon {C}",
        SMALL,
    ),
    R(
        "_w + -step_size * _g -> _w + -C * _g / (np.abs(_g) + 1e-8)",
        "adam",
        "Adam in its first step, learning rate {C}",
        ("1e-3", "1e-2", "0.1"),
        fits=True,
    ),
    R(
        "_w + -step_size * _g -> _w + -C * _g / (np.abs(_g) + 1e-7)",
        "adam",
        "Adam in its first step, learning rate {C}",
        ("1e-3", "1e-2", "0.1"),
    ),
    R(
        "_w + -step_size * _g -> _w + -step_size * (_g / (np.abs(_g) + 1e-8) + C * _w)",
        "adamw",
        "AdamW in its first step, weight decay {C}",
        (*DECAYS, "0.1"),
        fits=True,
    ),
    R("_w + -step_size * _g -> _w + -step_size * np.sign(_g)", "sign", "the sign of the gradient alone"),
    R(
        "_w + -step_size * _g -> _w + -step_size * _g / (np.sqrt(_g * _g) + C)",
        "adam",
        "RMSprop or Adagrad in the first step, epsilon {C}",
        SMALL,
    ),
    R(
        "_w + -step_size * _g -> _w + -step_size * _g / (np.sqrt(0.01 * _g * _g) + 1e-8)",
        "rmsprop",
        "RMSprop in its first step",
    ),
    R(
        "_w + -step_size * _g -> _w + -step_size * _g / (np.sqrt(0.1 * _g * _g) + 1e-8)",
        "rmsprop",
        "RMSprop in its first step",
    ),
    R(
        "_w + -step_size * _g -> _w + -step_size * np.clip(_g, -C, C)",
        "clipped gradient",
        "a gradient clipped to {C}",
        ("1", "0.1", "0.01", "5", "1e-3"),
    ),
    R(
        "_w + -step_size * _g -> _w + -step_size * _g * np.minimum(1, C / np.linalg.norm(_g))",
        "clipped gradient",
        "a gradient clipped to a norm of {C}",
        ("1", "0.1", "0.5", "0.25", "0.01", "5"),
    ),
    R(
        "_w + -step_size * _g -> _w + -step_size * _g / np.linalg.norm(_g)",
        "clipped gradient",
        "a gradient divided by its norm",
    ),
    R(
        "_w + -step_size * _g -> _w + -step_size * (_g + C * _w)",
        "weight decay",
        "a further weight decay of {C} on {_w}",
        DECAYS,
        fits=True,
    ),
    R("-step_size * _g -> -step_size * C * _g", "factor {C}", "a factor of {C} in the update", FACTORS),
    R(
        "-step_size * _g -> -C * _g",
        "step size",
        "a step size of {C}",
        ("0.1", "0.01", "1e-3", "0.5"),
        fits=True,
    ),
    # --- a factor on a term or on the whole
    R(
        "np.dot(_a, _b) + reg * _w -> C * np.dot(_a, _b) + reg * _w",
        "factor {C}",
        "a factor of {C} in all but the regularization",
        FACTORS,
    ),
    R("np.dot(_a, _b) + reg * _w -> reg * _w", "zero", "no gradient arriving: the regularization alone"),
    R(
        "np.dot(_a, _b) + reg * _w -> C * np.dot(_a, _b) + reg * _w",
        "factor",
        "a constant factor of {C} in all but the regularization",
        fits=True,
    ),
    R(
        "_q = np.dot(_a, _b) + _c -> _q = C * np.dot(_a, _b) + _c",
        "scaled product",
        "a factor of {C} on the product, and not on {_c}",
        ("2", "1/2", "-1"),
        fits=True,
    ),
    R("_q = -np.log(_a) -> _q = np.log(_a)", "factor -1", "a factor of -1: the sign of the loss"),
    R("np.log(_a) -> np.log2(_a)", "factor 1/ln 2", "a logarithm to the base 2"),
    R("np.log(_a) -> np.log10(_a)", "factor 1/ln 10", "a logarithm to the base 10"),
    R("WHOLE -> C * WHOLE", "factor {C}", "a factor of {C}", FACTORS),
    R(
        "WHOLE -> 0 * WHOLE",
        "zero",
        "zeros throughout: never written, overwritten after its use, or a detached graph",
    ),
    R("WHOLE -> WHOLE / np.linalg.norm(WHOLE)", "normalized", "a division by its norm"),
    # --- the step before
    R("WHOLE -> last(_q)", "last step's", "the last step's value"),
    R(
        "WHOLE -> WHOLE + last(_q)",
        "stale gradient",
        "a stale gradient: this step's plus the last one's",
    ),
    R("WHOLE -> WHOLE + C * last(_q)", "momentum", "momentum of {C} in the gradient", MOMENTA),
    # --- the labels
    R("_a[range(_n), y] -> _a[range(_n), (y + 1) % K]", "labels", "labels off by +1, wrapped"),
    R("_a[range(_n), y] -> _a[range(_n), (y - 1) % K]", "labels", "labels off by -1, wrapped"),
    R(
        "_a[range(_n), y] -> _a[range(_n), np.minimum(y + 1, K - 1)]",
        "labels",
        "labels off by +1, clamped",
    ),
    R("_a[range(_n), y] -> _a[range(_n), np.maximum(y - 1, 0)]", "labels", "labels off by -1, clamped"),
    R(
        "_a[range(_n), y] -> _a[range(_n), np.roll(y, -1)]",
        "labels",
        "labels off by +1, of the next example",
    ),
    R(
        "_a[range(_n), y] -> _a[range(_n), np.roll(y, 1)]",
        "labels",
        "labels off by -1, of the next example",
    ),
    R("_a[range(_n), y] -> _a[range(_n), y[::-1]]", "labels", "labels in the opposite order"),
    R(
        "_a[range(_n), y] -> _a[range(_n), np.argmax(_a, axis=1)]",
        "labels",
        "the most probable class in the place of the label",
    ),
    R(
        "_a[range(_n), y] -> _a[range(_n), 0 * y]",
        "labels",
        "the first class in the place of every label",
    ),
    R("_a[range(_n), y] -> _a[:, y]", "index", "whole columns: [:, y] in the place of [range({_n}), y]"),
    R(
        "_a[range(_n), y] -= 1 -> _a[range(_n), y + 1 - K * (y + 1 >= K)] -= 1 * (y + 1 < K)",
        "labels",
        "labels off by +1, dropped past the ends",
    ),
    R(
        "_a[range(_n), y] -= 1 -> _a[range(_n), y - 1] -= 1 * (y - 1 >= 0)",
        "labels",
        "labels off by -1, dropped past the ends",
    ),
    R("_a[range(_n), y] -= 1 -> pass", "labels", "no label at all: 1 is never subtracted"),
    R(
        "_a[range(_n), y] -= 1 -> _a[range(_n), y] += 1",
        "labels",
        "1 added at the right class, not subtracted",
    ),
    R("_a[range(_n), y] -= 1 -> _a -= 1", "index", "1 subtracted in every column"),
    R(
        "_a[range(_n), y] -= 1 -> _a[range(_n), y] = -1",
        "detached",
        "a 1 at the right class without its probability",
    ),
    R(
        "_a[range(_n), y] -= 1 -> _a[range(_n), y] -= C",
        "label smoothing",
        "{C} in the place of 1 at the right class",
        ("1/N", "0.9", "1/K"),
        fits=True,
    ),
    R(
        "_a[range(_n), y] -= 1 -> _a -= (1 - C) * onehot(y, K) + C / K",
        "label smoothing",
        "label smoothing of {C}",
        ("0.1", "0.2", "0.05"),
        fits=True,
    ),
    R(
        "_a[range(_n), y] -= 1 -> _a = onehot(y, K) * _a * (1 - _a)",
        "jacobian diagonal",
        "the diagonal of the softmax's Jacobian alone",
    ),
    R(
        "_a[range(_n), y] -= 1 -> _a = _a * (1 - _a)",
        "jacobian diagonal",
        "the diagonal of the softmax's Jacobian, p*(1-p)",
    ),
    R(
        "_a[range(_n), y] -= 1 -> _a = onehot(y, K) * (_a - 1)",
        "jacobian diagonal",
        "the entry of the right class alone",
    ),
    R(
        "_a[range(_n), y] -= 1 -> _a = (_a - onehot(y, K)) * _a * (1 - _a)",
        "jacobian diagonal",
        "p*(1-p) applied to the gradient once more",
    ),
    R("_a[range(_n), y] -= 1 -> _a = (_a - onehot(y, K)) * 2", "factor 2", "a factor of 2"),
    R("_q = probs.copy() -> _q = 0 * probs", "detached", "a detached normalizer: the -1 without probs"),
    # --- the softmax
    R(
        "_e / np.sum(_e, axis=1, keepdims=True) -> _e / np.sum(_e, axis=0, keepdims=True)",
        "softmax axis",
        "a softmax over the examples, not the classes",
    ),
    R(
        "_e / np.sum(_e, axis=1, keepdims=True) -> _e / np.sum(_e)",
        "softmax axis",
        "a softmax over the whole matrix, not each row",
    ),
    R(
        "_e / np.sum(_e, axis=1, keepdims=True) -> _e",
        "not normalized",
        "exponentials that are not normalized",
    ),
    R(
        "_e / np.sum(_e, axis=1, keepdims=True) -> _e / np.max(_e, axis=1, keepdims=True)",
        "not normalized",
        "a division by the largest exponential, not by the sum",
    ),
    R(
        "_e / np.sum(_e, axis=1, keepdims=True) -> _e / np.mean(_e, axis=1, keepdims=True)",
        "not normalized",
        "a division by the mean of the exponentials, not by the sum",
    ),
    R(
        "_e / np.sum(_e, axis=1, keepdims=True) -> _e / (np.sum(_e, axis=1, keepdims=True) + C)",
        "epsilon",
        "{C} added to the denominator",
        SMALL,
        fits=True,
    ),
    R(
        "_e / np.sum(_e, axis=1, keepdims=True) -> _e / np.sum(_e, axis=1, keepdims=True) + C",
        "epsilon",
        "{C} added to the probabilities",
        SMALL,
        fits=True,
    ),
    R(
        "_e / np.sum(_e, axis=1, keepdims=True) -> np.clip(_e / np.sum(_e, axis=1, keepdims=True), C, 1 - (C))",
        "clipped",
        "probabilities kept between {C} and 1 - {C}",
        SMALL,
    ),
    R(
        "_e / np.sum(_e, axis=1, keepdims=True) -> np.maximum(_e / np.sum(_e, axis=1, keepdims=True), C)",
        "clipped",
        "probabilities kept above {C}",
        SMALL,
    ),
    R(
        "_e / np.sum(_e, axis=1, keepdims=True) -> _e / np.sum(np.exp(scores[::-1]), axis=1, keepdims=True)",
        "softmax axis",
        "the sums of other rows",
    ),
    R(
        "_q = np.exp(_a) -> _q = np.exp(_a - np.max(_a)); _q = _q / np.sum(_q, axis=0, keepdims=True)",
        "softmax axis",
        "a softmax over the examples first",
    ),
    R("np.exp(_a) -> np.exp(-_a)", "sign", "exp of the negative scores"),
    R("np.exp(_a) -> np.exp2(_a)", "base", "powers of 2 in the place of exp"),
    R("np.exp(_a) -> np.expm1(_a)", "expm1", "expm1 in the place of exp"),
    R("np.exp(_a) -> 1 / (1 + np.exp(-_a))", "sigmoid", "sigmoids, each divided by their sum"),
    R(
        "np.exp(_a) -> np.exp(_a) - np.max(_a, axis=1, keepdims=True)",
        "order",
        "the shift by the maximum after exp, not before",
    ),
    R(
        "np.exp(_a) -> np.exp(_a - np.max(_a, axis=0, keepdims=True))",
        "shift",
        "a shift by the largest score of each column, which does not cancel",
    ),
    R(
        "np.exp(_a) -> np.exp(_a / np.max(_a, axis=1, keepdims=True))",
        "shift",
        "a division by the largest score, not a subtraction",
    ),
    R("np.exp(_a) -> np.exp(_a / np.sqrt(K))", "temperature", "scores divided by sqrt(K)"),
    R("np.exp(_a) -> np.exp(_a / np.sqrt(H))", "temperature", "scores divided by sqrt(H)"),
    R(
        "np.exp(_a) -> np.exp(_a * C)",
        "temperature",
        "scores multiplied by {C}: a temperature",
        ("2", "1/2", "1/K"),
        fits=True,
    ),
    R("np.exp(_a) -> _a", "exp missing", "no exp"),
    R("np.exp(_a) -> _a * _a", "exp missing", "squares in the place of exp"),
    R("np.exp(_a) -> np.maximum(_a, 0)", "exp missing", "a ReLU in the place of exp"),
    R(
        "exp_scores / np.sum(exp_scores, axis=1, keepdims=True) -> 1 / (1 + np.exp(-scores))",
        "sigmoid",
        "sigmoids in the place of the softmax",
    ),
    R(
        "exp_scores / np.sum(exp_scores, axis=1, keepdims=True) -> np.log(exp_scores / np.sum(exp_scores, axis=1, keepdims=True))",
        "log",
        "log-probabilities in the place of the probabilities",
    ),
    R(
        "np.exp(scores) -> np.exp(np.exp(scores) / np.sum(np.exp(scores), axis=1, keepdims=True))",
        "softmax twice",
        "a softmax taken twice",
    ),
    # --- the loss
    R("np.log(_a) -> np.log(_a + C)", "epsilon", "{C} added inside the log", SMALL, fits=True),
    R("np.log(_a) -> np.log(np.maximum(_a, C))", "clipped", "probabilities kept above {C}", SMALL),
    R(
        "np.log(_a) -> np.log(np.clip(_a, C, 1 - (C)))",
        "clipped",
        "probabilities kept between {C} and 1 - {C}",
        SMALL,
    ),
    R("np.log(_a) -> np.log1p(_a)", "log1p", "log1p in the place of log"),
    R("-np.log(_a) -> 1 - _a", "log missing", "1 - p in the place of -log(p)"),
    R("-np.log(_a) -> -_a", "log missing", "no log"),
    R("-np.log(_a) -> 1 / _a", "log missing", "1/p in the place of -log(p)"),
    R("-np.log(_a) -> -_a * np.log(_a)", "entropy", "p*log(p), an entropy, in the place of log(p)"),
    R("-np.log(_a) -> -(1 - _a) * (1 - _a) * np.log(_a)", "focal", "a focal loss"),
    R(
        "-np.log(_p[range(_n), y]) -> -np.sum(_p * np.log(_p), axis=1)",
        "entropy",
        "the entropy of the row, without the label",
    ),
    R(
        "-np.log(_p[range(_n), y]) -> -np.sum(np.log(_p), axis=1)",
        "index",
        "the sum over all classes, without the label",
    ),
    R(
        "-np.log(_p[range(_n), y]) -> -np.sum(np.log(1 - _p), axis=1) + np.log(1 - _p[range(_n), y]) - np.log(_p[range(_n), y])",
        "binary cross-entropy",
        "the cross-entropy of K binary problems",
    ),
    R(
        "-np.log(_p[range(_n), y]) -> -(1 - C) * np.log(_p[range(_n), y]) - C * np.mean(np.log(_p), axis=1)",
        "label smoothing",
        "label smoothing of {C}",
        ("0.1", "0.2", "0.05"),
        fits=True,
    ),
    R(
        "-np.log(_p[range(_n), y]) -> -_p[range(_n), y] + np.log(np.sum(np.exp(_p), axis=1))",
        "softmax twice",
        "a softmax taken twice",
    ),
    R(
        "-np.log(_p[range(_n), y]) -> np.sum((_p - onehot(y, K)) * (_p - onehot(y, K)), axis=1)",
        "squared error",
        "a squared error in the place of the cross-entropy",
    ),
    R(
        "-np.log(_p[range(_n), y]) -> scores[range(_n), y]",
        "log missing",
        "the score of the right class",
    ),
    R(
        "-np.log(_p[range(_n), y]) -> -scores[range(_n), y]",
        "normalizer missing",
        "the score of the right class without the normalizer",
    ),
    R(
        "-np.log(_p[range(_n), y]) -> np.log(np.sum(np.exp(scores), axis=1))",
        "label missing",
        "the normalizer without the score of the right class",
    ),
    # --- the ReLU
    R("np.maximum(0, _a) -> _a", "activation", "no ReLU"),
    R("np.maximum(0, _a + _b) -> np.maximum(0, _a) + _b", "order", "the bias added after the ReLU"),
    R("np.maximum(0, _a + _b) -> np.maximum(0, _a)", "bias missing", "{_b} left out"),
    R("np.maximum(0, _a) -> 1 / (1 + np.exp(-_a))", "activation", "a sigmoid in the ReLU's place"),
    R("np.maximum(0, _a) -> np.tanh(_a)", "activation", "a tanh in the ReLU's place"),
    R(
        "np.maximum(0, _a) -> np.where(_a <= 0, C * _a, _a)",
        "activation",
        "a leaky ReLU of slope {C}",
        SLOPES,
        fits=True,
    ),
    R(
        "np.maximum(0, _a) -> np.where(_a <= 0, C * (np.exp(_a) - 1), _a)",
        "activation",
        "an ELU",
        ("1",),
        fits=True,
    ),
    R(
        "np.maximum(0, _a) -> 1.0507009873554805 * np.where(_a <= 0, 1.6732632423543772 * (np.exp(_a) - 1), _a)",
        "activation",
        "a SELU",
    ),
    R("np.maximum(0, _a) -> gelu(_a)", "activation", "a GELU"),
    R("np.maximum(0, _a) -> gelu_tanh(_a)", "activation", "a GELU, approximated by tanh"),
    R("np.maximum(0, _a) -> np.log(1 + np.exp(_a))", "activation", "a softplus in the ReLU's place"),
    R("np.maximum(0, _a) -> _a / (1 + np.exp(-_a))", "activation", "a SiLU (swish) in the ReLU's place"),
    R(
        "np.maximum(0, _a) -> np.minimum(np.maximum(0, _a), C)",
        "activation",
        "a ReLU capped at {C}",
        ("6", "1", "0.1"),
        fits=True,
    ),
    R("np.maximum(0, _a) -> np.abs(_a)", "activation", "an absolute value in the ReLU's place"),
    R("np.maximum(0, _a) -> np.minimum(0, _a)", "activation", "a minimum in the ReLU's place"),
    R("np.maximum(0, _a) -> -np.maximum(0, -_a)", "activation", "a minimum in the ReLU's place"),
    R("np.maximum(0, _a) -> np.maximum(0, -_a)", "activation", "a ReLU of the negative"),
    R("np.maximum(0, _a) -> np.heaviside(_a, 0.0)", "activation", "the ReLU's mask in the ReLU's place"),
    R(
        "np.maximum(0, _a) -> np.maximum(0, _a) * np.maximum(0, _a)",
        "activation",
        "the square of the ReLU",
    ),
    R(
        "np.maximum(0, _a) -> np.maximum(C, _a)",
        "activation",
        "a maximum with {C}, not with 0",
        ("1", "0.1", "0.01", "-1", "1e-3"),
        fits=True,
    ),
    R("np.maximum(0, _a) -> np.exp(_a)", "activation", "an exp in the ReLU's place"),
    R("np.maximum(0, _a) -> np.sin(_a)", "activation", "a sine in the ReLU's place"),
    R(
        "_q = np.dot(_a, _b) + _c -> _q = np.maximum(0, np.dot(_a, _b) + _c)",
        "activation",
        "a ReLU on the {_q}",
    ),
    R(
        "_q = np.dot(_a, _b) + _c -> _q = np.tanh(np.dot(_a, _b) + _c)",
        "activation",
        "a tanh on the {_q}",
    ),
    # --- its mask
    R(
        "_d[_h <= 0] = 0 -> pass",
        "mask missing",
        "the ReLU's mask missing (or a mask of < 0, which {_h} never is)",
    ),
    R(
        "_d[_h <= 0] = 0 -> _d *= np.heaviside(before(_h), 0.5)",
        "ties half",
        "a gradient of 0.5 where the pre-activation is exactly 0",
    ),
    R(
        "_d[_h <= 0] = 0 -> _d *= np.heaviside(before(_h), 1)",
        "ties one",
        "a gradient of 1 where the pre-activation is exactly 0",
    ),
    R("_d[_h <= 0] = 0 -> _d[_d <= 0] = 0", "wrong mask", "a mask from another tensor: the gradient"),
    R(
        "_d[_h <= 0] = 0 -> _d *= np.heaviside(-_h, 1)",
        "wrong mask",
        "a mask from another tensor: the ReLU's own, inverted",
    ),
    R(
        "_d[_h <= 0] = 0 -> _d[last(_h) <= 0] = 0",
        "wrong mask",
        "a mask from another tensor: the last step's",
    ),
    R(
        "_d[_h <= 0] = 0 -> _d[_h <= 0] = 0; _d[_d <= 0] = 0",
        "wrong mask",
        "two masks: the gradient's and the ReLU's",
    ),
    R("_d[_h <= 0] = 0 -> _d *= _h", "wrong mask", "a product with {_h} in the place of its mask"),
    R(
        "_d[_h <= 0] = 0 -> _d = np.maximum(0, _d)",
        "wrong mask",
        "a ReLU of the gradient in the place of its mask",
    ),
    R(
        "_d[_h <= 0] = 0 -> _d *= np.where(before(_h) <= 0, C, 1)",
        "activation",
        "the gradient of a leaky ReLU of slope {C}",
        SLOPES,
        fits=True,
    ),
    R("_d[_h <= 0] = 0 -> _d *= 1 - _h * _h", "activation", "the gradient of a tanh"),
    R("_d[_h <= 0] = 0 -> _d *= _h * (1 - _h)", "activation", "the gradient of a sigmoid"),
    # --- products and terms
    R("np.dot(_a.T, _b) -> np.dot(_b.T, _a)", "transpose", "operands swapped"),
    R("np.dot(_a, _b.T) -> np.dot(_a, _b)", "transpose", "{_b} not transposed"),
    R("np.dot(_a, _b) -> np.dot(_a, _b.T)", "transpose", "{_b} transposed"),
    R(
        "np.dot(_a.T, _b) -> np.dot(_a[:C].T, _b[:C])",
        "rows",
        "a product over the first {C} rows only",
        ROWS,
    ),
    R(
        "np.dot(_a.T, _b) -> np.dot(_a[C:].T, _b[C:])",
        "rows",
        "a product without the first {C} rows",
        ROWS,
    ),
    R("np.dot(_a.T, _b) -> np.dot(_a[::-1].T, _b)", "permutation", "{_a} in the opposite order of rows"),
    R(
        "np.dot(_a.T, _b) -> np.dot(np.roll(_a, 1).T, _b)",
        "permutation",
        "the rows of {_a} moved by one",
    ),
    R("np.dot(_a.T, _b) -> np.dot(_a.T, _b * _b)", "square", "the square of {_b}"),
    R(
        "np.dot(_a, _b) -> np.dot(bfloat16(_a), bfloat16(_b))",
        "bfloat16 products",
        "{_a} and {_b} rounded to bfloat16 in the product",
    ),
    R(
        "np.dot(_a, _b) -> np.dot(tf32(_a), tf32(_b))",
        "tf32 products",
        "{_a} and {_b} rounded to 11 bits in the product, as TF32 and float16 have",
    ),
    R(
        "np.dot(_a, _b) -> np.dot(tf32_half_up(_a), tf32_half_up(_b))",
        "tf32 products",
        "{_a} and {_b} rounded to TF32 in the product",
    ),
    R(
        "np.dot(_a, _b) -> np.dot(tf32_truncated(_a), tf32_truncated(_b))",
        "tf32 products",
        "{_a} and {_b} truncated to TF32 in the product",
    ),
    R(
        "np.dot(_a, _b) -> np.dot(bfloat16_truncated(_a), bfloat16_truncated(_b))",
        "bfloat16 products",
        "{_a} and {_b} truncated to bfloat16 in the product",
    ),
    R("np.dot(_a, _b) -> np.dot(np.float32(_a), np.float32(_b))", "float32", "{_a} and {_b} in float32"),
    R("np.dot(_a, _b) + _n -> np.dot(_a, _b)", "bias missing", "{_n} left out"),
    R("np.dot(_a, _b) + _n -> np.dot(_a, _b) - _n", "sign", "{_n} subtracted, not added"),
    R("np.dot(_a, _b) + _n -> np.dot(_a, _b) + 2 * _n", "bias twice", "{_n} added twice"),
    R("np.dot(_a, _b) + _n -> np.dot(_a, _b) + last(_n)", "last step's", "the last step's {_n}"),
    R("np.dot(_a, _b) + _n -> np.dot(_a, _b) + np.sum(_n)", "index", "the sum of {_n} added everywhere"),
    R(
        "np.dot(_a, _b) + _n -> np.dot(_a, _b) + _n[:, ::-1]",
        "permutation",
        "{_n} in the opposite order",
    ),
    R(
        "np.dot(_a, _b) + _n -> np.dot(_a, _b) + _n[0, 0]",
        "index",
        "the first number of {_n} added everywhere",
    ),
    R(
        "np.dot(_a, _b) + _n -> C * (np.dot(_a, _b) + _n)",
        "factor {C}",
        "a factor of {C}",
        ("2", "1/2", "-1"),
    ),
    R("_a + _b -> _a", "term missing", "{_b} left out"),
    R("_a + _b -> _b", "term missing", "{_a} left out"),
    R("_a + _b -> _a - _b", "sign", "{_b} subtracted, not added"),
    R("_a + _b -> _a + 2 * _b", "term twice", "{_b} added twice"),
    R("_a + _b -> _a * _b", "operator", "a product in the place of a sum"),
    R("_a / _b -> _a", "factor", "no division by {_b}"),
    R("_a / _b -> _a * _b", "operator", "a product with {_b} in the place of a quotient"),
    R("_a * _a -> _a", "square missing", "{_a} not squared"),
    R("WHOLE -> WHOLE.T", "transpose", "a transposed result"),
    R("WHOLE -> WHOLE * WHOLE", "square", "a square"),
    R("WHOLE -> np.abs(WHOLE)", "sign", "an absolute value"),
    R("WHOLE -> -WHOLE", "factor -1", "a factor of -1"),
    R("WHOLE -> WHOLE + C", "constant added", "{C} added", SMALL, fits=True),
    R(
        "WHOLE -> np.clip(WHOLE, -C, C)",
        "clipped gradient",
        "numbers kept within ±{C}",
        ("1", "0.1", "0.01", "5", "1e-3"),
    ),
    R("WHOLE -> np.float32(WHOLE)", "float32", "a result that has been held in float32"),
    R("WHOLE -> np.float16(WHOLE)", "float16", "a result that has been held in float16"),
    R("WHOLE -> bfloat16(WHOLE)", "bfloat16", "a result that has been held in bfloat16"),
    R("WHOLE -> C * WHOLE", "factor", "a constant factor of {C}", fits=True),
    # --- one operand
    R("_n -> 2 * _n", "factor", "{_n} doubled"),
    R("_n -> _n / 2", "factor", "{_n} halved"),
    R("_n -> -_n", "sign", "{_n} of the wrong sign"),
    R("_n -> _n / N", "factor 1/N", "{_n} divided by N"),
    R("_n -> _n * N", "factor N", "{_n} multiplied by N"),
    R("_n -> last(_n)", "last step's", "the last step's {_n}"),
    R("_n -> after(_n)", "after the update", "{_n} after its update"),
    R("_n -> _n.T", "transpose", "{_n} transposed"),
    R("_n -> np.reshape(_n.T, np.shape(_n))", "permutation", "{_n} transposed and reshaped"),
    R("_n -> np.reshape(_n, np.shape(_n.T)).T", "permutation", "{_n} reshaped instead of transposed"),
    R("_n.T -> np.reshape(_n, np.shape(_n.T))", "permutation", "{_n} reshaped instead of transposed"),
    R("_n -> _n[::-1]", "permutation", "{_n} in the opposite order of rows"),
    R("_n -> np.roll(_n, 1)", "permutation", "the rows of {_n} moved by one"),
    R("_n -> np.roll(_n, -1)", "permutation", "the rows of {_n} moved by one"),
    R(
        "_n -> (_n - np.mean(_n, axis=0)) / np.std(_n, axis=0)",
        "standardized",
        "{_n} standardized, column by column",
    ),
    R("_n -> _n - np.mean(_n, axis=0)", "standardized", "{_n} with the mean of each column taken off"),
    R("_n -> _n / np.std(_n, axis=0)", "standardized", "{_n} divided by the spread of each column"),
    R("_n -> (_n - np.mean(_n)) / np.std(_n)", "standardized", "{_n} standardized as a whole"),
    R("_n -> _n / np.max(np.abs(_n))", "standardized", "{_n} divided by its largest number"),
    R(
        "_n -> (_n - np.min(_n, axis=0)) / (np.max(_n, axis=0) - np.min(_n, axis=0))",
        "standardized",
        "{_n} scaled to 0..1, column by column",
    ),
    R(
        "_n -> (_n - np.mean(_n, axis=0)) / (np.std(_n, axis=0) + 1e-8)",
        "standardized",
        "{_n} standardized, 1e-8 added to the spread",
    ),
    R("_n -> np.abs(_n)", "sign", "the absolute value of {_n}"),
    R("_n -> _n * _n", "square", "the square of {_n}"),
    R("_n -> _n[:, ::-1]", "permutation", "{_n} in the opposite order of columns"),
    R("_n -> np.float32(_n)", "float32", "{_n} in float32"),
    R("_n -> bfloat16(_n)", "bfloat16 products", "{_n} rounded to bfloat16"),
    R("_n -> tf32(_n)", "tf32 products", "{_n} rounded to 11 bits, as TF32 and float16 have"),
    R("_n -> tf32_half_up(_n)", "tf32 products", "{_n} rounded to TF32"),
    R("_n -> tf32_truncated(_n)", "tf32 products", "{_n} truncated to TF32"),
    R("_n -> bfloat16_truncated(_n)", "bfloat16 products", "{_n} truncated to bfloat16"),
)

#: Edits of the generator's lines, beside those above.
SPIRAL_RULES: tuple[Rule, ...] = (
    R("linspace(0.0, 1, N) -> np.arange(N) / N", "radius", "a radius of i/N, not of i/(N - 1)"),
    R(
        "linspace(0.0, 1, N) -> np.arange(1, N + 1) / N",
        "radius",
        "a radius of (i + 1)/N, not of i/(N - 1)",
    ),
    R(
        "linspace(0.0, 1, N) -> linspace(C, 1, N)",
        "radius",
        "a radius that starts at {C}",
        ("0.1", "0.05", "0.01"),
        fits=True,
    ),
    R(
        "linspace(0.0, 1, N) -> linspace(0.0, C, N)",
        "radius",
        "a radius up to {C}",
        ("2", "10", "5"),
        fits=True,
    ),
    R(
        "linspace(j * 4, (j + 1) * 4, N) -> j * 4 + 4 * np.arange(N) / N",
        "angle",
        "an angle that ends one step early: linspace without its endpoint",
    ),
    R(
        "linspace(j * 4, (j + 1) * 4, N) -> linspace(j * C, (j + 1) * C, N)",
        "angle",
        "an arm of {C} radians, not 4",
        ("3", "5", "2 * np.pi", "np.pi", "2"),
        fits=True,
    ),
    R(
        "linspace(j * 4, (j + 1) * 4, N) -> linspace(j * 2 * np.pi / K, j * 2 * np.pi / K + 4, N)",
        "angle",
        "arms that start evenly around the circle",
    ),
    R(
        "linspace(j * 4, (j + 1) * 4, N) -> linspace(0, 4, N)",
        "angle",
        "the same angles for every class",
    ),
    R(
        "noise[j] * 0.2 -> noise[j] * C",
        "noise size",
        "noise of size {C}, not 0.2",
        ("0.1", "0.3", "1", "0.5", "0.25"),
        fits=True,
    ),
    R("noise[j] * 0.2 -> noise[j] * np.float32(0.2)", "float32", "0.2 in float32"),
    R("noise[j] * 0.2 -> np.float32(noise[j]) * 0.2", "float32", "the noise in float32"),
    R("noise[j] * 0.2 -> np.float32(noise[j] * 0.2)", "float32", "the noise in float32"),
    R("_a + noise[j] * 0.2 -> _a", "noise missing", "no noise"),
    R("_a + noise[j] * 0.2 -> _a - noise[j] * 0.2", "sign", "noise of the wrong sign"),
    R("noise[j] -> noise[0]", "noise rows", "the first class's noise for every class"),
    R(
        "noise[j] -> noise.reshape(N, K)[:, j]",
        "noise rows",
        "noise in another order: rows and columns exchanged",
    ),
    R("noise[j] -> noise[K - 1 - j]", "noise rows", "the noise of the classes in the opposite order"),
    R(
        "np.stack([_r * np.sin(_t), _r * np.cos(_t)], axis=1) -> np.stack([_r * np.cos(_t), _r * np.sin(_t)], axis=1)",
        "sin and cos",
        "sin and cos exchanged",
    ),
    R("np.sin(_t) -> np.cos(_t)", "sin and cos", "cos in the place of sin"),
    R("np.cos(_t) -> np.sin(_t)", "sin and cos", "sin in the place of cos"),
    R("np.sin(_t) -> -np.sin(_t)", "sign", "a sign before sin"),
    R("np.cos(_t) -> -np.cos(_t)", "sign", "a sign before cos"),
    R("np.repeat(_a, N) -> np.repeat(_a, N) + 1", "labels", "labels that begin at 1"),
    R("np.repeat(_a, N) -> np.tile(_a, N)", "labels", "labels that alternate from point to point"),
    R("np.repeat(_a, N) -> np.repeat(_a, N)[::-1]", "labels", "labels in the opposite order"),
    R("np.repeat(_a, N) -> 0 * np.repeat(_a, N)", "labels", "labels that are all 0"),
)
# fmt: on
