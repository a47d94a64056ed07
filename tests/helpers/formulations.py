"""Right ways to write each line of the note's step, as data, and the programs that are made of them.

Each line of the step has several ways: those that work in every framework, those that write into an
array, and those of a framework's own library. A program is one way for each line, drawn at random, in
one of the styles below. `WRONG` has ways that look much the same, and the quantity that each gets wrong.

In a way, `$x @ $W + $b` is filled in layer by layer. The variables that a way may use are those of the
lines before it: z are the scores as shifted, e = exp(z), s the row sums of e, and rows, onehot the right
classes. `xp` is numpy, torch or jax.numpy.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from string import Template
from textwrap import indent
from types import ModuleType
from typing import NamedTuple

import numpy as np

from ports.contract import LoadedPort
from ports.registry import FRAMEWORKS
from reference.models import Model

#: The ways to write a line, by name.
Ways = Mapping[str, str]

#: Ways that every framework has, and can differentiate.
EVERYWHERE: dict[str, Ways] = {
    "affine": {
        "product plus bias": "$out = $x @ $W + $b",
        "bias first": "$out = $b + xp.matmul($x, $W)",
        "bias as a row of weights": (
            "$out = xp.concatenate([$x, xp.ones((N, 1), dtype=X.dtype)], axis=1) "
            "@ xp.concatenate([$W, $b])"
        ),
        "einsum": '$out = xp.einsum("nd,dk->nk", $x, $W) + $b',
        "examples in columns": "$out = ($W.T @ $x.T + $b.T).T",
    },
    "relu": {
        "where": "$out = xp.where($out > 0, $out, 0)",
        "times its mask": "$out = $out * ($out > 0)",
    },
    "shift": {
        "none": "z = scores",
        "largest of the row": "z = scores - constant(xp.amax(scores, axis=1, keepdims=True))",
        "largest of the row, differentiated too": "z = scores - xp.amax(scores, axis=1, keepdims=True)",
        "largest of all rows": "z = scores - constant(xp.amax(scores))",
    },
    "probs": {
        "quotient": "probs = e / s",
        "times the reciprocal": "probs = e * (1 / s)",
        "einsum": 'probs = xp.einsum("nk,n->nk", e, 1 / s[:, 0])',
        "sum by ones": "probs = e / (e @ xp.ones((K, 1), dtype=X.dtype))",
        "exp of log-softmax": "probs = xp.exp(z - xp.log(s))",
        "examples in columns": "probs = (e.T / xp.sum(e.T, axis=0)).T",
    },
    "correct_logprobs": {
        "of the probabilities": "correct_logprobs = -xp.log(probs[rows, y])",
        "one-hot": "correct_logprobs = -xp.sum(onehot * xp.log(probs), axis=1)",
        "of the quotient": "correct_logprobs = -xp.log(e[rows, y] / s[:, 0])",
        "log-softmax": "correct_logprobs = -(z - xp.log(s))[rows, y]",
        "log of the sum less score": "correct_logprobs = xp.log(s)[:, 0] - z[rows, y]",
    },
    "data_loss": {
        "sum over N": "data_loss = xp.sum(correct_logprobs) / N",
        "mean": "data_loss = xp.mean(correct_logprobs)",
        "sum times 1/N": "data_loss = xp.sum(correct_logprobs) * (1 / N)",
        "sum of quotients": "data_loss = xp.sum(correct_logprobs / N)",
        "weighted sum": "data_loss = xp.full((N,), 1 / N, dtype=X.dtype) @ correct_logprobs",
        "difference of means": "data_loss = xp.mean(xp.log(s)) - xp.mean(z[rows, y])",
        "difference of sums": "data_loss = (xp.sum(xp.log(s)) - xp.sum(onehot * z)) / N",
        "one-hot": "data_loss = -1 / N * xp.sum(onehot * xp.log(probs))",
    },
    "term": {  # a layer's term of the regularization
        "half the sum of squares": "$r = 0.5 * reg * xp.sum($W * $W)",
        "squares by power": "$r = reg / 2 * ($W**2).sum()",
        "norm squared": "$r = 0.5 * reg * xp.linalg.norm($W) ** 2",
        "sum of scaled squares": "$r = xp.sum(0.5 * reg * $W * $W)",
        "dot product": "$r = 0.5 * reg * ($W.reshape(-1) @ $W.reshape(-1))",
        "halved last": "$r = reg * xp.sum($W * $W) / 2",
    },
    "loss": {
        "reg_loss last": "loss = data_loss + reg_loss",
        "reg_loss first": "loss = reg_loss + data_loss",
        "term by term": "loss = data_loss + $terms",
    },
    "update": {
        "of the gradient": "${W}_next = $W - lr * d$W",
        "negative step": "${W}_next = $W + -lr * d$W",
    },
    "decayed update": {
        "two subtractions": "${W}_next = $W - lr * data_$W\n${W}_next = ${W}_next - lr * reg * $W",
        "decay first": "${W}_next = $W - lr * reg * $W\n${W}_next = ${W}_next - lr * data_$W",
        "factor": "${W}_next = $W * (1 - lr * reg) - lr * data_$W",
        "both parts together": "${W}_next = $W - (lr * data_$W + lr * reg * $W)",
        "gradient added up": "${W}_next = $W - lr * (data_$W + reg * $W)",
    },
}

#: Ways of the gradients by hand. `$d` is the gradient on the layer's output, N times too large in the
#: style "divided late", in which `$late` divides what is computed from it by N.
BY_HAND: dict[str, Ways] = {
    "dscores": {
        "less one-hot": "dscores = (probs - onehot) / N",
        "times 1/N": "dscores = (probs - onehot) * (1 / N)",
        "split": "dscores = probs / N - onehot / N",
        "own log-softmax": "dscores = (xp.exp(z - xp.log(s)) - onehot) / N",
        "from the exponentials": "dscores = xp.where(onehot > 0, -(s - e) / s, e / s) / N",
        "from the exponentials, sN": "dscores = xp.where(onehot > 0, e - s, e) / (s * N)",
        "quotient rule": "dscores = e * (1 / s - onehot / e[rows, y][:, None]) / N",
        "through the softmax": (
            "g = -onehot / probs[rows, y][:, None] / N\n"
            "dscores = probs * (g - xp.sum(g * probs, axis=1, keepdims=True))"
        ),
    },
    "late dscores": {
        "less one-hot": "late_dscores = probs - onehot\ndscores = late_dscores / N",
        "from the exponentials": (
            "late_dscores = xp.where(onehot > 0, -(s - e) / s, e / s)\ndscores = late_dscores / N"
        ),
    },
    "dhidden": {
        "times the mask": "$g = ($d @ $W.T) * ($out > 0)",
        "where": "$g = xp.where($out > 0, xp.matmul($d, $W.T), 0)",
        "einsum": '$g = xp.einsum("nk,hk->nh", $d, $W) * ($out > 0)',
        "examples in columns": "$g = (($W @ $d.T) * ($out.T > 0)).T",
    },
    "data gradient": {
        "product": "data_$W = $x.T @ $d$late",
        "einsum": 'data_$W = xp.einsum("nd,nk->dk", $x, $d)$late',
        "transposed": "data_$W = ($d.T @ $x).T$late",
        "row of a larger product": (
            "data_$W = (xp.concatenate([$x, xp.ones((N, 1), dtype=X.dtype)], axis=1).T @ $d)[:-1]$late"
        ),
    },
    "dW": {
        "regularization last": "d$W = data_$W + reg * $W",
        "regularization first": "d$W = reg * $W\nd$W = d$W + data_$W",
        "two halves": "d$W = data_$W + 0.5 * reg * $W + 0.5 * reg * $W",
        "twice a half": "d$W = data_$W + 0.5 * reg * (2 * $W)",
    },
    "db": {
        "sum": "d$b = xp.sum($d, axis=0, keepdims=True)$late",
        "product with ones": "d$b = (xp.ones((1, N), dtype=X.dtype) @ $d)$late",
        "sum of columns": "d$b = xp.sum($d.T, axis=1)[None]$late",
    },
}

#: Ways that write into an array, where the framework lets them.
IN_PLACE: dict[str, Ways] = {
    "affine": {"bias added in place": "$out = $x @ $W\n$out += $b"},
    "relu": {"in place": "$out = $out + 0\n$out[$out <= 0] = 0"},
    "dscores": {
        "in place": "dscores = probs + 0\ndscores[rows, y] -= 1\ndscores /= N",
        "split in place": "dscores = probs / N\ndscores[rows, y] -= 1 / N",
        "exponentials in place": (
            "dscores = e / s / N\ndscores[rows, y] = -(s[:, 0] - e[rows, y]) / s[:, 0] / N"
        ),
    },
    "late dscores": {
        "in place": "late_dscores = probs + 0\nlate_dscores[rows, y] -= 1\ndscores = late_dscores / N"
    },
    "dhidden": {"in place": "$g = $d @ $W.T\n$g[$out <= 0] = 0"},
    "dW": {"added to the regularization": "d$W = reg * $W\nd$W += data_$W"},
    "update": {"in place": "${W}_next = $W + 0\n${W}_next -= lr * d$W"},
    "decayed update": {
        "in place": "${W}_next = $W + 0\n${W}_next -= lr * data_$W\n${W}_next -= lr * reg * $W",
        "factor in place": "${W}_next = $W + 0\n${W}_next *= 1 - lr * reg\n${W}_next -= lr * data_$W",
    },
}

#: Ways of the frameworks' own libraries, which they can differentiate.
LIBRARY: dict[str, dict[str, Ways]] = {
    "numpy": {"relu": {"maximum": "$out = np.maximum(0, $out)"}},
    "torch": {
        "affine": {"addmm": "$out = torch.addmm($b[0], $x, $W)"},
        "relu": {"relu": "$out = torch.relu($out)"},
        "probs": {
            "softmax": "probs = torch.softmax(scores, 1)",
            "exp of library log-softmax": "probs = torch.exp(torch.log_softmax(scores, 1))",
            "less logsumexp": "probs = torch.exp(scores - torch.logsumexp(scores, 1, keepdim=True))",
        },
        "correct_logprobs": {
            "library log-softmax": "correct_logprobs = -torch.log_softmax(scores, 1)[rows, y]",
            "logsumexp": "correct_logprobs = torch.logsumexp(scores, 1) - scores[rows, y]",
            "cross-entropy": (
                'correct_logprobs = torch.nn.functional.cross_entropy(scores, y, reduction="none")'
            ),
        },
        "data_loss": {
            "cross-entropy": "data_loss = torch.nn.functional.cross_entropy(scores, y)",
            "cross-entropy over N": (
                'data_loss = torch.nn.functional.cross_entropy(scores, y, reduction="sum") / N'
            ),
            "difference of library means": (
                "data_loss = torch.logsumexp(scores, 1).mean() - scores[rows, y].mean()"
            ),
        },
    },
    "jax": {
        "relu": {"relu": "$out = jax.nn.relu($out)"},
        "probs": {
            "softmax": "probs = jax.nn.softmax(scores, axis=1)",
            "exp of library log-softmax": "probs = jnp.exp(jax.nn.log_softmax(scores, axis=1))",
            "less logsumexp": (
                "probs = jnp.exp(scores - jax.nn.logsumexp(scores, axis=1, keepdims=True))"
            ),
        },
        "correct_logprobs": {
            "library log-softmax": "correct_logprobs = -jax.nn.log_softmax(scores, axis=1)[rows, y]",
            "logsumexp": "correct_logprobs = jax.nn.logsumexp(scores, axis=1) - scores[rows, y]",
        },
        "data_loss": {
            "difference of library means": (
                "data_loss = jax.nn.logsumexp(scores, axis=1).mean() - scores[rows, y].mean()"
            ),
        },
    },
}

#: What a program's file begins with.
HEADERS = {
    "numpy": "import numpy as np\nxp = np\ndef constant(x): return x\n",
    "torch": "import torch\nxp = torch\ndef constant(x): return x.detach()\n",
    "jax": "import jax\nimport jax.numpy as jnp\nxp = jnp\nconstant = jax.lax.stop_gradient\n",
}


class Style(NamedTuple):
    """How a program comes to its gradients: in which framework and mode, by hand or by differentiation.

    `late`: by hand, and divided by N only after the products. `objective`: what is differentiated, the
    loss, or data_loss if the program adds the regularization's gradient by hand.
    """

    framework: str
    mode: str = "eager"
    late: bool = False
    objective: str = ""

    def __str__(self) -> str:
        how = f"gradient of {self.objective}" if self.objective else "by hand"
        return f"{self.framework}-{self.mode}, {how}" + (", divided late" if self.late else "")


STYLES = (
    Style("numpy"),
    Style("numpy", late=True),
    Style("torch"),
    Style("torch", late=True),
    Style("torch", objective="loss"),
    Style("torch", objective="data_loss"),
    Style("jax", "compiled", objective="loss"),
    Style("jax", "compiled", late=True),
    Style("jax", "compiled", objective="data_loss"),
    Style("jax", "compiled"),
    Style("jax"),
)


class Wrong(NamedTuple):
    """A wrong way to write a line, and the quantity that is then wrong."""

    slot: str
    code: str
    blames: str


#: One mistake in a line of any program.
WRONG = {
    "bias twice": Wrong("affine", "$out = $x @ $W + 2 * $b", "$out"),
    "leaky": Wrong("relu", "$out = xp.where($out > 0, $out, 0.01 * $out)", "$out"),
    "normalized over the examples": Wrong("probs", "probs = e / xp.sum(e, axis=0)", "probs"),
    "epsilon in the logarithm": Wrong(
        "correct_logprobs", "correct_logprobs = -xp.log(probs[rows, y] + 1e-3)", "correct_logprobs"
    ),
    "sum over N + 1": Wrong("data_loss", "data_loss = xp.sum(correct_logprobs) / (N + 1)", "data_loss"),
    "mean of the largest scores": Wrong(
        "data_loss", "data_loss = xp.mean(xp.log(s)) - xp.mean(xp.amax(z, axis=1))", "data_loss"
    ),
    "norm not squared": Wrong("term", "$r = 0.5 * reg * xp.linalg.norm($W)", "reg_loss"),
    "no half": Wrong("term", "$r = reg * xp.sum($W * $W)", "reg_loss"),
    "regularization twice": Wrong("loss", "loss = data_loss + 2 * reg_loss", "loss"),
    "no 1/s": Wrong("dscores", "dscores = xp.where(onehot > 0, -(s - e), e / s) / N", "dscores"),
    "one-hot not divided": Wrong("dscores", "dscores = probs / N - onehot", "dscores"),
    "mask missing": Wrong("dhidden", "$g = $d @ $W.T", "$g"),
    "half the regularization": Wrong("dW", "d$W = data_$W + 0.5 * reg * $W", "d$W"),
    "regularization divided too": Wrong("dW", "d$W = (N * data_$W + reg * $W) / N", "d$W"),
    "mean for the sum": Wrong("db", "d$b = (xp.sum($d, axis=0, keepdims=True) / N)$late", "d$b"),
    "twice the step": Wrong("update", "${W}_next = $W - 2 * lr * d$W", "${W}_next"),
    "twice the decay": Wrong(
        "decayed update", "${W}_next = $W - lr * data_$W - 2 * lr * reg * $W", "${W}_next"
    ),
    "factor of twice the decay": Wrong(
        "decayed update", "${W}_next = $W * (1 - 2 * lr * reg) - lr * data_$W", "${W}_next"
    ),
    "decay without the step": Wrong(
        "decayed update", "${W}_next = $W * (1 - reg) - lr * data_$W", "${W}_next"
    ),
    "no decay": Wrong("decayed update", "${W}_next = $W - lr * data_$W", "${W}_next"),
    "decay of the updated": Wrong(
        "decayed update",
        "${W}_next = $W - lr * data_$W\n${W}_next = ${W}_next - lr * reg * ${W}_next",
        "${W}_next",
    ),
    "factor on both": Wrong(
        "decayed update", "${W}_next = ($W - lr * data_$W) * (1 - lr * reg)", "${W}_next"
    ),
}


def ways(slot: str, style: Style) -> Ways:
    """The ways to write a line in a style. Nothing is differentiated that was written into."""
    library = LIBRARY[style.framework].get(slot, {})
    in_place = {} if style.framework == "jax" or style.objective else IN_PLACE.get(slot, {})
    everywhere = EVERYWHERE | BY_HAND
    return {**everywhere[slot], **in_place, **library}


class Program(NamedTuple):
    """A step of a model in one style, as Python source."""

    model: Model
    style: Style
    source: str
    blames: frozenset[str]

    def port(self, name: str) -> LoadedPort:
        """A port with this step."""
        framework = FRAMEWORKS[self.style.framework]
        module = ModuleType(name)
        exec(compile(self.source, name, "exec"), vars(module))
        return LoadedPort(name, name, framework, loaded=module)


def program(model: Model, style: Style, rng: np.random.Generator, wrong: Wrong | None = None) -> Program:
    """Draw a way for each line; where `wrong` has its line, that is taken instead."""
    writer = Writer(model, style, rng, wrong)
    return Program(model, style, writer.source(), frozenset(writer.blames))


class Layer(NamedTuple):
    """What surrounds a layer: its input, its parameters, its output, and the gradient on its output."""

    x: str
    W: str
    b: str
    out: str
    g: str


def layers(model: Model) -> list[Layer]:
    """The hidden layers, and the one that gives the scores."""
    hidden = [
        Layer(relu.inputs, relu.weights, relu.bias, out, relu.gradient)
        for out, relu in model.relus.items()
    ]
    x = hidden[-1].out if hidden else "X"
    return [*hidden, Layer(x, *model.layers[-1], "scores", "dscores")]


class Writer:
    """Writes a program line by line."""

    def __init__(
        self, model: Model, style: Style, rng: np.random.Generator, wrong: Wrong | None
    ) -> None:
        self.model, self.style, self.rng, self.wrong = model, style, rng, wrong
        self.layers = layers(model)
        self.blames: set[str] = set()

    def line(self, slot: str, **names: str) -> str:
        """One of the ways to write a line, with its names filled in."""
        if self.wrong and self.wrong.slot == slot:
            self.blames.add(Template(self.wrong.blames).substitute(names).removeprefix("late_"))
            code = self.wrong.code
        else:
            code = str(self.rng.choice(list(ways(slot, self.style).values())))
        return Template(code).substitute(names) + "\n"

    def source(self) -> str:
        """The whole file."""
        params = ", ".join(self.model.parameters)
        body = f'{params} = (params[name] for name in "{params}".split(", "))\n'
        body += f"N, K = X.shape[0], {self.layers[-1].b}.shape[1]\n"
        body += "rows, onehot = xp.arange(N), xp.eye(K, dtype=X.dtype)[y]\n"
        body += self.differentiated() if self.style.objective else self.forward() + self.by_hand()
        body += "".join(self.update(name) for name in self.model.parameters)
        shown = ", ".join(f'"{name}": {name}' for name in self.model.quantities)
        body += f"return {{{shown}}}\n"
        head = HEADERS[self.style.framework]
        return head + f"def {self.model.step_name}(params, X, y, reg, lr):\n" + indent(body, "    ")

    def forward(self, probe: str = "") -> str:
        """From the parameters to the loss. With a probe, one is added to each layer's output."""
        text = ""
        for layer in self.layers:
            text += self.line("affine", **layer._asdict())
            text += f"{layer.out} = {layer.out} + {probe}{layer.out}\n" if probe else ""
            text += self.line("relu", **layer._asdict()) if layer.out != "scores" else ""
        text += self.line("shift") + "e = xp.exp(z)\ns = xp.sum(e, axis=1, keepdims=True)\n"
        text += "".join(self.line(slot) for slot in ("probs", "correct_logprobs", "data_loss"))
        terms = [f"reg_{W}" for W in self.model.weights]
        text += "".join(
            self.line("term", W=W, r=r) for W, r in zip(self.model.weights, terms, strict=True)
        )
        text += f"reg_loss = {' + '.join(terms)}\n"
        return text + self.line("loss", terms=" + ".join(terms))

    def by_hand(self) -> str:
        """The gradients, from the scores back to the first layer."""
        late = "late_" if self.style.late else ""
        divided = str(self.rng.choice([" / N", " * (1 / N)"])) if late else ""
        text = self.line("late dscores" if late else "dscores")
        for layer, before in zip(self.layers[::-1], [*self.layers[-2::-1], None], strict=True):
            names = {**layer._asdict(), "d": late + layer.g, "late": divided}
            text += "".join(self.line(slot, **names) for slot in ("data gradient", "dW", "db"))
            if before:
                names |= {"out": before.out, "g": late + before.g}
                text += self.line("dhidden", **names)
                text += f"{before.g} = {late}{before.g}{divided}\n" if late else ""
        return text

    def differentiated(self) -> str:
        """The forward pass, and the framework's gradients at the parameters and the layers' outputs."""
        params = list(self.model.parameters)
        probes = [f"probe_{layer.out}" for layer in self.layers]
        at = ", ".join(params + probes)
        gradients = ", ".join([f"data_{name}" for name in params] + [layer.g for layer in self.layers])
        zeros = "".join(
            f"probe_{layer.out} = xp.zeros((N, {layer.b}.shape[1]), dtype=X.dtype)\n"
            for layer in self.layers
        )
        forward, objective = self.forward("probe_"), self.style.objective
        if self.style.framework == "torch":
            leaves = f"{at} = (x.detach().requires_grad_() for x in ({at}))\n"
            text = zeros + leaves + forward
            text += f"{gradients} = torch.autograd.grad({objective}, ({at}))\n"
        else:
            shown = [n for n in self.model.quantities if f" {n} = " in f" {forward}".replace("\n", " ")]
            shown += ["loss", "reg_loss"]
            names = ", ".join(dict.fromkeys(shown))
            inner = f"def f({at}):\n" + indent(f"{forward}return {objective}, ({names})\n", "    ")
            numbers = tuple(range(len(params + probes)))
            text = zeros + inner
            text += f"({gradients}), ({names}) = jax.grad(f, {numbers}, has_aux=True)({at})\n"
        return text + "".join(self.regularized(name) for name in params)

    def regularized(self, name: str) -> str:
        """The gradient that is shown, and that of the data alone."""
        if name in self.model.biases:
            return f"d{name} = data_{name}\n"
        if self.style.objective == "loss":
            return f"d{name} = data_{name}\ndata_{name} = d{name} - reg * {name}\n"
        return self.line("dW", W=name)

    def update(self, name: str) -> str:
        """The update of a parameter; weights may decay apart."""
        slots = ["update"] if name in self.model.biases else ["update", "decayed update"]
        if self.wrong and self.wrong.slot in slots:
            slots = [self.wrong.slot]
        return self.line(str(self.rng.choice(slots)), W=name)


def drawn(
    model: Model, styles: Sequence[Style], count: int, seed: int, wrong: Wrong | None = None
) -> Iterator[Program]:
    """Draw that many different programs, in these styles in turn. Those with a wrong line have it."""
    rng, seen = np.random.default_rng(seed), set[str]()
    for style in itertools.cycle(styles):
        if len(seen) == count:
            return
        made = program(model, style, rng, wrong)
        if made.source not in seen and (made.blames or not wrong):
            seen.add(made.source)
            yield made
