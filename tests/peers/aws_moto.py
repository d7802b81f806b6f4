"""S3 and DynamoDB as moto serves them, with boto3 as the other side and signatures checked by the server: odd keys both ways, in
every form of upload and in parts; versions; 100,000 keys; `aid sync` both ways, and the uploads that it leaves behind; and `aid results` of a table with every attribute
type, equal however it is read, and of one with 50,000 items.

    python tests/peers/aws_moto.py [BUILD_FOLDER]    # the one with io_test and aid; default: build/release
"""
import base64
import copy
import csv
import decimal
import io
import json
import logging
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

import boto3
from boto3.dynamodb.types import Binary
from botocore.config import Config
from moto.core import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import S3Backend, s3_backends
from moto.s3.responses import S3Response
from moto.server import ThreadedMotoServer

ITEMS, MANY_ITEMS, MANY_KEYS = 5000, 50_000, 100_000
REGION = "eu-west-1"
KEYS = ["plain", "a b", "a+b", "100%", "50%25", "ñandú/canción.txt", "emoji 🧾.pdf", "dots/../up", "slash//twice", "quote'\"", "&<>", "~tilde*!",
        "@at:colon=eq$", "(paren)[bracket]{brace}", "tab\tkey", "folder/", "k" * 1024, "ñ" * 512, "日本語", "empty", "comma,semi;", "back\\slash", "hash#query?x=1"]


def policy():
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})


def objects(build, client, environment):
    for bucket in ("theirs", "ours"):
        client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    texts = {key: "" if key == "empty" else f"content of {key} " * (i * i) for i, key in enumerate(KEYS)}
    for i, (key, text) in enumerate(texts.items()):
        checksum = {"ChecksumAlgorithm": ["CRC32", "SHA1", "SHA256"][i % 3]} if i % 5 else {}
        client.put_object(Bucket="theirs", Key=key, Body=text.encode(), **checksum)
    client.create_bucket(Bucket="versions", CreateBucketConfiguration={"LocationConstraint": REGION})
    client.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    versions = {client.put_object(Bucket="versions", Key="v ñ", Body=text.encode())["VersionId"]: text for text in ("first", "second")}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"objects": texts, "versions": versions}, file)
        file.flush()
        subprocess.run([build / "io_test", "--gtest_also_run_disabled_tests", "--gtest_filter=PeersAws.*", "--gtest_brief=1"],
                       env=environment | {"AID_AWS_FILE": file.name}, check=True)
    in_order = sorted(texts, key=str.encode)
    found = [entry["Key"] for page in client.get_paginator("list_objects_v2").paginate(Bucket="ours") for entry in page["Contents"]]
    assert sorted(found) == sorted(in_order[1:]), set(found) ^ set(in_order[1:])
    for key in found:
        body = client.get_object(Bucket="ours", Key=key)["Body"].read().decode()
        assert body == ("p" * (5 << 20) + texts[key] if key == in_order[-1] else texts[key]), key
    bodies = [client.get_object(Bucket="versions", Key="v ñ", VersionId=entry["VersionId"])["Body"].read().decode()
              for entry in client.list_object_versions(Bucket="versions")["Versions"]]
    assert sorted(bodies) == ["first", "second", "third"] and bodies[0] == "third", bodies
    return len(texts)


def many_keys(build, client, environment):
    """All keys of 100,000 in ten folders, page by page."""
    client.create_bucket(Bucket="muchos", CreateBucketConfiguration={"LocationConstraint": REGION})
    client.put_object(Bucket="muchos", Key="p/0", Body=b"x")
    keys = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets["muchos"].keys
    first = keys["p/0"]
    names = {f"{i % 10}/tipología {i % 60}/documento ñ+{i}.txt" for i in range(MANY_KEYS)}
    for name in names:
        key = copy.copy(first)
        key.name = f"p/{name}"
        keys[key.name] = key
    del keys["p/0"]
    # moto gathers and sorts all keys for each page: once is enough where none changes.
    listed, kept = S3Backend.list_objects, {}

    def list_once(self, *arguments, **named):
        asked = (*arguments, *named.values())
        if asked not in kept:
            kept[asked] = listed(self, *arguments, **named)
        return kept[asked]

    S3Backend.list_objects = list_once
    done = subprocess.run([build / "aid", "sync", "s3://muchos/p", "0,1,2,3,4,5,6,7,8,9", "/nonexistent", "--dry-run", "--quiet"], env=environment, stdout=subprocess.PIPE, check=True)
    S3Backend.list_objects = listed
    found = [line.removeprefix("would get ") for line in done.stdout.decode().splitlines()]
    assert len(found) == MANY_KEYS and set(found) == names, len(found)


