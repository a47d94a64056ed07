"""Single-head self-attention, whose softmax is shifted by the largest score of each row.

Every token of a sequence asks (q) all tokens (k), and takes the mean of their values (v) by how well
they answer. The shift changes no probability and keeps exp from overflowing; the gradient does not see
it.

Shapes: N sequences, T tokens, D dimensions, A dimensions of the head. `d` + name is the gradient of the
loss with respect to that name. Source: Vaswani et al. (2017), Attention Is All You Need, equation 1.
"""

import numpy as np


def init(rng):
    """Draw the first weights, of standard deviation sqrt(1 / inputs)."""
    return {
        "Wq": rng.standard_normal((12, 8)) / np.sqrt(12),
        "Wk": rng.standard_normal((12, 8)) / np.sqrt(12),
        "Wv": rng.standard_normal((12, 8)) / np.sqrt(12),
        "Wo": rng.standard_normal((8, 12)) / np.sqrt(8),
    }


def batch(rng):
    """Draw the sequences and their targets."""
    return {
        "X": rng.standard_normal((4, 6, 12)),
        "target": rng.standard_normal((4, 6, 12)),
        "step_size": 0.1,
    }


def step(params, batch, tap):
    """Attend, backpropagate, update."""
    Wq, Wk, Wv, Wo = params["Wq"], params["Wk"], params["Wv"], params["Wo"]
    X, target, step_size = batch["X"], batch["target"], batch["step_size"]
    num_sequences = X.shape[0]
    scale = 1 / np.sqrt(Wq.shape[1])

    # forward
    q = tap("q", X @ Wq)  # (N, T, A)
    k = tap("k", X @ Wk)  # (N, T, A)
    v = tap("v", X @ Wv)  # (N, T, A)
    scores = tap("scores", np.einsum("nta,nsa->nts", q, k) * scale)  # (N, T, T)
    exp_scores = np.exp(scores - np.max(scores, axis=2, keepdims=True))
    probs = tap("probs", exp_scores / np.sum(exp_scores, axis=2, keepdims=True))  # (N, T, T)
    attended = tap("attended", probs @ v)  # (N, T, A)
    out = tap("out", attended @ Wo)  # (N, T, D)
    missed = out - target
    tap("loss", 0.5 * np.sum(missed * missed) / num_sequences)

    # backward
    dout = tap("dout", missed / num_sequences)  # (N, T, D)
    dWo = tap("dWo", np.einsum("nta,ntd->ad", attended, dout))  # (A, D)
    dattended = tap("dattended", dout @ Wo.T)  # (N, T, A)
    dprobs = tap("dprobs", np.einsum("nta,nsa->nts", dattended, v))  # (N, T, T)
    dv = tap("dv", np.einsum("nts,nta->nsa", probs, dattended))  # (N, T, A)
    # each row of probabilities sums to 1: what would change the sum is taken away
    common = np.sum(dprobs * probs, axis=2, keepdims=True)
    dscores = tap("dscores", probs * (dprobs - common))  # (N, T, T)
    dq = tap("dq", dscores @ k * scale)  # (N, T, A)
    dk = tap("dk", np.einsum("nts,nta->nsa", dscores, q) * scale)  # (N, T, A)
    dWq = tap("dWq", np.einsum("ntd,nta->da", X, dq))  # (D, A)
    dWk = tap("dWk", np.einsum("ntd,nta->da", X, dk))  # (D, A)
    dWv = tap("dWv", np.einsum("ntd,nta->da", X, dv))  # (D, A)

    # update
    return {
        "Wq": tap("Wq_next", Wq - step_size * dWq),
        "Wk": tap("Wk_next", Wk - step_size * dWk),
        "Wv": tap("Wv_next", Wv - step_size * dWv),
        "Wo": tap("Wo_next", Wo - step_size * dWo),
    }
