"""`scripts/deploy local`: build, provision, publish and deploy to a running localcloud.

The same artefacts and the same `s.yaml` as for a real account; only addresses and names come from the environment.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ops import build, cross_origin, gateway, manifest, provision
from ops.endpoints import Endpoints
from ops.functions import Functions

STAGE = "local"
LAYERS = ("base", "audio")
BUCKETS = {kind: f"speech-{kind}-{STAGE}" for kind in ("prompts", "recordings", "state")}


def deploy(endpoints: Endpoints, say: Callable[[str], None]) -> dict[str, object]:
    """Deploy everything and return what a client needs: tenant, buckets and function names."""
    artefacts = build.build(say)
    say("creating buckets, keys and tenant")
    provision.buckets(endpoints, BUCKETS)
    secrets = provision.keys(endpoints, BUCKETS["state"])
    tenant = provision.tenant(endpoints, BUCKETS["state"])
    gateway.open_route(endpoints.admin, tenant, secrets)
    cross_origin.allow_uploads(endpoints, BUCKETS["state"], BUCKETS["recordings"])
    functions = Functions(endpoints)
    say("publishing layers")
    with ThreadPoolExecutor() as pool:
        publish = functools.partial(_publish, functions, artefacts)
        versions = dict(zip(LAYERS, pool.map(publish, LAYERS), strict=True))
    resolved = manifest.load(
        build.ROOT / "s.yaml", env=_environment(endpoints, versions), account_id=endpoints.account_id
    )
    say("deploying " + ", ".join(resolved.resources))
    with ThreadPoolExecutor() as pool:
        deploying = [
            pool.submit(functions.deploy, resource.props, artefacts["code"].path)
            for resource in resolved.resources.values()
        ]
        for each in deploying:
            each.result()
    return {
        "tenant": {"id": tenant.id, "api_key": tenant.api_key, "consumer_key": tenant.consumer_key},
        "buckets": BUCKETS,
        "functions": {name: resource.props["functionName"] for name, resource in resolved.resources.items()},
    }


def _publish(functions: Functions, artefacts: dict[str, build.Artefact], name: str) -> int:
    return functions.publish_layer(f"speech-{name}-{STAGE}", artefacts[name].path, "custom.debian12")


def _environment(endpoints: Endpoints, versions: dict[str, int]) -> dict[str, str]:
    """What `s.yaml` asks of the environment, for a localcloud."""
    return {
        "DEPLOY_REGION": endpoints.region,
        "STAGE": STAGE,
        "BASE_LAYER_VERSION": str(versions["base"]),
        "AUDIO_LAYER_VERSION": str(versions["audio"]),
        **{f"ISI_BUCKET_{kind.upper()}": name for kind, name in BUCKETS.items()},
        "ISI_OSS_INTERNAL": endpoints.oss,
        "ISI_OSS_PUBLIC": endpoints.oss,
        "ISI_NLS_REST": endpoints.nls_rest,
        "ISI_NLS_WEBSOCKET": endpoints.nls_websocket,
        "ISI_NLS_PUBLIC_REST": endpoints.nls_rest,
        "ISI_NLS_PUBLIC_WEBSOCKET": endpoints.nls_websocket,
        "ISI_POP_NLS_META": endpoints.pop,
        "ISI_POP_STS": endpoints.pop,
        "ISI_FILETRANS": endpoints.pop,
        "ISI_OSS_FETCH": endpoints.oss,
        "ISI_CALLBACK_BASE_URL": endpoints.gateway,
        "ISI_FC_ENDPOINT": endpoints.fc,
        # One tenant does everything here, benchmarks too.
        **{f"ISI_RATE_{name}": "100000/second" for name in ("LEASES", "UPLOADS", "PROMPTS", "JOBS", "RECOGNITIONS")},
        "ISI_PUBLIC_BASE_URL": endpoints.gateway,
        "ISI_JWKS_LOOPBACK": "yes",
    }


def main() -> None:
    """Entry point; errors of the build or the manifest are one line, the rest is a defect and shows its trace."""
    parser = argparse.ArgumentParser(prog="scripts/deploy", description=__doc__)
    parser.add_argument("target", choices=["local"])
    parser.add_argument("--endpoints", type=Path, default=Path("out/run/endpoints.json"), help="written by scripts/up")
    parser.add_argument("--result", type=Path, help="write tenant, buckets and function names to this file")
    options = parser.parse_args()
    try:
        endpoints = Endpoints.read(options.endpoints)
        result = deploy(endpoints, lambda line: print(line, flush=True))
    except FileNotFoundError:
        sys.exit(f"deploy: {options.endpoints} is not there; start the local cloud first with ./scripts/up")
    except (build.BuildError, manifest.ManifestError) as error:
        sys.exit(f"deploy: {error}")
    if options.result:
        options.result.write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
