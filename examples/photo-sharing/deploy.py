"""Sets the photo sharing up, with nothing but boto3: `python deploy.py`; `python deploy.py --remove` takes it away.

It would do the same on AWS, but for the address of the page.
"""

import importlib.util
import io
import json
import sys
import urllib.parse
import zipfile
from pathlib import Path

import boto3

NAME = "photo-sharing"
session = boto3.Session()
s3, sns, sqs, iam = (session.client(name) for name in ("s3", "sns", "sqs", "iam"))
aws_lambda = session.client("lambda")
ACCOUNT, REGION = session.client("sts").get_caller_identity()["Account"], aws_lambda.meta.region_name
UPLOADS, NOTES, PAGE = (f"{NAME}-{ACCOUNT}-{what}" for what in ("uploads", "notes", "page"))


def main():
    for bucket in (UPLOADS, NOTES, PAGE):
        where = {} if REGION == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": REGION}}
        s3.create_bucket(Bucket=bucket, **where)
    open_page()
    topic, queue = make_topic_and_queue()
    function = make_function(make_role(topic), topic)
    aws_lambda.add_permission(
        FunctionName=NAME,
        StatementId="uploads",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
        SourceArn=f"arn:aws:s3:::{UPLOADS}",
        SourceAccount=ACCOUNT,
    )
    uploaded = {"LambdaFunctionArn": function, "Events": ["s3:ObjectCreated:*"]}
    configuration = {"LambdaFunctionConfigurations": [uploaded]}
    s3.put_bucket_notification_configuration(Bucket=UPLOADS, NotificationConfiguration=configuration)
    print(json.dumps({"uploads": UPLOADS, "notes": NOTES, "page": page_url(), "queue": queue}, indent=2))


def open_page():
    """A website that anyone may read."""
    s3.delete_public_access_block(Bucket=PAGE)
    s3.put_bucket_policy(Bucket=PAGE, Policy=policy("s3:GetObject", f"arn:aws:s3:::{PAGE}/*", Principal="*"))
    s3.put_bucket_website(Bucket=PAGE, WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}})


def page_url():
    endpoint = urllib.parse.urlsplit(s3.meta.endpoint_url)
    if endpoint.hostname.endswith("amazonaws.com"):
        return f"http://{PAGE}.s3-website-{REGION}.amazonaws.com/"
    return f"http://{PAGE}.s3-website.localhost:{endpoint.port}/"


def make_topic_and_queue():
    """Whoever wants to hear of new pictures subscribes to the topic; here a queue does."""
    topic = sns.create_topic(Name=NAME)["TopicArn"]
    queue = sqs.create_queue(QueueName=NAME)["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{NAME}"
    told = policy(
        "sqs:SendMessage",
        arn,
        Principal={"Service": "sns.amazonaws.com"},
        Condition={"ArnEquals": {"aws:SourceArn": topic}},
    )
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": told})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    return topic, queue


def make_role(topic):
    trust = policy("sts:AssumeRole", Principal={"Service": "lambda.amazonaws.com"})
    role = iam.create_role(RoleName=NAME, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    allowed = {
        "uploads": policy("s3:GetObject", f"arn:aws:s3:::{UPLOADS}/*"),
        "notes": policy("s3:PutObject", f"arn:aws:s3:::{NOTES}/*"),
        "page": policy(
            ["s3:GetObject", "s3:PutObject", "s3:ListBucket"], [f"arn:aws:s3:::{PAGE}", f"arn:aws:s3:::{PAGE}/*"]
        ),
        "topic": policy("sns:Publish", topic),
        "logs": policy(["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], "*"),
    }
    for name, document in allowed.items():
        iam.put_role_policy(RoleName=NAME, PolicyName=name, PolicyDocument=document)
    return role


def make_function(role, topic):
    made = aws_lambda.create_function(
        FunctionName=NAME,
        Runtime=f"python3.{sys.version_info.minor}",
        Role=role,
        Handler="picture.handler",
        Code={"ZipFile": make_package()},
        MemorySize=512,
        Timeout=60,
        Environment={"Variables": {"NOTES": NOTES, "PAGE": PAGE, "TOPIC": topic}},
    )
    aws_lambda.get_waiter("function_active_v2").wait(FunctionName=NAME)
    return made["FunctionArn"]


def make_package():
    """The function, and Pillow as it is installed here."""
    packages = Path(importlib.util.find_spec("PIL").origin).parent.parent
    files = [*(packages / "PIL").rglob("*"), *(packages / "pillow.libs").rglob("*")]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(Path(__file__).with_name("picture.py"), "picture.py")
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                archive.write(file, file.relative_to(packages))
    return buffer.getvalue()


def policy(action, resource=None, **more):
    statement = {"Effect": "Allow", "Action": action, **({"Resource": resource} if resource else {}), **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def remove():
    aws_lambda.delete_function(FunctionName=NAME)
    for name in iam.list_role_policies(RoleName=NAME)["PolicyNames"]:
        iam.delete_role_policy(RoleName=NAME, PolicyName=name)
    iam.delete_role(RoleName=NAME)
    sns.delete_topic(TopicArn=f"arn:aws:sns:{REGION}:{ACCOUNT}:{NAME}")
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=NAME)["QueueUrl"])
    for bucket in (UPLOADS, NOTES, PAGE):
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for each in page.get("Contents", []):
                s3.delete_object(Bucket=bucket, Key=each["Key"])
        s3.delete_bucket(Bucket=bucket)


if __name__ == "__main__":
    remove() if sys.argv[1:] == ["--remove"] else main()
