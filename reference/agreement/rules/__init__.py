"""The rules: how far each operation's result may stray, one pure function per operation.

`bounded.py` says what a rule takes and returns. The rules follow Higham, *Accuracy and Stability of
Numerical Algorithms*, 2nd ed., chapters 2 and 3; docs/bounds.md derives them at more length. A rule
raises `Unbounded` where there is no finite bound.

Rules are written for the last axes of an array: leading axes broadcast. They know nothing of stacks
or tiles (`blocks.py`), nor of NumPy's protocols (`rounded`).
"""

from reference.agreement.rules.bounded import *  # noqa: F403
from reference.agreement.rules.choices import *  # noqa: F403
from reference.agreement.rules.functions import *  # noqa: F403
from reference.agreement.rules.products import *  # noqa: F403
from reference.agreement.rules.quotients import *  # noqa: F403
from reference.agreement.rules.sums import *  # noqa: F403
