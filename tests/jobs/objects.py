"""Django storage in S3, as little as there can be: objects are put whole, got whole, and overwritten without a word."""

from io import BytesIO

import boto3
from botocore.exceptions import ClientError
from django.core.files.base import File
from django.core.files.storage import Storage

BUCKET = "bucket"


class ObjectStorage(Storage):
    def __init__(self):
        self._client = boto3.client("s3")

    def get_available_name(self, name, max_length=None):
        return name

    def _save(self, name, content):
        self._client.put_object(Bucket=BUCKET, Key=name, Body=content.read())
        return name

    def _open(self, name, mode="rb"):
        try:
            return File(BytesIO(self._client.get_object(Bucket=BUCKET, Key=name)["Body"].read()), name)
        except ClientError as error:
            raise FileNotFoundError(name) from error

    def delete(self, name):
        self._client.delete_object(Bucket=BUCKET, Key=name)

    def exists(self, name):
        return name in self._names(name)

    def listdir(self, path):
        return [], [name.removeprefix(f"{path}/") for name in self._names(f"{path}/")]

    def _names(self, prefix):
        return [found["Key"] for found in self._client.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", ())]
