"""The reviewed diffs by what they edit; in each file by batch, as the reviewer wrote them.

FIRST is what the rule was built with. SECOND was written when the rule already stood, THIRD when
what SECOND had shown was mended, each to see how it does on edits it was not built with.
"""

from tests.git.diffs.cases import (
    calls,
    deployment,
    functions,
    go,
    java,
    javascript,
    modules,
    operations,
    packages,
    rust,
    state,
)

_PYTHON = (functions, modules, calls, state)
_OTHER_LANGUAGES = (javascript, go, java, rust)
CASES = tuple(
    case
    for topic in (*_PYTHON, operations, deployment, packages, *_OTHER_LANGUAGES)
    for case in topic.CASES
)
