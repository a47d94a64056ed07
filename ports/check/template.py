"""The file that `lockstep check --new` writes: the contract and a first quantity."""

from collections.abc import Iterator
from pathlib import Path

from ports.contract import Framework
from reference.models import MODELS, Model

_TEMPLATE = '''\
"""My port of the document's networks to {to}.

Each function makes one step of gradient descent and returns every quantity by its name:

    lockstep check {file}             judges it at every step
    lockstep check --partial {file}   accepts it as far as it goes

Shapes: N examples, D dimensions, H hidden units, K classes; y holds labels 0..K-1.
{given}
"""

{imports}

framework = "{framework}"


{steps}

# What your library does not show may be left out, if you say why:
# hidden_quantities = {{"dW": "the optimizer adds the regularization inside"}}
'''

#: What a quantity's name alone does not say.
HINTS = {
    "correct_logprobs": "-log of the right class's probability",
    "data_loss": "their mean",
    "dscores": "gradient of the loss with respect to scores",
    "dhidden": "after the ReLU's mask",
    "dW": "with the regularization",
    "W_next": "after the update",
}


def write_template(path: Path, framework: Framework) -> None:
    """Write the template to a new file. Raises as `write_new` does."""
    write_new(path, template(path.name, framework))


def write_new(path: Path, text: str) -> None:
    """Write a new Python file.

    Raises ValueError if the path exists or is not a .py file, OSError if it cannot be written.
    """
    if path.suffix != ".py":
        raise ValueError(f"{path} is not a .py file: give the path of the file to write")
    try:
        with path.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        raise ValueError(f"{path} exists already: give another name, or move it first") from None
    except OSError as why:
        raise OSError(f"cannot write {path}: {why.strerror}") from None


def template(file: str, framework: Framework) -> str:
    """The text of a template, with a step for each model."""
    fields = framework.template
    return _TEMPLATE.format(
        file=file,
        framework=framework.name,
        to=fields.to,
        given=fields.given,
        imports=fields.imports,
        steps="\n\n".join("\n".join(_step(model, framework)) + "\n" for model in MODELS.values()),
    )


def _step(model: Model, framework: Framework) -> Iterator[str]:
    """The lines of a step that computes the first quantity and names the others."""
    first, *others = model.quantities
    yield from head_of_step(model)
    yield ""
    yield f"    {first} = {framework.template.relu if first in model.relus else 'X @ W + b'}"
    yield ""
    yield "    return {"
    yield f'        "{first}": {first},  # {shape_of(model.quantities[first])}'
    for name in others:
        hint = f": {HINTS[name]}" if name in HINTS else ""
        yield f'        # "{name}": ...,  # {shape_of(model.quantities[name])}{hint}'
    yield "    }"


def head_of_step(model: Model) -> Iterator[str]:
    """The first lines of a step, which give the parameters their names."""
    shapes = ", ".join(f"{name} {shape_of(p.shape)}" for name, p in model.parameters.items())
    yield f"def {model.step_name}(params, X, y, reg, step_size):"
    yield f'    """One step of the {model.title}: params {shapes}."""'
    taken = ", ".join(f'params["{name}"]' for name in model.parameters)
    yield f"    {', '.join(model.parameters)} = {taken}"


def shape_of(letters: str) -> str:
    """A shape as the note writes it: (N, K), (N,), ()."""
    return f"({letters},)" if len(letters) == 1 else f"({', '.join(letters)})"
