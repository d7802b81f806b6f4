"""`aid sync` both ways over HTTP/2: hypercorn offers it over TLS (ALPN), and a few lines in Python play S3, with large objects in parts
both ways. Says how many requests came by which version; a server that offers HTTP/1.1 alone is spoken to in that.

    python tests/peers/sync_over_http2.py [BUILD_FOLDER]    # the one with aid; default: build/release
"""
import asyncio
import datetime
import hashlib
import ipaddress
import os
import pathlib
import random
import socket
import subprocess
import sys
import tempfile
import urllib.parse
from collections import Counter
from xml.sax.saxutils import escape

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypercorn.asyncio import serve
from hypercorn.config import Config


class S3:
    """Of S3 what a sync needs: lists in one page, GET with ranges, HEAD, PUT and uploads in parts."""

    def __init__(self):
        self.objects, self.uploads, self.versions = {}, {}, Counter()

    @staticmethod
    def etag(body):
        return f'"{hashlib.md5(body).hexdigest()}"'

    def list(self, prefix):
        entries = "".join(f"<Contents><Key>{escape(urllib.parse.quote(key))}</Key><Size>{len(body)}</Size><ETag>{escape(self.etag(body))}</ETag>"
                          "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
                          for key, body in sorted(self.objects.items()) if key.startswith(prefix))
        return f"<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>".encode()

    def answer(self, method, key, query, headers, body):
        if not key:
            return 200, {}, self.list(query.get("prefix", ""))
        if method in ("GET", "HEAD"):
            content = self.objects[key]
            answer = {"etag": self.etag(content), "last-modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
            if "range" not in headers:
                return 200, answer, content
            first, last = map(int, headers["range"].removeprefix("bytes=").split("-"))
            answer["content-range"] = f"bytes {first}-{min(last, len(content) - 1)}/{len(content)}"
            return 206, answer, content[first:last + 1]
        if "uploads" in query:
            self.uploads[key] = {}
            return 200, {}, b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
        if "partNumber" in query:
            self.uploads[key][int(query["partNumber"])] = body
            return 200, {"etag": self.etag(body)}, b""
        if method == "POST":
            self.objects[key] = b"".join(part for _, part in sorted(self.uploads.pop(key).items()))
            return 200, {}, f"<CompleteMultipartUploadResult><ETag>{escape(self.etag(self.objects[key]))}</ETag></CompleteMultipartUploadResult>".encode()
        self.objects[key] = body
        return 200, {"etag": self.etag(body)}, b""

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.versions[scope["http_version"]] += 1
        key = urllib.parse.unquote(scope["raw_path"].decode()).removeprefix("/b").removeprefix("/")
        query = dict(urllib.parse.parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        status, answer, content = self.answer(scope["method"], key, query, headers, body)
        answer |= {"content-length": str(len(content))}
        await send({"type": "http.response.start", "status": status, "headers": [(name.encode(), value.encode()) for name, value in answer.items()]})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else content})


def make_certificate(folder):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
                   .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=1))
                   .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
                   .add_extension(x509.BasicConstraints(True, None), True).sign(key, hashes.SHA256()))
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


async def run(aid, folder, protocols):
    server = S3()
    random.seed(1)
    server.objects = {f"p/a/ñ {i}.txt": random.randbytes(i * 500) for i in range(60)} | {"p/a/large": random.randbytes(40 << 20)}
    before = dict(server.objects)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = Config()
    config.bind, config.alpn_protocols, config.errorlog = [f"127.0.0.1:{port}"], protocols, None
    config.certfile, config.keyfile = str(folder / "certificate.pem"), str(folder / "key.pem")
    end = asyncio.Event()
    serving = asyncio.create_task(serve(server, config, shutdown_trigger=end.wait))
    target = folder / protocols[0].replace("/", "-")
    environment = os.environ | {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_REGION": "us-east-1",
                                "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}
    flags = ["--endpoint-url", f"https://127.0.0.1:{port}", "--ca-bundle", folder / "certificate.pem", "--quiet"]
    for arguments in (["s3://b/p/", "a", target], [target, "s3://b/q/"]):
        child = await asyncio.create_subprocess_exec(aid, "sync", *map(str, [*arguments, *flags]), env=environment)
        assert await child.wait() == 0, arguments
    found = {f"p/{path.relative_to(target)}": path.read_bytes() for path in target.rglob("*") if path.is_file() and ".aid-sync" not in path.parts}
    assert found == before, set(found) ^ set(before)
    assert server.objects == before | {"q/" + key.removeprefix("p/"): body for key, body in before.items()}
    end.set()
    await serving
    return server.versions


def main():
    aid = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/release").resolve() / "aid"
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        make_certificate(folder)
        both = asyncio.run(run(aid, folder, ["h2", "http/1.1"]))
        old = asyncio.run(run(aid, folder, ["http/1.1"]))
    assert set(both) == {"2"} and set(old) == {"1.1"}, (both, old)
    print(f"HTTP/2: {both['2']} requests both ways, parts and ranges among them; HTTP/1.1 where no other is offered: {old['1.1']}")


if __name__ == "__main__":
    main()