def sync(build, client, environment):
    """A prefix fetched, and sent again to another, by `aid sync`: boto3 sees the same objects in both."""
    texts = {f"p/a/{key}": f"content of {key}".encode() for key in KEYS if ".." not in key and "//" not in key and len(key.encode()) < 1024}
    texts["p/a/" + "/".join(["ñ" * 100] * 5) + "/" + "k" * 15] = b"a name of 1,024 bytes"
    assert max(len(key.encode()) for key in texts) == 1024
    texts["p/a/empty"] = b""
    texts["p/a/folder/"] = b""
    texts["p/b/large"] = bytes(range(256)) * 70_000
    refused = {"p/a/x/../../up", "p/a/slash//twice", "p/a/" + "k" * 1000, "p/a/" + "ñ" * 500}
    for bucket in ("datos", "envio"):
        client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    for i, (key, text) in enumerate((texts | dict.fromkeys(refused, b"no")).items()):
        client.put_object(Bucket="datos", Key=key, Body=text, **({"ChecksumAlgorithm": "CRC32"} if i % 2 else {}))

    def run(*arguments):
        return subprocess.run([build / "aid", "sync", *map(str, arguments)], env=environment, stderr=subprocess.PIPE, text=True)

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        done = run("s3://datos/p/", "a,b", folder)
        assert done.returncode == 1 and all(f"{key.removeprefix('p/')}: " in done.stderr for key in refused), done.stderr
        files = {key: text for key, text in texts.items() if key != "p/a/folder/"}
        found = {f"p/{path.relative_to(folder)}": path.read_bytes() for path in folder.rglob("*") if path.is_file() and ".aid-sync" not in path.parts}
        assert found == files, set(found) ^ set(files)
        for key in refused:
            client.delete_object(Bucket="datos", Key=key)
        done = run("s3://datos/p/", "a,b", folder)
        assert done.returncode == 0 and f" 0 files (0.0 MB) fetched, {len(files)} up to date" in done.stderr, done.stderr
        client.put_object(Bucket="datos", Key="p/a/plain", Body=b"CONTENT OF plain")  # of the same size
        done = run("s3://datos/p/", "a,b", folder)
        assert " 1 files" in done.stderr and (folder / "a/plain").read_bytes() == b"CONTENT OF plain", done.stderr
        client.put_object(Bucket="envio", Key="q/extra", Body=b"x")
        done = run(folder, "s3://envio/q", "--delete")
        assert done.returncode == 0 and f" {len(files)} files" in done.stderr and "1 removed" in done.stderr, done.stderr
        assert " 0 files" in run(folder, "s3://envio/q/").stderr
        sent = [entry["Key"] for page in client.get_paginator("list_objects_v2").paginate(Bucket="envio") for entry in page["Contents"]]
        assert sorted(sent) == sorted("q/" + key.removeprefix("p/") for key in files), sent
        for key in sent:
            body = client.get_object(Bucket="envio", Key=key)["Body"].read()
            assert body == (b"CONTENT OF plain" if key == "q/a/plain" else files["p/" + key.removeprefix("q/")]), key
    return len(files)


