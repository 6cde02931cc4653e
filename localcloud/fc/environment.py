"""What an instance sees: its variables, its command, and a `python3` that has nothing but the standard library."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from localcloud.account import AccessKey, Account
from localcloud.fc.model import FunctionSpec, service_and_name

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
# `/code` and `/opt` where a path begins: at the start, after a separator, never inside another path or a URL.
_MOUNT = re.compile(r"(?:(?<=^)|(?<=[\s:=,;'\"]))/(code|opt)(?=$|[/\s:,;'\"])")


def map_mounts(text: str, code_dir: Path, opt_dir: Path) -> str:
    """Replace `/code` and `/opt` by the directories that stand for them.

    >>> map_mounts("/code:/opt/python", Path("/x/c"), Path("/x/o"))
    '/x/c:/x/o/python'
    >>> map_mounts("http://host/code", Path("/x/c"), Path("/x/o"))
    'http://host/code'
    """
    places = {"code": str(code_dir), "opt": str(opt_dir)}
    return _MOUNT.sub(lambda match: places[match.group(1)], text)


def map_command(spec: FunctionSpec, code_dir: Path, opt_dir: Path) -> list[str]:
    """The instance's command line with its mounts mapped."""
    return [map_mounts(part, code_dir, opt_dir) for part in spec.command]


def instance_environment(
    spec: FunctionSpec,
    account: Account,
    *,
    instance_id: str,
    port: int,
    credentials: AccessKey | None,
    code_dir: Path,
    opt_dir: Path,
    home: Path,
    python_bin: Path,
) -> dict[str, str]:
    """The whole environment of an instance.

    It is what Function Compute documents (page "environment-variables", 2026-04) and the function's own variables. Not
    as in the cloud: the port differs per instance (there every one has port 9000 to itself) and is told in the
    documented FC_CUSTOM_LISTEN_PORT, ISI_LISTEN_HOST keeps it on loopback, HOME and TMPDIR are the instance's own
    (there the whole file system is).
    """
    own = {name: map_mounts(value, code_dir, opt_dir) for name, value in spec.environment.items()}
    search = ":".join([str(python_bin), str(opt_dir / "bin"), own.pop("PATH", SYSTEM_PATH)])
    service, name = service_and_name(spec.name)
    platform = {
        "PATH": search,
        "TZ": "UTC",
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "TMPDIR": str(home),
        "FC_ACCOUNT_ID": account.account_id,
        "FC_REGION": account.region,
        "FC_FUNCTION_NAME": name,
        "FC_FUNCTION_HANDLER": spec.handler,
        "FC_FUNCTION_MEMORY_SIZE": str(spec.memory_mb),
        "FC_FUNCTION_VERSION": spec.version,
        "FC_FUNC_CODE_PATH": str(code_dir),
        "FC_INSTANCE_ID": instance_id,
        "FC_CUSTOM_LISTEN_PORT": str(port),
        "FC_SERVER_PORT": str(port),
        "ISI_LISTEN_HOST": "127.0.0.1",
    }
    if service:
        platform["FC_SERVICE_NAME"] = service
    if credentials is not None and spec.inject_environment:
        platform |= {
            "ALIBABA_CLOUD_ACCESS_KEY_ID": credentials.access_key_id,
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": credentials.access_key_secret,
            "ALIBABA_CLOUD_SECURITY_TOKEN": credentials.security_token,
        }
    if (opt_dir / "lib").is_dir():  # layers are searched for programs and shared libraries, though not for modules
        own["LD_LIBRARY_PATH"] = ":".join(filter(None, [str(opt_dir / "lib"), own.get("LD_LIBRARY_PATH", "")]))
    return own | platform


def bare_python(root: Path) -> Path:
    """The directory of a `python3` without any packages, made once: an instance sees what was deployed, no more.

    It is what `python -m venv --without-pip` makes, without the second that costs: a link to the interpreter and the
    file that tells it to look for packages here.
    """
    home = root / "python"
    bin_dir = home / "bin"
    if (bin_dir / "python3").exists() and (home / "pyvenv.cfg").exists():
        return bin_dir
    base = Path(getattr(sys, "_base_executable", None) or sys.executable)
    (home / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages").mkdir(
        parents=True, exist_ok=True
    )
    bin_dir.mkdir(parents=True, exist_ok=True)
    (home / "pyvenv.cfg").write_text(f"home = {base.parent}\ninclude-system-site-packages = false\n")
    (bin_dir / "python3").unlink(missing_ok=True)  # a link to an interpreter that is gone
    (bin_dir / "python3").symlink_to(base)
    return bin_dir
