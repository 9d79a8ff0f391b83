"""What the real target-snowflake sends about stage, files and keys."""

from __future__ import annotations

import base64
import json
import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from tap_callcap.sandbox import CallBook, Callcap, Sandbox, made_up_calls
from targets.databases import Snowflake
from targets.pipes import load
from targets.truth import differences, expected_rows, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.targets, pytest.mark.e2e, pytest.mark.slow]

NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)
FILE_FORMAT = re.compile(r"create or replace file format (.*) type = 'JSON' compression = 'AUTO';")
PUT = re.compile(r"put file://\S+\.json\.gz '@~/target-snowflake/(calls-[\w-]+)';")
WITH_KEY = """
import json, sys
import snowflake.connector
from cryptography.hazmat.primitives import serialization
from target_snowflake.connector import SnowflakeConnector
def connect(**options):
    key = serialization.load_der_private_key(options["private_key"], None)
    numbers = key.public_key().public_numbers()
    print(json.dumps([options["user"], options["account"], str(numbers.n)]))
    raise SystemExit
snowflake.connector.connect = connect
SnowflakeConnector(config=json.loads(sys.argv[1]))._engine.connect()
"""
MAKE_KEYS = """
import base64, sys
from pathlib import Path
from cryptography.hazmat.primitives import serialization as it
from cryptography.hazmat.primitives.asymmetric import rsa
key = rsa.generate_private_key(65537, 2048)
def write(name, encoding, encryption):
    form = it.PrivateFormat.PKCS8
    Path(sys.argv[1], name).write_bytes(key.private_bytes(encoding, form, encryption))
write("plain.p8", it.Encoding.PEM, it.NoEncryption())
write("locked.p8", it.Encoding.PEM, it.BestAvailableEncryption(b"open sesame"))
write("plain.der", it.Encoding.DER, it.NoEncryption())
print(key.public_key().public_numbers().n)
"""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Callcap with thirty calls."""
    calls = made_up_calls(30, seed=2, start=NOW - timedelta(days=90), end=NOW)
    with Sandbox(Callcap(CallBook(calls), clock=lambda: NOW + timedelta(hours=2))) as served:
        yield served


def statements(loader: Snowflake) -> list[str]:
    """What the target sent about stage and files."""
    text = (loader.folder / "database" / "statements.sql").read_text("utf-8")
    return text.splitlines()


@pytest.mark.parametrize("form", ["records", "batches"])
def test_files_go_by_the_stage_into_a_merge(form: str, sandbox: Sandbox, tmp_path: Path) -> None:
    """PUT of each file, one file format, a MERGE from that folder of the stage, and it is empty."""
    loader = Snowflake(tmp_path, None)
    (tmp_path / "batches").mkdir()
    encoding = {"format": "jsonl", "compression": "gzip"}
    storage = {"root": (tmp_path / "batches").as_uri()}
    batches = {"batch_config": {"encoding": encoding, "storage": storage, "batch_size": 10}}

    target = {"batch_size_rows": 10}
    load(loader, sandbox.url, tap=batches if form == "batches" else {}, target=target)

    assert differences(rows_of(loader), expected_rows(sandbox.book)) == []
    sent = statements(loader)
    (created,) = (found for line in sent if (found := FILE_FORMAT.fullmatch(line)))
    places = [found[1] for line in sent if (found := PUT.fullmatch(line))]
    merges = [line for line in sent if line.startswith("merge into")]
    assert len(set(places)) == len(merges) == 3
    for place, merge in zip(places, merges, strict=True):
        assert f"from '@~/target-snowflake/{place}'(file_format => {created[1]}) QUALIFY" in merge
        assert "on d.call_id = s.call_id when matched then update set" in merge
        assert "$1:caller::VARIANT as caller" in merge
        assert f"remove '@~/target-snowflake/{place}/';" in sent
    assert sent[-1] == f"drop file format if exists {created[1]};"
    assert [*(tmp_path / "database" / "stage").iterdir()] == []


def test_append_only_copies(sandbox: Sandbox, tmp_path: Path) -> None:
    """COPY from that folder of the stage, by the file format."""
    loader = Snowflake(tmp_path, None)

    load(loader, sandbox.url, tap={}, target={"load_method": "append-only"})

    assert differences(rows_of(loader), expected_rows(sandbox.book)) == []
    sent = statements(loader)
    (created,) = (found for line in sent if (found := FILE_FORMAT.fullmatch(line)))
    (place,) = (found[1] for line in sent if (found := PUT.fullmatch(line)))
    (copy,) = (line for line in sent if line.startswith("copy into"))
    end = f"'@~/target-snowflake/{place}')file_format = (format_name='{created[1]}');"
    assert copy.endswith(end)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A private key in the forms that the target takes, and its public number."""
    folder = tmp_path_factory.mktemp("keys")
    return folder, Snowflake.environment().run(MAKE_KEYS, str(folder)).strip()


@pytest.mark.parametrize(
    "form", ["path", "path with passphrase", "PEM", "base64", "base64 with passphrase"]
)
def test_the_private_key_reaches_the_connector(form: str, keys: tuple[Path, str]) -> None:
    """However it is set, the connector gets the same key, decrypted, as DER."""
    folder, number = keys
    settings: dict[str, dict[str, Any]] = {
        "path": {"private_key_path": str(folder / "plain.p8")},
        "path with passphrase": {
            "private_key_path": str(folder / "locked.p8"),
            "private_key_passphrase": "open sesame",
        },
        "PEM": {"private_key": (folder / "plain.p8").read_text("utf-8")},
        "base64": {"private_key": base64.b64encode((folder / "plain.der").read_bytes()).decode()},
        "base64 with passphrase": {
            "private_key": base64.b64encode((folder / "locked.p8").read_bytes()).decode(),
            "private_key_passphrase": "open sesame",
        },
    }
    config = {"user": "loader", "account": "org-acct", "database": "DB", **settings[form]}

    found = json.loads(Snowflake.environment().run(WITH_KEY, json.dumps(config)))

    assert found == ["loader", "org-acct", number]
