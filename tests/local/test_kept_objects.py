"""An object is what it was or what it was to be, whenever the server is killed; and all that S3 acknowledges stays."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from running_aws import Aws, AwsFactory, Clients

# The server ends itself, as by `kill -9`, at the nth time that it is about to make or move a file of S3's.
KILLER = """
import os, signal, sys
ARMED = {armed!r}
def kill_at(event, arguments):
    if event == "os.rename":
        path = os.fspath(arguments[1])
    elif event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT:
        path = arguments[0]
    else:
        return
    if not isinstance(path, str) or "/aws/s3/" not in path or not os.path.exists(ARMED):
        return
    with open(ARMED) as file:
        left = int(file.read()) - 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    with open(ARMED, "w") as file:
        file.write(str(left))
sys.addaudithook(kill_at)
"""


@pytest.fixture
def armed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What says at which file the server is to be killed."""
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(KILLER.format(armed=str(tmp_path / "armed")))
    monkeypatch.setenv("PYTHONPATH", str(hooks))
    return tmp_path / "armed"


def put(aws: Aws, bucket: str, body: bytes) -> bool:
    try:
        Aws(aws.server, aws.state, Clients(retries=0)).client("s3").put_object(Bucket=bucket, Key="a/model", Body=body)
    except (BotoCoreError, ClientError):
        return False
    return True


