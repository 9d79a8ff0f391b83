"""Google's APIs, answered in this process by a `Service`: REST for `requests`, gRPC for appends."""

from __future__ import annotations

import gzip
import json
import re
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import grpc
from bigquery_service import RefusedError, Row, Service
from google.cloud.bigquery_storage_v1 import types
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.rpc.status_pb2 import Status
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from google.protobuf.message import Message

WRITE = "google.cloud.bigquery.storage.v1.BigQueryWrite"
INVALID_ARGUMENT = 3
JSON_TYPES = "application/json; charset=UTF-8"
REFERENCE = ("projectId", "datasetId", "tableId")


class Rest(BaseAdapter):
    """Answers the REST requests of the clients of BigQuery and of Cloud Storage."""

    def __init__(self, service: Service) -> None:
        """Take what has the tables."""
        super().__init__()
        self.service = service
        self.jobs: dict[str, Row] = {}
        self.uploads: dict[str, tuple[Row, str, bytearray]] = {}
        self.objects: dict[str, bytes] = {}

    def close(self) -> None:
        """Nothing is open."""

    def send(self, request: PreparedRequest, **_: Any) -> Response:
        """Answer."""
        url = urlsplit(request.url)
        path = re.sub(
            r"^/(bigquery/v2|storage/v1)|^/(resumable/)?upload/(bigquery/v2|storage/v1)",
            "",
            url.path,
        )
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        body = request.body.read() if hasattr(request.body, "read") else request.body or b""
        response = Response()
        response.status_code, response.url, response.request = 200, request.url, request
        response.headers["Content-Type"] = JSON_TYPES
        try:
            content = self._content(path, query, body, response)
        except KeyError as missing:
            response.status_code, content = 404, _error(404, "notFound", f"not found: {missing}")
        except RefusedError as refused:
            response.status_code, content = 403, _error(403, "quotaExceeded", str(refused))
        response.raw = BytesIO(json.dumps(content).encode())
        return response

    def _content(
        self, path: str, query: dict[str, str], body: bytes, response: Response
    ) -> Row | None:
        if "upload_id" in query:
            return self._uploaded(query["upload_id"], body, response)
        if "uploadType" in query:
            upload = uuid4().hex
            self.uploads[upload] = (json.loads(body), path, bytearray())
            response.headers["Location"] = f"{response.url}&upload_id={upload}"
            return None
        asked = f"{response.request.method} {path}"
        for pattern, answer in self._answers.items():
            if re.fullmatch(pattern, asked):
                return answer(path.split("/"), body)
        msg = f"nobody answers {asked}"
        raise NotImplementedError(msg)

    @property
    def _answers(self) -> dict[str, Callable[[list[str], bytes], Row]]:
        return {
            "GET /b/[^/]+": lambda path, _: {"name": path[-1], "location": "US"},
            "GET .*/datasets/[^/]+": lambda path, _: {
                "datasetReference": {"projectId": path[2], "datasetId": path[4]}
            },
            "GET .*/tables/[^/]+": lambda path, _: self._described(".".join(path[2:7:2])),
            "POST .*/tables": lambda _, body: self._create(json.loads(body)),
            "POST .*/insertAll": lambda path, body: self._insert(".".join(path[2:7:2]), body),
            "POST .*/jobs": lambda _, body: self._start(json.loads(body), b""),
            "GET .*/(jobs|queries)/[^/]+": lambda path, _: self.jobs[path[-1]],
        }

    def _create(self, table: Row) -> Row:
        name = ".".join(table["tableReference"][part] for part in REFERENCE)
        self.service.create(name, table["schema"]["fields"])
        return table

    def _described(self, name: str) -> Row:
        reference = dict(zip(REFERENCE, name.split("."), strict=True))
        return {"tableReference": reference, "schema": {"fields": self.service.tables[name].schema}}

    def _insert(self, name: str, body: bytes) -> Row:
        request = json.loads(body)
        self.service.receive("insertAll", body.decode())
        rows = [row["json"] for row in request["rows"]]
        try:
            self.service.add(name, rows, ignore_unknown=request.get("ignoreUnknownValues", False))
        except RefusedError as refused:  # with 200; one invalid row stops all rows of a request
            errors = [{"reason": "invalid", "message": str(refused)}]
            return {"insertErrors": [{"index": i, "errors": errors} for i in range(len(rows))]}
        return {}

    def _uploaded(self, upload: str, body: bytes, response: Response) -> Row | None:
        """Take a part of a file; the last one says how long the whole is."""
        about, path, content = self.uploads[upload]
        content += body
        if response.request.headers.get("Content-Range", "/*").endswith("/*"):
            response.status_code = 308
            response.headers["Range"] = f"bytes=0-{len(content) - 1}"
            return None
        if path.endswith("/jobs"):
            return self._start(about, bytes(content))
        self.service.receive("object", _text(content))
        self.objects[f"gs://{path.split('/')[2]}/{about['name']}"] = bytes(content)
        return {"name": about["name"], "size": str(len(content)), "generation": "1"}

    def _start(self, job: Row, content: bytes) -> Row:
        """Do a job at once; what it refuses is said in its status."""
        job_id = job["jobReference"]["jobId"]
        job["status"] = {"state": "DONE"}
        job |= {"id": job_id, "jobComplete": True, "schema": {"fields": []}, "totalRows": "0"}
        job["statistics"] = {"query": {"statementType": "MERGE"}}
        try:
            if "query" in job["configuration"]:
                self.service.execute(job["configuration"]["query"]["query"])
            else:
                self._load(job["configuration"]["load"], content)
        except RefusedError as refused:
            error = {"reason": "invalid", "message": str(refused)}
            job["status"] |= {"errorResult": error, "errors": [error]}
        self.jobs[job_id] = job
        return job

    def _load(self, load: Row, content: bytes) -> None:
        name = ".".join(load["destinationTable"][part] for part in REFERENCE)
        assert load["sourceFormat"] == "NEWLINE_DELIMITED_JSON"
        assert load["writeDisposition"] == "WRITE_APPEND"
        if content:
            self.service.receive("load", _text(content))
        else:
            self.service.finish()
        files = [content] if content else [self.objects[uri] for uri in load["sourceUris"]]
        rows = [json.loads(line) for file in files for line in _text(file).split("\n") if line]
        self.service.add(name, rows, ignore_unknown=load.get("ignoreUnknownValues", False))


