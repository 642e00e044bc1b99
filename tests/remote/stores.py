"""Object stores on this machine, read by their own clients: S3 as `moto` serves it, Google's as
`gcp-storage-emulator` does. Without these packages, tests of theirs are skipped."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import fsspec
import pytest

from tests.remote.hub import Hub, hub


@dataclass(frozen=True)
class Store:
    """A server that runs.

    Attributes:
        scheme: of its URLs.
        address: of the server.
        files: what is there, as fsspec has it.
    """

    scheme: str
    address: str
    files: Any

    def put(self, folder: Path, bucket: str) -> str:
        """A folder's files in a new bucket; returns its URL."""
        self.files.mkdir(bucket)
        for path in folder.rglob("*"):
            if path.is_file():
                name = path.relative_to(folder).as_posix()
                self.files.pipe(f"{bucket}/{name}", path.read_bytes())
        return f"{self.scheme}://{bucket}"

    def forbid(self, bucket: str) -> None:
        """Let nobody read what is in a bucket of S3."""
        denied = {"Effect": "Deny", "Principal": "*", "Action": "s3:*"}
        policy = {"Version": "2012-10-17", "Statement": [{**denied, "Resource": f"*:{bucket}/*"}]}
        self.files.call_s3("put_bucket_policy", Bucket=bucket, Policy=json.dumps(policy))


@contextmanager
def s3() -> Iterator[Store]:
    """The user's credentials, and where their server is, are in the environment and in what fsspec
    made of its own variables."""
    moto = pytest.importorskip("moto.server")
    client = pytest.importorskip("s3fs").S3FileSystem
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    known = {"AWS_ACCESS_KEY_ID": "ann", "AWS_SECRET_ACCESS_KEY": "secret"}
    said = {"endpoint_url": address}  # FSSPEC_S3_ENDPOINT_URL
    with mock.patch.dict(os.environ, known), mock.patch.dict(fsspec.config.conf, s3=said):
        yield Store("s3", address, fsspec.filesystem("s3"))
    client.clear_instance_cache()
    server.stop()


@contextmanager
def gs() -> Iterator[Store]:
    """Where the server is stands in the variable that all of Google's clients know."""
    emulator = pytest.importorskip("gcp_storage_emulator.server")
    client = pytest.importorskip("gcsfs").GCSFileSystem
    server = emulator.create_server("127.0.0.1", 0, in_memory=True)
    server.start()
    address = f"http://127.0.0.1:{server._api._httpd.server_port}"
    with mock.patch.dict(os.environ, STORAGE_EMULATOR_HOST=address):
        yield Store("gs", address, fsspec.filesystem("gs"))
    client.clear_instance_cache()
    server.stop()


@contextmanager
def hf(root: Path) -> Iterator[Hub]:
    """A folder as a data set of a Hub."""
    from huggingface_hub import HfFileSystem, constants

    with hub(root) as served:
        of_endpoint = {  # what is made of HF_ENDPOINT where `huggingface_hub` is imported
            "ENDPOINT": served.address,
            "HUGGINGFACE_CO_URL_TEMPLATE": constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(
                constants.ENDPOINT, served.address
            ),
        }
        with mock.patch.multiple(constants, HF_HUB_OFFLINE=False, **of_endpoint):
            HfFileSystem.clear_instance_cache()
            yield served
    HfFileSystem.clear_instance_cache()
