"""Mistakes in this network: softmax, labels, loss, ReLU, dropout."""

from collections.abc import Iterator

import numpy as np

from ports.diagnosis.case import Case, Suspicion
from reference.agreement.rounded import Rounded
from reference.arrays import Plain
from reference.models import Relu


def labels(case: Case) -> Iterator[Suspicion]:
    """The labels are off by one, and wrap, clamp or drop out past the ends."""
    if case.quantity not in ("correct_logprobs", "dscores"):
        return
    y, K = case.y.astype(np.int64), case.value_of("probs").shape[1]
    for shift in (-1, 1):
        how = f"labels off by {shift:+d}"
        for ends, other in (
            ("wrapped", (y + shift) % K),
            ("clamped", np.clip(y + shift, 0, K - 1)),
            ("of the next example", np.roll(y, -shift)),
        ):
            yield Suspicion("labels", f"{how}, {ends}", case.try_recomputed({"y": other}))
        if case.quantity == "dscores":
            inside = (y + shift >= 0) & (y + shift < K)
            shifted = case.try_recomputed({"y": np.clip(y + shift, 0, K - 1)})
            if shifted is not None:
                shifted[~inside] = (case.exact(case.value_of("probs")) / case.y.size)[~inside]
            yield Suspicion("labels", f"{how}, dropped past the ends", shifted)
    if case.quantity == "dscores":
        none = case.exact(case.value_of("probs")) / case.y.size
        yield Suspicion("labels", "no label at all: 1 is never subtracted", none)
        added = np.zeros(case.got.shape)
        added[range(y.size), y] = 2 / y.size
        yield Suspicion("labels", "1 added at the right class, not subtracted", case.plus(1, added))


def softmax_variants(case: Case) -> Iterator[Suspicion]:
    """Softmax over the wrong axis, not normalized, or taken twice."""
    if "scores" not in case.inputs:
        return
    if case.quantity == "probs":
        exp_scores = np.exp(case.exact(case.value_of("scores")))
        down = exp_scores / np.sum(exp_scores, axis=0, keepdims=True)
        yield Suspicion("softmax axis", "a softmax over the examples, not the classes", down)
        over_all = exp_scores / np.sum(exp_scores)
        yield Suspicion("softmax axis", "a softmax over the whole matrix, not each row", over_all)
        yield Suspicion("not normalized", "exponentials that are not normalized", exp_scores)
    elif case.quantity in ("correct_logprobs", "data_loss") and "probs" in case.inputs:
        forget = ("probs", "correct_logprobs")
        twice = case.try_recomputed({"scores": case.value_of("probs")}, forget)
        yield Suspicion("softmax twice", "a softmax taken twice", twice)


def detached(case: Case) -> Iterator[Suspicion]:
    """The gradient through the normalizer is missing."""
    if case.quantity == "dscores":
        probs = case.exact(case.value_of("probs")) / case.y.size
        yield Suspicion("detached", "a detached normalizer: the -1 without probs", case.plus(-1, probs))


def epsilon(case: Case) -> Iterator[Suspicion]:
    """An epsilon is added inside the log: log(p + epsilon)."""
    if case.quantity == "correct_logprobs" and "probs" in case.inputs:
        p = case.value_of("probs")[range(case.y.size), case.y].astype(np.float64)
        fitted = float(np.median(np.exp(-case.got) - p))
        if fitted > 0:
            added = float(f"{fitted:.0e}")
            predicted = -np.log(case.exact(p) + added)
            yield Suspicion("epsilon", f"{added:g} added inside the log", predicted)


def clipped(case: Case) -> Iterator[Suspicion]:
    """Probabilities are clipped to keep their log finite, or the clipped ones pass no gradient."""
    if case.quantity == "dscores":
        yield from _cut_off(case)
    elif case.quantity in ("probs", "correct_logprobs"):
        low, high = float(case.got.min()), float(case.got.max())
        predicted = -np.maximum(-np.maximum(case.expected, low), -high)
        ends = (low, high) if case.quantity == "probs" else (np.exp(-high), np.exp(-low))
        yield Suspicion(
            "clipped", "probabilities kept between {:.3g} and {:.6g}".format(*ends), predicted
        )


def _cut_off(case: Case) -> Iterator[Suspicion]:
    """A clipped probability does not depend on the scores."""
    p = case.value_of("probs")[range(case.y.size), case.y]
    gone = ~case.got.any(axis=1)
    if gone.any() and not gone.all() and p[gone].max() < p[~gone].min():
        phrase = f"no gradient where the probability of the right class is {p[gone].max():.0e} or less"
        kept = np.where(gone, 0.0, 1.0)[:, None]
        yield Suspicion("clipped", phrase, case.expected * case.exact(kept))


