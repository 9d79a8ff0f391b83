"""Google's addresses, answered in this process by a `Service`: REST for `requests`, gRPC for appends."""

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
    from collections.abc import Iterator

    from google.protobuf.message import Message

WRITE = "google.cloud.bigquery.storage.v1.BigQueryWrite"
INVALID_ARGUMENT = 3
JSON_TYPES = "application/json; charset=UTF-8"


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
        path = re.sub(r"^/(bigquery/v2|storage/v1)|^/(resumable/)?upload/(bigquery/v2|storage/v1)",
                      "", url.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        body = request.body.read() if hasattr(request.body, "read") else request.body or b""
        response = Response()
        response.status_code, content = 200, None
        response.url, response.request = request.url, request
        response.headers["Content-Type"] = JSON_TYPES
        try:
            if "upload_id" in query:
                content = self._uploaded(query["upload_id"], body, request, response)
            elif "uploadType" in query:
                upload = uuid4().hex
                self.uploads[upload] = (json.loads(body), path, bytearray())
                response.headers["Location"] = f"{request.url}&upload_id={upload}"
            else:
                content = self._answer(f"{request.method} {path}", body)
        except KeyError as missing:
            response.status_code, content = 404, _error(404, "notFound", f"not found: {missing}")
        except RefusedError as refused:
            response.status_code, content = 403, _error(403, "quotaExceeded", str(refused))
        response.raw = BytesIO(json.dumps(content).encode())
        return response

    def _answer(self, asked: str, body: bytes) -> Row:
        parts = asked.split("/")
        name = ".".join(parts[2:7:2])  # project.dataset.table
        if re.fullmatch(r"GET /b/[^/]+", asked):
            return {"name": parts[-1], "location": "US"}
        if re.fullmatch(r"GET .*/datasets/[^/]+", asked):
            return {"datasetReference": {"projectId": parts[2], "datasetId": parts[4]}}
        if re.fullmatch(r"GET .*/tables/[^/]+", asked):
            return self._described(name)
        if re.fullmatch(r"POST .*/tables", asked):
            table = json.loads(body)
            name = ".".join(table["tableReference"][part] for part in _REFERENCE)
            self.service.create(name, table["schema"]["fields"])
            return table
        if re.fullmatch(r"POST .*/insertAll", asked):
            return self._insert(name, body)
        if re.fullmatch(r"POST .*/jobs", asked):
            return self._start(json.loads(body), b"")
        if re.fullmatch(r"GET .*/(jobs|queries)/[^/]+", asked):
            return self.jobs[parts[-1]]
        msg = f"nobody answers {asked}"
        raise NotImplementedError(msg)

    def _described(self, name: str) -> Row:
        reference = dict(zip(_REFERENCE, name.split("."), strict=True))
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

    def _uploaded(
        self, upload: str, body: bytes, request: PreparedRequest, response: Response
    ) -> Row | None:
        """Take a part of a file; the last one says how long the whole is."""
        about, path, content = self.uploads[upload]
        content += body
        if request.headers.get("Content-Range", "/*").endswith("/*"):
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
        name = ".".join(load["destinationTable"][part] for part in _REFERENCE)
        assert load["sourceFormat"] == "NEWLINE_DELIMITED_JSON"
        assert load["writeDisposition"] == "WRITE_APPEND"
        if content:
            self.service.receive("load", _text(content))
        else:
            self.service.finish()
        files = [content] if content else [self.objects[uri] for uri in load["sourceUris"]]
        rows = [json.loads(line) for file in files for line in _text(file).split("\n") if line]
        self.service.add(name, rows, ignore_unknown=load.get("ignoreUnknownValues", False))


_REFERENCE = ("projectId", "datasetId", "tableId")


def _text(content: bytes) -> str:
    return gzip.decompress(content).decode()


def _error(code: int, reason: str, message: str) -> Row:
    errors = [{"reason": reason, "message": message}]
    return {"error": {"code": code, "message": message, "errors": errors}}


def serve(service: Service) -> tuple[grpc.Server, str]:
    """Answer the Storage Write API on a free port; return the server and its address."""
    pending: dict[str, list[Row]] = defaultdict(list)

    def append(requests: Iterator[bytes], _: object) -> Iterator[bytes]:
        schema = stream = None
        for content in requests:
            request = types.AppendRowsRequest.deserialize(content)
            stream = request.write_stream or stream
            schema = request.proto_rows.writer_schema.proto_descriptor if schema is None else schema
            response = types.AppendRowsResponse(write_stream=stream)
            try:
                message = _message(schema)
                rows = [_row(message.FromString(each)) for each in request.proto_rows.rows.serialized_rows]
                service.receive("append", json.dumps(rows))
                if stream.endswith("/_default"):
                    service.add(_table(stream), rows)
                else:
                    pending[stream] += rows
                response.append_result = types.AppendRowsResponse.AppendResult()
            except RefusedError as refused:
                response.error = Status(code=INVALID_ARGUMENT, message=str(refused))
            yield types.AppendRowsResponse.serialize(response)

    def create(content: bytes, _: object) -> bytes:
        request = types.CreateWriteStreamRequest.deserialize(content)
        stream = types.WriteStream(name=f"{request.parent}/streams/{uuid4().hex}")
        return types.WriteStream.serialize(stream)

    def finalize(content: bytes, _: object) -> bytes:
        request = types.FinalizeWriteStreamRequest.deserialize(content)
        response = types.FinalizeWriteStreamResponse(row_count=len(pending[request.name]))
        return types.FinalizeWriteStreamResponse.serialize(response)

    def commit(content: bytes, _: object) -> bytes:
        request = types.BatchCommitWriteStreamsRequest.deserialize(content)
        for stream in request.write_streams:
            service.add(_table(stream), pending.pop(stream))
        return types.BatchCommitWriteStreamsResponse.serialize(types.BatchCommitWriteStreamsResponse())

    handlers = {
        "AppendRows": grpc.stream_stream_rpc_method_handler(append),
        "CreateWriteStream": grpc.unary_unary_rpc_method_handler(create),
        "FinalizeWriteStream": grpc.unary_unary_rpc_method_handler(finalize),
        "BatchCommitWriteStreams": grpc.unary_unary_rpc_method_handler(commit),
    }
    server = grpc.server(ThreadPoolExecutor(16))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(WRITE, handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, f"127.0.0.1:{port}"


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
