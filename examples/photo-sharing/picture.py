"""Runs for each picture that is uploaded: makes a thumbnail, notes what is known of it, renews the page, tells others.

AWS calls an event once or more often: everything here has the same names when it is done again.
"""

import html
import io
import json
import os
import urllib.parse

import boto3
from botocore.exceptions import ClientError
from PIL import Image

NOTES, PAGE, TOPIC = os.environ["NOTES"], os.environ["PAGE"], os.environ["TOPIC"]
s3, sns = boto3.client("s3"), boto3.client("sns")


def handler(event, context):
    for record in event["Records"]:
        bucket = record["s3"]["bucket"]["name"]
        share(bucket, urllib.parse.unquote_plus(record["s3"]["object"]["key"]))


def share(bucket, key):
    picture = Image.open(s3.get_object(Bucket=bucket, Key=key)["Body"])
    note = {"picture": key, "width": picture.width, "height": picture.height, "format": picture.format}
    picture.thumbnail((320, 320))
    small = io.BytesIO()
    picture.convert("RGB").save(small, "JPEG", quality=85)
    thumbnail = f"thumbnails/{key}.jpg"
    s3.put_object(Bucket=PAGE, Key=thumbnail, Body=small.getvalue(), ContentType="image/jpeg")
    s3.put_object(Bucket=NOTES, Key=f"{key}.json", Body=json.dumps(note), ContentType="application/json")
    renew_page()
    sns.publish(TopicArn=TOPIC, Subject="A new picture", Message=json.dumps({**note, "thumbnail": thumbnail}))
    print(f"{key}: {note['width']}x{note['height']} became {picture.width}x{picture.height}")


def renew_page():
    """All thumbnails there are. Where another picture's run wrote the page meanwhile, this one looks again."""
    while True:
        try:
            seen = {"IfMatch": s3.head_object(Bucket=PAGE, Key="index.html")["ETag"]}
        except ClientError:
            seen = {"IfNoneMatch": "*"}
        listed = s3.list_objects_v2(Bucket=PAGE, Prefix="thumbnails/").get("Contents", [])
        pictures = "\n".join(figure(each["Key"]) for each in listed)
        page = f"<!doctype html>\n<meta charset=utf-8>\n<title>Pictures</title>\n<h1>Pictures</h1>\n{pictures}\n"
        try:
            s3.put_object(Bucket=PAGE, Key="index.html", Body=page.encode(), ContentType="text/html", **seen)
            return
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("PreconditionFailed", "ConditionalRequestConflict"):
                raise


def figure(key):
    name = html.escape(key.removeprefix("thumbnails/").removesuffix(".jpg"))
    return f'<figure><img src="{urllib.parse.quote(key)}" alt="{name}"><figcaption>{name}</figcaption></figure>'