def masks(case: Case) -> Iterator[Suspicion]:
    """The ReLU's mask is missing or another tensor's, or its gradient at exactly 0 is not 0."""
    for name, relu in case.model.relus.items():
        if case.quantity in (relu.gradient, f"d{relu.bias}"):
            yield from _masked(case, name, relu)


def _masked(case: Case, name: str, relu: Relu) -> Iterator[Suspicion]:
    """The gradient behind one ReLU under other masks, or its sum over the examples."""
    at_relu = case.about(relu.gradient)
    hidden = case.value_of(name)
    unmasked = at_relu.recomputed({name: np.ones_like(hidden)})
    for cause, phrase, weight in mask_weights(at_relu, name, unmasked):
        predicted = unmasked * case.exact(weight)
        if case.quantity != relu.gradient:
            predicted = np.sum(predicted, axis=0, keepdims=True)
        yield Suspicion(cause, phrase, predicted)


def activations(case: Case) -> Iterator[Suspicion]:
    """Another function in the ReLU's place, or a ReLU on the scores."""
    if case.quantity == "scores":
        yield Suspicion("activation", "a ReLU on the scores", np.maximum(0, case.expected))
    if case.quantity not in case.model.relus:
        return
    pre = pre_activation(case, case.quantity)
    yield Suspicion("activation", "no ReLU", pre)
    yield Suspicion("activation", "a sigmoid in the ReLU's place", 1 / (1 + np.exp(-pre)))
    twice = np.exp(2 * pre)
    yield Suspicion("activation", "a tanh in the ReLU's place", (twice - 1) / (twice + 1))


def leaky(case: Case) -> Iterator[Suspicion]:
    """A leaky ReLU of some slope."""
    if case.quantity in case.model.relus:
        pre = pre_activation(case, case.quantity)
        off = pre.value < 0
        if off.any() and case.got[off].any():
            slope = float(f"{np.median(case.got[off] / pre.value[off]):.3g}")
            leaked = np.maximum(pre, 0) - np.maximum(-pre, 0) * slope
            yield Suspicion("activation", f"a leaky ReLU of slope {slope:g}", leaked)


def pre_activation(case: Case, hidden: str) -> Rounded:
    """The input of the ReLU whose output is `hidden`."""
    relu = case.model.relus[hidden]
    W, b = case.exact(case.params[relu.weights]), case.exact(case.params[relu.bias])
    pre: Rounded = np.dot(case.exact(case.value_of(relu.inputs)), W) + b
    return pre


def mask_weights(case: Case, name: str, unmasked: Rounded) -> Iterator[tuple[str, str, Plain]]:
    """For each mask its cause, its phrase, and its factors on the gradient behind a ReLU."""
    hidden = case.value_of(name)
    missing = f"the ReLU's mask missing (or a mask of < 0, which {name} never is)"
    yield "mask missing", missing, np.ones(hidden.shape)
    ties = exact_ties(case, name)
    for at_tie, word in ((0.5, "half"), (1.0, "one")):
        phrase = f"a gradient of {at_tie:g} where the pre-activation is exactly 0 ({ties.sum()} ties)"
        yield f"ties {word}", phrase, np.where(ties, at_tie, hidden > 0)
    others = {"the gradient": unmasked.value, "the ReLU's own, inverted": -hidden}
    if name in case.before:
        others["the last step's"] = case.before[name]
    for which, other in others.items():
        positive = other >= 0 if "inverted" in which else other > 0
        yield "wrong mask", f"a mask from another tensor: {which}", positive.astype(np.float64)
    both = (unmasked.value > 0) & (hidden > 0)
    yield "wrong mask", "two masks: the gradient's and the ReLU's", both.astype(np.float64)


def exact_ties(case: Case, hidden: str) -> Plain:
    """Where the pre-activation is 0, however it is rounded."""
    pre = pre_activation(case, hidden)
    return np.asarray((pre.value == 0) & (pre.errors() == 0))


def dropout(case: Case) -> Iterator[Suspicion]:
    """Some elements are 0, and the others are scaled up by 1/(1-p)."""
    on = (case.got != 0) & (case.expected.value > 0)
    if case.quantity not in case.model.relus or not on.any():
        return
    scale = float(np.median(case.got[on] / case.expected.value[on]))
    p = round(1 - 1 / scale, 2) if scale > 1 else 0.0
    if p:
        kept = np.where(case.got != 0, 1 / (1 - p), 0.0)
        yield Suspicion("dropout", f"dropout of {p:g} left on", case.expected * case.exact(kept))
