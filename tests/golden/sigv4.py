"""Writes sigv4.json: what botocore signs, and where its endpoint rules lead.

    python tests/golden/sigv4.py        made with botocore 1.44.5

Signatures in headers and in queries, of S3 and of other services, with and without session tokens, for odd paths, queries and
headers; payloads hashed, unsigned and with trailing checksums. botocore does not sign chunk by chunk: those signatures are computed
here, from the S3 API Reference. Endpoints: every single option of a region and a bucket, and a sample of their combinations.
"""

import datetime
import hashlib
import hmac
import itertools
import json
import pathlib
import random
from unittest import mock
from urllib.parse import quote

import botocore
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import EndpointResolutionError
from botocore.loaders import Loader

TIME = datetime.datetime(2026, 3, 1, 23, 59, 58)
KEYS = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
TOKEN = "IQoJb3JpZ2luX2VjE=/+token//with+odd=signs=="


def signed(kind, service, method, url, headers=(), body=b"", token=None, region="eu-west-1", context=None, expires=900):
    """One case: the request as our signer takes it, and what botocore made of it."""
    credentials = Credentials(*KEYS, token)
    signer_class = {("header", True): auth.S3SigV4Auth, ("header", False): auth.SigV4Auth, ("query", True): auth.S3SigV4QueryAuth,
                    ("query", False): auth.SigV4QueryAuth}[kind, service == "s3"]
    signer = signer_class(credentials, service, region, **({"expires": expires} if kind == "query" else {}))
    made = {}
    for name in ("canonical_request", "string_to_sign", "signature"):
        original = getattr(signer, name)
        setattr(signer, name, lambda *a, name=name, original=original: made.setdefault(name, original(*a)))
    request = AWSRequest(method=method, url=url, data=body)
    for name, value in headers:
        request.headers.add_header(name, value)
    request.context.update(context or {})
    # Headers that botocore adds, besides those that every signer adds.
    with mock.patch.object(auth, "get_current_datetime", lambda: TIME):
        signer.add_auth(request)
    own = [(n, v) for n, v in request.headers.items() if n not in ("X-Amz-Date", "X-Amz-Security-Token", "Authorization")]
    lines = made["canonical_request"].split("\n")
    if "host" not in {n.lower() for n, v in own}:
        own.insert(0, ("Host", next(line[5:] for line in lines if line.startswith("host:"))))
    path = url.split("://", 1)[1].split("?")[0]
    return {
        "kind": kind, "service": service, "method": method, "region": region, "token": token or "", "expires": expires,
        "path": path[path.index("/"):] if "/" in path else "", "query": url.split("?", 1)[1] if "?" in url else "", "headers": own,
        "payload_hash": lines[-1], **made,
    }


