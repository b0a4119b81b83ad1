"""A key for one run, so that only its own workers are heard and heed it; it knows no network."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distributed.security import Security

from cacnb.errors import InputError
from cacnb.files import or_cannot_write


@contextmanager
def wire_key(folder: Path) -> Iterator[Security]:
    """A self-signed TLS key in a private folder below `folder`, removed in the end.

    A Dask scheduler runs what it is sent. Without a key whoever reaches its port, on this machine
    or on a cluster's network, could run code as the person who scores.

    Raises
    ------
    InputError
        `no_encryption` where there is no `openssl`, `cannot_write`.
    """
    openssl = shutil.which("openssl")
    if openssl is None:
        raise InputError(
            "no_encryption",
            "there is no openssl, which makes the key between scheduler and workers: install it, "
            "or score with --shard, which opens no port",
        )
    with or_cannot_write(folder):
        folder.mkdir(parents=True, exist_ok=True)
        private = Path(tempfile.mkdtemp(prefix=".key-", dir=folder))  # mode 0700
    try:
        key, certificate = private / "key.pem", private / "certificate.pem"
        made = subprocess.run(  # noqa: S603 - a fixed call, no shell
            [
                openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-noenc", "-days", "365", "-subj", "/CN=cacnb", "-keyout", key, "-out", certificate,
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode != 0:
            why = made.stderr.strip().splitlines()[-1:]
            raise InputError(
                "no_encryption", f"openssl made no key ({''.join(why)}): OpenSSL 3 was wanted"
            )
        roles = ("scheduler", "worker", "client")
        yield Security(
            require_encryption=True,
            tls_ca_file=str(certificate),
            **{f"tls_{role}_key": str(key) for role in roles},
            **{f"tls_{role}_cert": str(certificate) for role in roles},
        )
    finally:
        shutil.rmtree(private, ignore_errors=True)
