"""Which NumPy function has which rule. docs/rules.md has the same table for readers."""

import numpy as np

from reference.agreement import rules
from reference.agreement.rounded import elementwise as e
from reference.agreement.rounded import products, reductions, shapes
from reference.agreement.rounded.protocols import FUNCTIONS, UFUNCS

UFUNCS |= {
    np.add: e.by(rules.add, 2),
    np.subtract: e.subtract,
    np.multiply: e.multiply,
    np.divide: e.divide,
    np.power: e.power,
    np.negative: e.negative,
    np.reciprocal: e.reciprocal,
    np.square: e.by(rules.square, 1),
    np.sqrt: e.by(rules.sqrt, 1),
    np.exp: e.by(rules.exp, 1),
    np.expm1: e.by(rules.expm1, 1),
    np.log: e.by(rules.log, 1),
    np.log1p: e.by(rules.log1p, 1),
    np.log2: e.by(rules.log2, 1),
    np.logaddexp: e.logaddexp,
    np.tanh: e.by(rules.tanh, 1),
    np.sin: e.by(rules.sin, 1),
    np.cos: e.by(rules.cos, 1),
    np.absolute: e.by(rules.absolute, 1),
    np.sign: e.by(rules.sign, 1),
    np.maximum: e.by(rules.maximum, 2),
    np.minimum: e.by(rules.minimum, 2),
    np.less: e.comparison(rules.less),
    np.less_equal: e.comparison(rules.less_equal),
    np.greater: e.comparison(rules.less, swapped=True),
    np.greater_equal: e.comparison(rules.less_equal, swapped=True),
    np.equal: e.equal,
    np.not_equal: e.not_equal,
    np.logical_not: e.logical_not,
    np.logical_and: e.logical_and,
    np.logical_or: e.logical_or,
    np.invert: e.logical_not,
    np.bitwise_and: e.logical_and,
    np.bitwise_or: e.logical_or,
    np.matmul: products.matmul,
    np.add.at: reductions.add_at,
}

FUNCTIONS |= {
    # choices
    np.where: e.where,
    np.clip: e.clip,
    # reductions
    np.sum: reductions.sum_of,
    np.mean: reductions.mean,
    np.var: reductions.var,
    np.std: reductions.std,
    np.max: reductions.largest,
    np.amax: reductions.largest,
    np.min: reductions.smallest,
    np.amin: reductions.smallest,
    np.argmax: reductions.argmax,
    np.cumsum: reductions.cumsum,
    np.linalg.norm: reductions.norm,
    np.trace: reductions.trace,
    # products
    np.dot: products.dot,
    np.outer: products.outer,
    np.einsum: products.einsum,
    # the same numbers in another shape or order
    np.shape: shapes.shape,
    np.ndim: shapes.ndim,
    np.size: shapes.size,
    np.copy: shapes.copy,
    np.reshape: shapes.reshape,
    np.ravel: shapes.ravel,
    np.transpose: shapes.transpose,
    np.swapaxes: shapes.swapaxes,
    np.moveaxis: shapes.moveaxis,
    np.expand_dims: shapes.expand_dims,
    np.squeeze: shapes.squeeze,
    np.broadcast_to: shapes.broadcast_to,
    np.diagonal: shapes.diagonal,
    np.flip: shapes.flip,
    np.tril: shapes.triangle(np.tril),
    np.triu: shapes.triangle(np.triu),
    # some of the numbers, or several times the same
    np.split: shapes.split,
    np.take: shapes.take,
    np.take_along_axis: shapes.take_along_axis,
    np.repeat: shapes.repeat,
    np.tile: shapes.tile,
    np.pad: shapes.pad,
    np.stack: shapes.joined(np.stack),
    np.concatenate: shapes.joined(np.concatenate),
    np.zeros_like: shapes.filled(0.0),
    np.ones_like: shapes.filled(1.0),
    np.full_like: shapes.full_like,
}
