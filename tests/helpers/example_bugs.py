"""Errors of the kind that people make, planted in the networks of docs/examples.

`blames` is the first quantity that is wrong: those before it are right, and those after it follow.
"""

from typing import NamedTuple


class Bug(NamedTuple):
    """A piece of a port's file, what it becomes, and the quantity that it spoils first."""

    network: str
    file: str
    what: str
    old: str
    new: str
    blames: str

    def __str__(self) -> str:
        return f"{self.network}-{self.file}-{self.what.replace(' ', '_')}"


BUGS = (
    Bug(
        "dropout",
        "in_jax",
        "mask not applied in the backward pass",
        "dz1 = dh1 * mask1 * (z1 > 0)",
        "dz1 = dh1 * (z1 > 0)",
        "dz1",
    ),
    Bug(
        "dropout",
        "in_torch",
        "mask drawn anew",
        'h2 = F.relu(z2) * batch["mask2"]',
        "h2 = F.dropout(F.relu(z2), 0.2)",
        "h2",
    ),
    Bug(
        "svm_hinge",
        "in_jax",
        "the right class has a margin of its own",
        "jnp.maximum(scores - scores[right][:, None] + 1, 0).at[right].set(0)",
        "jnp.maximum(scores - scores[right][:, None] + 1, 0)",
        "margins",
    ),
    Bug(
        "svm_hinge",
        "in_torch",
        "the mean over the classes",
        "F.multi_margin_loss(scores, y, margin=1.0) * scores.shape[1]",
        "F.multi_margin_loss(scores, y, margin=1.0)",
        "data_loss",
    ),
    Bug(
        "batch_norm",
        "in_jax",
        "the variance divides by N - 1",
        "var = jnp.var(z, axis=0, keepdims=True)",
        "var = jnp.var(z, axis=0, keepdims=True, ddof=1)",
        "var",
    ),
    Bug(
        "batch_norm",
        "in_torch",
        "momentum is what is kept",
        'momentum=batch["momentum"]',
        'momentum=1 - batch["momentum"]',
        "running_mean_next",
    ),
    Bug(
        "layer_norm_gelu",
        "in_jax",
        "epsilon outside the root",
        'std = jnp.sqrt(var + batch["eps"])',
        'std = jnp.sqrt(var) + batch["eps"]',
        "normalized",
    ),
    Bug(
        "layer_norm_gelu",
        "in_torch",
        "GELU with erf",
        'F.gelu(z, approximate="tanh")',
        "F.gelu(z)",
        "h",
    ),
    Bug(
        "attention",
        "in_jax",
        "softmax over the wrong axis",
        "jax.nn.softmax(scores, axis=-1)",
        "jax.nn.softmax(scores, axis=1)",
        "probs",
    ),
    Bug(
        "attention",
        "in_torch",
        "scores not divided by the root of their size",
        "F.scaled_dot_product_attention(q, k, v)",
        "F.scaled_dot_product_attention(q, k, v, scale=1.0)",
        "attended",
    ),
    Bug(
        "convolution",
        "in_jax",
        "filters flipped",
        "jax.lax.conv_general_dilated(X, W1,",
        "jax.lax.conv_general_dilated(X, W1[:, :, ::-1, ::-1],",
        "z",
    ),
    Bug(
        "convolution",
        "in_torch",
        "flattened with the channels last",
        "h.flatten(1)",
        "h.movedim(1, 3).flatten(1)",
        "scores",
    ),
    Bug(
        "rnn",
        "in_jax",
        "truncated by one time step",
        "dWx = sum(X[:, t - 1].T @ da[t] for t in times)",
        "dWx = sum(X[:, t - 1].T @ da[t] for t in times[1:])",
        "dWx",
    ),
    Bug(
        "rnn",
        "in_torch",
        "the bias in both biases",
        "self.rnn.bias_hh_l0.zero_()",
        "self.rnn.bias_hh_l0.copy_(b[0])",
        "h1",
    ),
    Bug(
        "adam",
        "in_jax",
        "bias correction with the count of the step before",
        "m / (1 - beta1**t)",
        "m / (1 - beta1 ** (t + 1))",
        "W_next",
    ),
    Bug(
        "adam",
        "in_torch",
        "epsilon is not given",
        '        eps=batch["eps"],\n',
        "        eps=1e-3,\n",
        "W_next",
    ),
    Bug(
        "adamw",
        "in_jax",
        "decay not multiplied by the step size",
        '(1 - step_size * batch["weight_decay"])',
        '(1 - batch["weight_decay"])',
        "W_next",
    ),
    Bug(
        "adamw",
        "in_torch",
        "decay coupled to the gradient",
        "torch.optim.AdamW(",
        "torch.optim.Adam(",
        "m_W_next",
    ),
    Bug(
        "vae",
        "in_torch",
        "divergence without the half",
        "kl = -0.5 * torch.sum(",
        "kl = -torch.sum(",
        "kl",
    ),
    Bug(
        "vae",
        "in_jax",
        "the log-variance taken for that of the standard deviation",
        "std = jnp.exp(0.5 * logvar)",
        "std = jnp.exp(logvar)",
        "std",
    ),
)
