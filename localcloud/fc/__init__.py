"""Function Compute 3.0 on one machine: control plane, instances as processes, triggers.

Different from the cloud, and on purpose:

- An instance listens on a port of its own, told in FC_CUSTOM_LISTEN_PORT, and on loopback (ISI_LISTEN_HOST); in the
  cloud each has port 9000 to itself. `/code` and `/opt` stand for directories, mapped in the command and in variables.
- Memory, CPU, disk and the network's reach are not limited; instances share the machine's file system and user.
- The health check runs at the start alone, every 20 ms instead of every `periodSeconds`.
- The pre-stop hook gets at most 2 s. Idle instances are kept for an hour by default, in the cloud for minutes.
- A URL of an HTTP trigger behaves as a custom domain does: no `Content-Disposition: attachment`, which `*.fcapp.run`
  forces on every answer.
- Moving the clock past several due times of a timer fires it once. Destinations that are functions are invoked; queues,
  topics and event buses are not here, what they would get is recorded.
- Functions of FC 2.0 (`service$function`) are made of deployed ones by the operator.
- Function Compute's behaviour where no document says it, chosen here: a method that a trigger does not list is 405
  `MethodNotAllowed`; a crash or timeout behind an HTTP trigger is 502; a request goes to the oldest instance with room.

What is not built is refused with 501 `NotImplemented`: built-in runtimes and containers, VPC, NAS, GPU, JWT, custom
domains, scaling policies, stateful asynchronous tasks. Rule by rule: docs/localcloud/fc.md.
"""

from localcloud.fc.service import FunctionCompute

__all__ = ["FunctionCompute"]