def uploads_left(build, client, environment):
    """What boto3 began and nobody ends: `aid sync` ends what its manifest notes, wherever it sends to, and no upload of anybody else's."""
    name, size = "grande ñ &+", (16 << 20) + 1
    for bucket in ("primero", "segundo"):
        client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        client.put_object(Bucket=bucket, Key="p/x", Body=b"x")

    def begin(key, part=None):
        upload = client.create_multipart_upload(Bucket="primero", Key=key)["UploadId"]
        if part:
            client.upload_part(Bucket="primero", Key=key, UploadId=upload, PartNumber=1, Body=part)
        return upload

    def left():
        return {upload["UploadId"] for upload in client.list_multipart_uploads(Bucket="primero").get("Uploads", [])}

    # moto calls the answer ListPartsResponse; S3 calls it ListPartsResult, and of another aid believes nothing.
    list_parts = S3Response.list_parts

    def named_as_by_s3(self):
        status, headers, body = list_parts(self)
        return status, headers, body.replace("ListPartsResponse", "ListPartsResult")

    S3Response.list_parts = named_as_by_s3
    theirs = {begin(f"p/{name}", b"a part of somebody else's"), begin(f"p/{name}2")}
    for there in (False, True):  # the file is gone, or is to be sent to another bucket
        for known in (False, True):  # whether the run before knew its upload's id
            with tempfile.TemporaryDirectory() as folder:
                state = pathlib.Path(folder, ".aid-sync")
                state.mkdir()
                upload = begin(f"p/{name}", b"a part that was sent" if known else None)
                partial = {"partial": name, "id": upload if known else "", "bucket": "primero", "key": f"p/{name}", "etag": "", "size": size, "mtime": 1,
                           "part_size": 8 << 20}
                (state / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in ({"aid_sync": 1}, partial)))
                if there:
                    pathlib.Path(folder, name).write_bytes(b"x" * size)
                assert left() == theirs | {upload}
                done = subprocess.run([build / "aid", "sync", folder, f"s3://segundo/{known}"], env=environment, stderr=subprocess.PIPE, text=True)
                assert done.returncode == 0 and f" {int(there)} files" in done.stderr, done.stderr
                assert left() == theirs, (there, known)
                assert "partial" not in (state / "manifest.jsonl").read_text()
    for known in (False, True):
        assert client.get_object(Bucket="segundo", Key=f"{known}/{name}")["Body"].read() == b"x" * size
    S3Response.list_parts = list_parts


def typed(value):
    """The cell that the console makes of a value in DynamoDB's JSON."""
    (kind, content), = value.items()
    if kind in ("S", "N", "B"):
        return content
    if kind == "BOOL":
        return str(content).lower()
    if kind == "NULL":
        return "null"
    return json.dumps(sorted(content) if kind in ("SS", "NS", "BS") else content, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def results(build, resource, client, environment):
    table = resource.create_table(TableName="resultados", BillingMode="PAY_PER_REQUEST",
                                  KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "page", "KeyType": "RANGE"}],
                                  AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}, {"AttributeName": "page", "AttributeType": "N"}])
    with table.batch_writer() as batch:
        for i in range(ITEMS):
            item = {"id": f"doc ñ {i // 2}", "page": i % 2, "text": f'"quoted",\nline {i}' + "x" * (i % 300)}
            extra = {"number": decimal.Decimal(i) / 8, "flag": i % 3 == 0, "none": None, "bytes": Binary(bytes([i % 256, 255])), "list": ["a", i, [True]],
                     "map": {"k": {"deep": i}}, "strings": {"b", "a", f"{i}"}, "numbers": {1, i + 2}, "blobs": {Binary(b"x"), Binary(bytes([i % 256]))}}
            item |= {name: value for j, (name, value) in enumerate(extra.items()) if (i + j) % 4}
            batch.put_item(Item=item)

    items = [item for page in client.get_paginator("scan").paginate(TableName="resultados") for item in page["Items"]]
    encode = lambda value: json.loads(json.dumps(value, default=lambda raw: base64.b64encode(raw).decode()))
    items = [{name: typed(encode(value)) for name, value in item.items()} for item in items]
    columns = ["id", "page", *sorted({name for item in items for name in item} - {"id", "page"})]
    rows = sorted([item.get(name, "") for name in columns] for item in items)

    def read(*options):
        return subprocess.run([build / "aid", "results", "--table", "resultados", "--out", "-", "--quiet", *options], env=environment, check=True,
                              stdout=subprocess.PIPE).stdout.decode()

    text = read("--page-size", "97")
    ours = list(csv.reader(io.StringIO(text, newline="")))
    assert ours[0] == columns, ours[0]
    canonical = lambda cell: json.dumps(json.loads(cell), sort_keys=True) if cell[:1] in ("[", "{") else cell
    assert len(ours) == ITEMS + 1
    for mine, theirs in zip(ours[1:], rows):
        assert list(map(canonical, mine)) == list(map(canonical, theirs)), (mine, theirs)
    assert read("--segments", "1") == text, "one segment gives another file"
    filtered = list(csv.reader(io.StringIO(read("--filter", "flag = true", "--filter", "number >= 100"), newline="")))
    flag, number = columns.index("flag"), columns.index("number")
    assert filtered[1:] and len(filtered) - 1 == sum(r[flag] == "true" and r[number] != "" and float(r[number]) >= 100 for r in rows)