def back(factory: AwsFactory, aws: Aws) -> Aws:
    """After a kill; one that the server has done itself already isn't an error."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(aws.server.pid, signal.SIGKILL)
    return factory.start()


@pytest.mark.fidelity(
    "S3",
    "A write is there whole or not at all.",
    "S3 User Guide, What is Amazon S3: data consistency model (updates to a single key are atomic)",
)
@pytest.mark.parametrize("versioning", ["Suspended", "Enabled"])
def test_a_kill_leaves_the_old_object_or_the_new_one(fresh_aws: AwsFactory, armed: Path, versioning: str) -> None:
    aws = fresh_aws.start()
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="bucket")
    if versioning == "Enabled":
        s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": versioning})
    last = b"old" * 100
    assert put(aws, "bucket", last)
    for moment in (1, 2, 4):
        armed.write_text(str(moment))
        new = b"%d" % moment * (1000 + moment)
        acknowledged = put(aws, "bucket", new)
        armed.unlink()
        aws = back(fresh_aws, aws)
        found = aws.client("s3").get_object(Bucket="bucket", Key="a/model")
        body = found["Body"].read()
        assert body in ((new,) if acknowledged else (last, new))
        assert found["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'  # noqa: S324 - S3's ETag
        last = body


@pytest.mark.fidelity(
    "S3",
    "The parts of an unfinished upload stay until it is completed or aborted; completing it again answers the same.",
    "S3 User Guide, Uploading and copying objects using multipart upload; S3 API, CompleteMultipartUpload",
)
def test_what_s3_acknowledges_stays(fresh_aws: AwsFactory) -> None:
    aws = fresh_aws.start()
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="bucket", ObjectLockEnabledForBucket=True)
    first = s3.put_object(Bucket="bucket", Key="k", Body=b"one", Tagging="colour=green")["VersionId"]
    s3.put_object(Bucket="bucket", Key="k", Body=b"two")
    s3.put_object_legal_hold(Bucket="bucket", Key="k", VersionId=first, LegalHold={"Status": "ON"})
    s3.copy_object(Bucket="bucket", Key="copy", CopySource={"Bucket": "bucket", "Key": "k", "VersionId": first})
    gone = s3.put_object(Bucket="bucket", Key="gone", Body=b"x")["VersionId"]
    s3.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": "gone"}, {"Key": "gone", "VersionId": gone}]})
    upload = {"Bucket": "bucket", "Key": "large"}
    upload["UploadId"] = s3.create_multipart_upload(**upload, Metadata={"by": "parts"})["UploadId"]
    parts = [bytes([number]) * (5 << 20) for number in (1, 2)]
    tags = [s3.upload_part(**upload, PartNumber=1, Body=parts[0])["ETag"]]
    aws = back(fresh_aws, aws)
    s3 = aws.client("s3")
    assert s3.get_object(Bucket="bucket", Key="k", VersionId=first)["Body"].read() == b"one"
    assert s3.get_object(Bucket="bucket", Key="copy")["Body"].read() == b"one"
    assert s3.get_object_tagging(Bucket="bucket", Key="k", VersionId=first)["TagSet"] == [
        {"Key": "colour", "Value": "green"}
    ]
    assert s3.get_object_legal_hold(Bucket="bucket", Key="k", VersionId=first)["LegalHold"]["Status"] == "ON"
    listed = s3.list_object_versions(Bucket="bucket", Prefix="gone")
    assert (listed.get("Versions"), [each["Key"] for each in listed["DeleteMarkers"]]) == (None, ["gone"])
    tags.append(s3.upload_part(**upload, PartNumber=2, Body=parts[1])["ETag"])
    complete = {"Parts": [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]}
    done = s3.complete_multipart_upload(**upload, MultipartUpload=complete)
    aws = back(fresh_aws, aws)
    s3 = aws.client("s3")
    again = s3.complete_multipart_upload(**upload, MultipartUpload=complete)
    assert (again["ETag"], again["VersionId"]) == (done["ETag"], done["VersionId"])
    found = s3.get_object(Bucket="bucket", Key="large")
    assert (found["Body"].read(), found["Metadata"]) == (b"".join(parts), {"by": "parts"})
    assert s3.list_multipart_uploads(Bucket="bucket").get("Uploads", []) == []
    what_is_damaged_is_said(aws)


def what_is_damaged_is_said(aws: Aws) -> None:
    s3 = Aws(aws.server, aws.state, Clients(retries=0)).client("s3")
    s3.put_object(Bucket="bucket", Key="damaged", Body=b"as it was")
    (body,) = [path for path in (aws.state / "s3").glob("*/*") if path.read_bytes() == b"as it was"]
    for damage in (b"as it wa", b"as it wax", b""):
        body.write_bytes(damage)
        with pytest.raises(ClientError, match=r"InternalError.*isn't what was written"):
            s3.get_object(Bucket="bucket", Key="damaged")
    body.unlink()
    with pytest.raises(ClientError, match=r"InternalError.*can't be read: No such file"):
        s3.get_object(Bucket="bucket", Key="damaged")
    s3.put_object(Bucket="bucket", Key="damaged", Body=b"again")
    assert s3.get_object(Bucket="bucket", Key="damaged")["Body"].read() == b"again"


def test_bodies_that_nothing_names_are_not_kept(fresh_aws: AwsFactory) -> None:
    aws = fresh_aws.start()
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="bucket")

    def bodies() -> int:
        return len(list((aws.state / "s3").glob("*/*")))

    for number in range(5):
        s3.put_object(Bucket="bucket", Key="k", Body=b"%d" % number)
    assert bodies() == 1
    with pytest.raises(ClientError, match="Object tags cannot be greater than 10"):
        s3.put_object(Bucket="bucket", Key="k", Body=b"no", Tagging="&".join(f"k{n}=v" for n in range(11)))
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == b"4"
    upload = {"Bucket": "bucket", "Key": "large"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    s3.upload_part(**upload, PartNumber=1, Body=b"part")
    s3.abort_multipart_upload(**upload)
    s3.delete_object(Bucket="bucket", Key="k")
    assert bodies() == 0
    (aws.state / "s3" / "ab").mkdir(exist_ok=True)
    (aws.state / "s3" / "ab" / "ab12-3-00000000").write_bytes(b"of a put that was cut off")
    back(fresh_aws, aws)
    assert bodies() == 0


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("root_key.json", b"", "root_key.json: it can't be read"),
        ("root_key.json", b'{"access_key_id": "", "secret_access_key": ""}', "root_key.json: it holds no access key"),
        ("port", b"80 or so", r"port: no port ('80 or so')"),
        ("journal.sqlite", b"nothing", "journal.sqlite: it can't be read (file is not a database)"),
        ("sagemaker/sagemaker.sqlite", b"", "sagemaker.sqlite: the last"),
    ],
)
def test_a_damaged_state_is_refused_by_the_file(damaged: AwsFactory, name: str, content: bytes, told: str) -> None:
    path = damaged.state / name
    whole = path.read_bytes()
    try:
        path.write_bytes(content)
        with pytest.raises(Exception, match="ended with code 5") as refused:
            damaged.start()
        assert told in str(refused.value)
        assert "Put " in str(refused.value) or "write it there" in str(refused.value)
    finally:
        path.write_bytes(whole)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsFactory]:
    """The state of a server that was stopped, to be damaged."""
    factory = AwsFactory(tmp_path_factory.mktemp("damaged") / "aws")
    aws = factory.start()
    aws.client("s3").create_bucket(Bucket="bucket")
    aws.client("sagemaker").create_model_package_group(ModelPackageGroupName="group")
    factory.stop()
    yield factory
    factory.stop()