def signatures():
    s3, plain = "https://bucket.s3.eu-west-1.amazonaws.com", "https://service.eu-west-1.amazonaws.com"
    unsigned = {"payload_signing_enabled": False}
    trailer = {"checksum": {"request_algorithm": {"algorithm": "crc32", "in": "trailer", "name": "x-amz-checksum-crc32"}}}
    cases = []
    odd_keys = ["", "plain.txt", "a b", "a+b", "100%", "año/ñandú.txt", "emoji-\U0001F600", "a//b", "./a/../b", "~tilde-_.", "a=b&c",
                "(x)!*'", "key:with:colons", "tab\tin", "\u00a0nbsp", "dir/", "%2F", "q?mark", "hash#", "x" * 300]
    for key in odd_keys:
        path = quote(key, safe="/-_.~")
        cases.append(signed("header", "s3", "GET", f"{s3}/{path}"))
        cases.append(signed("query", "s3", "GET", f"{s3}/{path}", token=TOKEN if len(key) % 2 else None))
    for path in ("/", "", "/a/b/", "/a//b", "/./a", "/a/../b", "/a%20b", "/%C3%B1", "/a/b/c/../../d", "/~x"):
        cases.append(signed("header", "execute-api", "GET", plain + path))
        cases.append(signed("query", "execute-api", "GET", plain + path, token=TOKEN))
    for query in ("list-type=2&prefix=a%2Fb%20c&encoding-type=url", "uploads=", "b=2&a=1&a-b=3&a=0", "x=%2B%20%26%3D%C3%B1", "a.b=1&a=2",
                  "A=1&a=2&B=3"):
        cases.append(signed("header", "s3", "GET", f"{s3}/?{query}"))
        cases.append(signed("header", "execute-api", "GET", f"{plain}/?{query}", token=TOKEN))
        if "a=0" not in query:  # botocore keeps one value a name when it presigns
            cases.append(signed("query", "s3", "GET", f"{s3}/?{query}"))
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("X-Amz-Meta-Name", "  two   inner  spaces "), ("Range", "bytes=0-9"),
               ("If-Match", '"d41d8cd98f00b204e9800998ecf8427e"'), ("User-Agent", "not signed"), ("X-Amz-Meta-Many", "b"),
               ("X-Amz-Meta-Many", "a"), ("Transfer-Encoding", "chunked")]
    cases.append(signed("header", "s3", "PUT", f"{s3}/k", headers=headers, body=b"Welcome to Amazon S3."))
    cases.append(signed("header", "s3", "PUT", f"{s3}/k", headers=headers, body=b"body", token=TOKEN))
    cases.append(signed("query", "s3", "PUT", f"{s3}/k", headers=headers[:2], token=TOKEN, expires=604800))
    md5 = [("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg==")]
    cases.append(signed("header", "s3", "PUT", f"{s3}/k", headers=md5, body=b"data", context=unsigned))
    cases.append(signed("header", "s3", "PUT", f"{s3}/k", headers=md5, body=b"data", context={**unsigned, "has_streaming_input": True},
                        token=TOKEN))
    cases.append(signed("header", "s3", "PUT", f"{s3}/k", headers=[("Content-Encoding", "aws-chunked"),
                        ("X-Amz-Trailer", "x-amz-checksum-crc32"), ("X-Amz-Decoded-Content-Length", "4")], body=b"data", context=trailer))
    target = [("X-Amz-Target", "DynamoDB_20120810.Scan"), ("Content-Type", "application/x-amz-json-1.0")]
    for region in ("eu-west-1", "us-gov-west-1", "cn-north-1"):
        cases.append(signed("header", "dynamodb", "POST", f"https://dynamodb.{region}.amazonaws.com/", headers=target,
                            body=b'{"TableName":"t"}', region=region, token=TOKEN))
    cases.append(signed("header", "s3", "GET", "http://127.0.0.1:9000/bucket/key"))
    cases.append(signed("header", "s3", "GET", "https://minio.example.com:443/bucket/key"))
    cases.append(signed("header", "s3", "HEAD", "http://[::1]:9000/bucket/key"))
    return cases


