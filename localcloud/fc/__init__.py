"""Function Compute 3.0 on one machine: control plane, instances as processes, triggers.

Where it differs from the cloud, and why, is said in the modules: the port of an instance (`environment`), start-up
probing (`instance`), what is refused as not built (`rules`, `triggers`), retries (`async_queue`).
"""

from localcloud.fc.service import FunctionCompute

__all__ = ["FunctionCompute"]