def _text(content: bytes) -> str:
    return gzip.decompress(content).decode()


def _error(code: int, reason: str, message: str) -> Row:
    errors = [{"reason": reason, "message": message}]
    return {"error": {"code": code, "message": message, "errors": errors}}


class WriteAPI:
    """Answers the Storage Write API."""

    def __init__(self, service: Service) -> None:
        """Serve on a free port of this machine."""
        self.service = service
        self.pending: dict[str, list[Row]] = defaultdict(list)
        handlers = {
            "AppendRows": grpc.stream_stream_rpc_method_handler(self.append),
            "CreateWriteStream": grpc.unary_unary_rpc_method_handler(self.create),
            "FinalizeWriteStream": grpc.unary_unary_rpc_method_handler(self.finalize),
            "BatchCommitWriteStreams": grpc.unary_unary_rpc_method_handler(self.commit),
        }
        self.server = grpc.server(ThreadPoolExecutor(16))
        self.server.add_generic_rpc_handlers([
            grpc.method_handlers_generic_handler(WRITE, handlers)
        ])
        self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()

    def append(self, requests: Iterator[bytes], _: object) -> Iterator[bytes]:
        """Take rows; only the first request of a stream says which it is, and their schema."""
        schema = stream = None
        for content in requests:
            request = types.AppendRowsRequest.deserialize(content)
            stream = request.write_stream or stream
            schema = request.proto_rows.writer_schema.proto_descriptor if schema is None else schema
            response = types.AppendRowsResponse(write_stream=stream)
            try:
                self._take(stream, _rows(request, schema))
            except RefusedError as refused:
                response.error = Status(code=INVALID_ARGUMENT, message=str(refused))
            else:
                response.append_result = types.AppendRowsResponse.AppendResult()
            yield types.AppendRowsResponse.serialize(response)

    def _take(self, stream: str, rows: list[Row]) -> None:
        self.service.receive("append", json.dumps(rows))
        if stream.endswith("/_default"):
            self.service.add(_table(stream), rows)
        else:
            self.pending[stream] += rows

    @staticmethod
    def create(content: bytes, _: object) -> bytes:
        """Make a stream whose rows wait until they are committed."""
        request = types.CreateWriteStreamRequest.deserialize(content)
        stream = types.WriteStream(name=f"{request.parent}/streams/{uuid4().hex}")
        return types.WriteStream.serialize(stream)

    def finalize(self, content: bytes, _: object) -> bytes:
        """End a stream."""
        request = types.FinalizeWriteStreamRequest.deserialize(content)
        response = types.FinalizeWriteStreamResponse(row_count=len(self.pending[request.name]))
        return types.FinalizeWriteStreamResponse.serialize(response)

    def commit(self, content: bytes, _: object) -> bytes:
        """Bring the rows of streams into their table."""
        request = types.BatchCommitWriteStreamsRequest.deserialize(content)
        for stream in request.write_streams:
            self.service.add(_table(stream), self.pending.pop(stream))
        response = types.BatchCommitWriteStreamsResponse()
        return types.BatchCommitWriteStreamsResponse.serialize(response)


def _rows(request: types.AppendRowsRequest, schema: descriptor_pb2.DescriptorProto) -> list[Row]:
    """Return the rows of a request, decoded by nothing but the schema that was sent."""
    message = _message(schema)
    return [_row(message.FromString(row)) for row in request.proto_rows.rows.serialized_rows]


def _table(stream: str) -> str:
    return ".".join(stream.split("/")[1:6:2])


def _message(schema: descriptor_pb2.DescriptorProto) -> type[Message]:
    """Return the class of the rows, from the schema alone, which must be self-contained."""
    file = descriptor_pb2.FileDescriptorProto(name="rows.proto", message_type=[schema])
    pool = descriptor_pool.DescriptorPool()
    try:
        pool.Add(file)
        found = pool.FindMessageTypeByName(schema.name)
    except (KeyError, TypeError) as error:
        msg = "Invalid proto schema: it refers to messages that it does not contain"
        raise RefusedError(msg) from error
    return message_factory.GetMessageClass(found)


def _row(message: Message) -> Row:
    """Return what is set in a row."""
    return {
        part.name: _plain(value) if part.label != part.LABEL_REPEATED else [*map(_plain, value)]
        for part, value in message.ListFields()
    }


def _plain(value: Any) -> Any:
    return _row(value) if hasattr(value, "ListFields") else value