def chunks():
    """The chain of signatures over a body in three chunks and an empty one, and over a trailer; by the documentation's formulas."""
    stamp, day = TIME.strftime("%Y%m%dT%H%M%SZ"), TIME.strftime("%Y%m%d")
    key = ("AWS4" + KEYS[1]).encode()
    for part in (day, "eu-west-1", "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    sha = lambda text: hashlib.sha256(text).hexdigest()
    previous = seed = sha(b"seed")
    result = {"seed": seed, "region": "eu-west-1", "chunks": []}
    scope = f"{day}/eu-west-1/s3/aws4_request"
    for chunk in ("a" * 65536, "ñ" * 999, "\0\1", ""):
        text = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", stamp, scope, previous, sha(b""), sha(chunk.encode())])
        previous = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        result["chunks"].append([chunk if len(chunk) < 3 else [chunk[0], len(chunk)], previous])
    trailer = "x-amz-checksum-crc32:AAAAAA==\n"
    text = "\n".join(["AWS4-HMAC-SHA256-TRAILER", stamp, scope, previous, sha(trailer.encode())])
    result["trailer"] = [trailer, hmac.new(key, text.encode(), hashlib.sha256).hexdigest()]
    return result


def resolved(provider, parameters):
    bucket, endpoint = parameters.get("Bucket", ""), parameters.get("Endpoint", "")
    if " " in parameters["Region"] or "s3::" in bucket:
        return None  # botocore lets such a region into some hosts; multi-region access points are refused here
    if bucket == "dotted.bucket" and ("127.0.0.1" in endpoint or "[::1]" in endpoint):
        parameters["ForcePathStyle"] = True  # botocore makes http://dotted.bucket.127.0.0.1 of it, which is no host
    try:
        endpoint = provider.resolve_endpoint(**parameters)
    except EndpointResolutionError:
        return None
    schemes = endpoint.properties.get("authSchemes", [{}])
    return [endpoint.url, schemes[0].get("signingRegion", "")]


def endpoints():
    """[region, bucket, custom URL, flags, [URL, signing region] or null where botocore refuses]. flags: of "pdfag", one letter each for
    path style, dual stack, FIPS, accelerate, global."""
    loader = Loader()
    partitions = loader.load_data("partitions")
    s3 = EndpointProvider(loader.load_service_model("s3", "endpoint-rule-set-1"), partitions)
    dynamodb = EndpointProvider(loader.load_service_model("dynamodb", "endpoint-rule-set-1"), partitions)
    regions = ["us-east-1", "eu-west-1", "cn-north-1", "us-gov-west-1", "us-iso-east-1", "us-isob-east-1", "eusc-de-east-1", "aws-global",
               "not a region", "mars-west-1"]
    point = "arn:aws:s3:eu-west-1:123456789012:accesspoint"
    buckets = ["", "bucket", "my-bucket-1", "dotted.bucket", "Upper", "under_score", "ab", "a" * 64, "bucket name", "192.168.1.1", "-bucket",
               f"{point}/mine", f"{point}:mine", f"{point}/my_point", f"{point}/a/b", point,
               "arn:aws:s3:us-east-1:123456789012:accesspoint/mine", "arn:aws-cn:s3:cn-north-1:123456789012:accesspoint/mine",
               "arn:aws:s3:cn-north-1:123456789012:accesspoint/mine", "arn:aws:s3::123456789012:accesspoint/mine",
               "arn:aws:s3:eu-west-1::accesspoint/mine", "arn:aws:sqs:eu-west-1:123456789012:queue", "arn:aws:s3"]
    urls = ["", "https://example.com", "http://localhost:9000", "http://127.0.0.1:9000", "https://s3.example.com:8443/base", "http://[::1]:9000"]
    flags = ["".join(f) for n in range(6) for f in itertools.combinations("pdfag", n)]
    single = [f for f in flags if len(f) <= 1]
    wanted = {(r, b, "", f) for r in regions for b in ("", "bucket") for f in single}
    wanted |= {("eu-west-1", b, u, f) for b in buckets for u in urls for f in ("", "p")}
    wanted |= {(r, b, "", "") for r in ("us-east-1", "cn-north-1") for b in buckets}
    everything = sorted(set(itertools.product(regions, buckets, urls, flags)) - wanted)
    sample = random.Random(1).sample(everything, 3000)

    def case(region, bucket, url, flag):
        parameters = {"Region": region, "UseDualStack": "d" in flag, "UseFIPS": "f" in flag, "Accelerate": "a" in flag,
                      "ForcePathStyle": "p" in flag, "UseGlobalEndpoint": "g" in flag}
        if bucket:
            parameters["Bucket"] = bucket
        if url:
            parameters["Endpoint"] = url
        return [region, bucket, url, flag, resolved(s3, parameters)]

    cases = [case(*w) for w in sorted(wanted)]
    for refused, count in ((False, 150), (True, 60)):
        cases += [c for c in itertools.starmap(case, sample) if (c[-1] is None) == refused][:count]
    tables = []
    for region, url, flag in itertools.product(regions, ("", "http://127.0.0.1:8000"), ("", "d", "f", "df")):
        parameters = {"Region": region, "UseDualStack": "d" in flag, "UseFIPS": "f" in flag, "AccountIdEndpointMode": "disabled"}
        if url:
            parameters["Endpoint"] = url
        tables.append([region, url, flag, resolved(dynamodb, parameters)])
    return {"s3": cases, "dynamodb": tables}


def main():
    rows = lambda values: "[\n" + ",\n".join(json.dumps(value, ensure_ascii=False) for value in values) + "\n]"
    places = endpoints()
    text = "{\n" + ",\n".join([
        f'"botocore": "{botocore.__version__}"', f'"time": {int(TIME.replace(tzinfo=datetime.timezone.utc).timestamp())}',
        f'"keys": {json.dumps(KEYS)}', f'"signatures": {rows(signatures())}', f'"chunks": {json.dumps(chunks(), ensure_ascii=False)}',
        f'"s3_endpoints": {rows(places["s3"])}', f'"dynamodb_endpoints": {rows(places["dynamodb"])}']) + "\n}\n"
    pathlib.Path(__file__).with_name("sigv4.json").write_text(text, encoding="utf-8")


main()