def many_items(build, client, environment):
    """A table of 50,000 items, in pages of 2,500 by four segments at once."""
    client.create_table(TableName="muchos", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}])
    backend = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION]
    for i in range(MANY_ITEMS):
        backend.put_item("muchos", {"id": {"S": f"raw/doc {i:05}.pdf"}, "clase": {"S": f"tipología {i % 60}"}, "página": {"N": str(i)}})
    done = subprocess.run([build / "aid", "results", "--table", "muchos", "--out", "-", "--segments", "4", "--page-size", "2500"], env=environment, check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    lines = [f'"raw/doc {i:05}.pdf","tipología {i % 60}","{i}"' for i in range(MANY_ITEMS)]
    assert done.stdout.decode().splitlines() == ['"id","clase","página"', *lines]
    assert f"{MANY_ITEMS} scanned in" in done.stderr.decode(), done.stderr


def main():
    build = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/release").resolve()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    keys = {"aws_access_key_id": "first", "aws_secret_access_key": "first"}
    iam = boto3.client("iam", endpoint_url=url, region_name=REGION, **keys)
    iam.create_user(UserName="aid")
    iam.put_user_policy(UserName="aid", PolicyName="all", PolicyDocument=policy())
    made = iam.create_access_key(UserName="aid")["AccessKey"]
    # From here on the server refuses what is not signed with this key.
    urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"})).close()
    keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    environment = os.environ | {"AWS_ACCESS_KEY_ID": keys["aws_access_key_id"], "AWS_SECRET_ACCESS_KEY": keys["aws_secret_access_key"],
                                "AWS_REGION": REGION, "AWS_ENDPOINT_URL": url, "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    options = {"endpoint_url": url, "region_name": REGION, "config": Config(s3={"addressing_style": "path"}), **keys}
    refused = subprocess.run([build / "aid", "results", "--table", "resultados", "--out", "-"], stderr=subprocess.PIPE,
                             env=environment | {"AWS_SECRET_ACCESS_KEY": "wrong"})
    assert refused.returncode != 0 and b"HTTP 403" in refused.stderr, refused.stderr
    results(build, boto3.resource("dynamodb", **options), boto3.client("dynamodb", **options), environment)
    many_items(build, boto3.client("dynamodb", **options), environment)
    count = objects(build, boto3.client("s3", **options), environment)
    synchronised = sync(build, boto3.client("s3", **options), environment)
    uploads_left(build, boto3.client("s3", **options), environment)
    many_keys(build, boto3.client("s3", **options), environment)
    server.stop()
    print(f"AWS: {ITEMS} items of every type scanned as boto3 reads them, {MANY_ITEMS} in many pages; {count} objects and versions both ways; "
          f"{synchronised} files synchronised both ways; uploads that were left behind ended, those of others not; {MANY_KEYS} keys listed; wrong keys refused")


if __name__ == "__main__":
    main()
