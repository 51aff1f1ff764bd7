"""The environment of the local stack's processes: where Redis and SES are, and no real keys."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

_ENDPOINT: Final = "AWS_ENDPOINT_URL_SESV2"
# Never the keys of whoever tries the local stack; the simulator lets everybody in.
_NOBODY: Final = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
_IDENTITY: Final = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)


def given_ses(environ: Mapping[str, str]) -> str | None:
    """Return the SES server that was asked for in place of the simulator."""
    return environ.get(_ENDPOINT) or None


def made(environ: Mapping[str, str], *, redis_url: str, ses_url: str, root: Path) -> dict[str, str]:
    """Return what the processes of the stack, and commands that talk to it, run with."""
    ours = dict(environ)
    if not given_ses(environ):
        for name in _IDENTITY:
            ours.pop(name, None)
        ours |= _NOBODY
    elif not _has_credentials(environ):
        for name, value in _NOBODY.items():
            ours.setdefault(name, value)
    ours |= {"POSTROOM_REDIS_URL": redis_url, _ENDPOINT: ses_url}
    ours.setdefault("POSTROOM_CONFIG", str(root / "config" / "local.toml"))
    ours["POSTROOM_CONFIG"] = str(Path(ours["POSTROOM_CONFIG"]).absolute())
    # Whatever proxy this machine uses, the loopback is not behind it.
    for name in ("no_proxy", "NO_PROXY"):
        ours[name] = ",".join(filter(None, [ours.get(name), "127.0.0.1", "localhost"]))
    return ours


def _has_credentials(environ: Mapping[str, str]) -> bool:
    """Whether boto3 finds somebody's own credentials, which variables of ours would hide."""
    named = any(environ.get(name) for name in ("AWS_ACCESS_KEY_ID", *_IDENTITY))
    home = Path(environ.get("HOME", "/"))
    files = (
        Path(environ.get("AWS_SHARED_CREDENTIALS_FILE", home / ".aws" / "credentials")),
        Path(environ.get("AWS_CONFIG_FILE", home / ".aws" / "config")),
    )
    return named or any(file.exists() for file in files)
