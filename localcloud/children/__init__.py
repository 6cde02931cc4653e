"""Child processes that never outlive this one.

Two things see to it, because each alone leaves a gap. `launch.py` asks the kernel to kill the child when its parent
dies (`PR_SET_PDEATHSIG`), which does not reach grandchildren. `guardian.py`, one small process, holds the read end of a
pipe and kills every registered process group when the pipe closes, which is what `kill -9` of this process does.
"""

from localcloud.children.guardian_client import Guardian
from localcloud.children.process import Child

__all__ = ["Child", "Guardian"]
